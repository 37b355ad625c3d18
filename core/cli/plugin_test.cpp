#include "cli/plugin_test.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/log.hpp"
#include "cli/dispatch.hpp"
#include "cli/plugin_manage.hpp"
#include "config/compile.hpp"
#include "config/encode.hpp"
#include "config/manifest.hpp"
#include "config/yaml_source.hpp"

namespace sg {

namespace {

model::Plugin read_manifest(const std::string& what, const Session& session) {
    struct stat st {};
    if (stat(what.c_str(), &st) != 0) throw_errno("cannot test", what);
    const std::string full = std::filesystem::canonical(what).string();
    const std::string directory = S_ISDIR(st.st_mode) ? full : full.substr(0, full.rfind('/'));
    YamlSources sources(
        {0, session.installation.owner, static_cast<uint32_t>(geteuid()), static_cast<uint32_t>(st.st_uid)});
    const auto document = sources.read(directory + "/plugin.yaml");
    if (!document)
        throw Error(Code::invalid, what + ": holds no plugin: there is no plugin.yaml in " + directory,
                    "Name the directory of a built plugin, where plugin.yaml and the object lie.");
    std::vector<std::string> warnings;
    model::Plugin plugin = parse_manifest(directory + "/plugin.yaml", *document, warnings);
    for (const auto& text : warnings) log::warning(text);
    if (!S_ISDIR(st.st_mode)) plugin.object = full;
    need_object(plugin, what);
    return plugin;
}

std::string hex(const std::string& bytes) {
    std::string out;
    for (const char c : bytes) {
        out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        out += "0123456789abcdef"[c & 15];
    }
    return out;
}

// The verbs of a command that are run: those without verbs below them.
bool has_sub_verbs(const model::Capability& c, const std::string& verb) {
    for (const auto& other : c.commands)
        if (other.verb.starts_with(verb + " ")) return true;
    return false;
}

void describe(const model::Capability& c, std::vector<std::string>& words) {
    words.push_back(std::string("--capability=") + kind_name(c.kind) + ":" + c.name);
    const auto trait = [&](bool has, const char* name) {
        if (has) words.push_back(std::string("--trait=") + name);
    };
    trait(c.publishes, "publishes");
    trait(c.searches, "searches");
    trait(c.deletes, "deletes");
    trait(c.directory, "directory");
    if (c.kind == CapabilityKind::hook)
        for (const auto& event : c.words) words.push_back("--trait=" + event);
    for (const auto& [offset, bytes] : c.magics)
        words.push_back("--magic=" + std::to_string(offset) + ":" + hex(bytes));
    for (const auto& command : c.commands)
        if (!has_sub_verbs(c, command.verb)) words.push_back("--verb=" + command.verb);
}

// The transports and formats of other plugins, with what the configuration says to them: the subject may use them or
// stand in front of one.
void add_neighbours(const std::string& subject, const Session& session, std::vector<std::string>& words) {
    const Index& index = session.plugins.index();
    std::vector<std::string> taken, described;
    for (uint32_t n = index.capability_count(); n-- > 0;) {  // the last one registered comes first
        const CapabilityView c = index.capability(n);
        const PluginView plugin = index.plugin(c.plugin);
        if ((c.kind != CapabilityKind::transport && c.kind != CapabilityKind::format) || !plugin.active ||
            plugin.name == subject)
            continue;
        std::string served = std::string(kind_name(c.kind)) + ":" + std::string(c.name);
        if (std::find(taken.begin(), taken.end(), served) != taken.end()) continue;
        words.push_back("--neighbour=" + served + ":" + std::string(plugin.object));
        taken.push_back(std::move(served));
        if (std::find(described.begin(), described.end(), plugin.name) != described.end()) continue;
        described.emplace_back(plugin.name);
        for (uint32_t i = 0; i < index.key_count(); ++i) {
            const KeyView key = index.key(i);
            if (key.plugin != plugin.name) continue;
            words.push_back(std::string("--key=") + type_name(key.type) + ":" + std::string(key.name));
            for (const auto& v : session.settings.values(key.name)) words.push_back("--value=" + v);
        }
    }
}

// The values of the plugin's own keys as they are for this user: of --set and variables, which need no registration, of
// configuration files where it is registered, and of its manifest.
void add_own_keys(const model::Plugin& plugin, const Session& session, std::vector<std::string>& words) {
    if (plugin.keys.empty() && session.unknown_settings.empty()) return;
    const Index index = Index::owning(encode_index(compile_manifests({plugin.manifest})));
    Settings own(index);
    own.apply_environment(environ);
    for (const auto& pair : session.unknown_settings) set_from_command_line(own, pair);
    for (const auto& k : plugin.keys) {
        words.push_back(std::string("--key=") + type_name(k.type) + ":" + k.name);
        // Of a registered plugin they count all together; a default may be an older manifest's.
        const bool chosen =
            session.settings.has(k.name) && session.settings.origin(k.name).layer != Layer::builtin;
        const Settings& settings = chosen ? session.settings : own;
        for (const auto& v : settings.values(k.name)) words.push_back("--value=" + v);
    }
}

// A sample that is a file, or an argument of one that is a command line, means a file of this directory, not of the
// kit's.
std::string found_from_here(const std::string& sample) {
    std::error_code none;
    if (std::filesystem::exists(sample, none)) return std::filesystem::absolute(sample).string();
    const size_t blank = sample.find(' ');  // what stands before it is the verb
    return blank == std::string::npos ? sample
                                      : sample.substr(0, blank + 1) + found_from_here(sample.substr(blank + 1));
}

}  // namespace

void test_plugin(const std::string& what, const std::vector<std::string>& samples, Session& session) {
    const model::Plugin plugin = read_manifest(what, session);
    const std::string module = session.installation.module, kit = module.substr(0, module.rfind('/')) + "/plugin-test";
    std::vector<std::string> words{kit,
                                   "--manifest=" + plugin.manifest,
                                   "--object=" + plugin.object,
                                   "--name=" + plugin.name,
                                   "--version-of-plugin=" + plugin.version,
                                   "--abi=" + std::to_string(plugin.abi)};
    for (const auto& c : plugin.capabilities) describe(c, words);
    add_own_keys(plugin, session, words);
    add_neighbours(plugin.name, session, words);
    for (const auto& s : samples) words.push_back("--with=" + found_from_here(s));
    if (session.json) words.emplace_back("--json");
    if (log::threshold() >= log::Level::debug) words.emplace_back("--verbose");
    std::vector<char*> argv;
    for (auto& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    execv(kit.c_str(), argv.data());
    throw_errno("cannot start the conformance kit", kit);
}

}  // namespace sg
