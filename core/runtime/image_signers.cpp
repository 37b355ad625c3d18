#include "runtime/image_signers.hpp"

#include <singularity/policy.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

#include "base/error.hpp"
#include "base/log.hpp"
#include "runtime/image_records.hpp"

namespace sg::runtime {

namespace {

struct Answer {
    std::vector<std::string> signers, depends;
    bool whole = true;  // all that it depends on can be stamped
};

bool one_line(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
}

bool is_variable(const std::string& name) {
    return name.size() > 1 && name[0] == '$' && std::all_of(name.begin() + 1, name.end(), [](unsigned char c) {
               return c == '_' || (c < 0x80 && std::isalnum(c));
           });
}

// How a file or an environment variable (`$NAME`) is now.
std::string state_of(const std::string& thing) {
    if (thing[0] != '$') return stamp_of(thing);
    const char* value = std::getenv(thing.c_str() + 1);
    return value ? " " + hash_text(value) : " unset";
}

Answer ask(PluginHost& plugins, const CapabilityView& hook, const std::string& path, const sg_call* call) {
    const auto* table = static_cast<const sg_signers_v1*>(plugins.find_table(hook, "signers", 1));
    if (!table)
        throw Error(Code::unsupported, "the hook '" + std::string(hook.name) + "' does not tell who signed an image",
                    "This is a defect of its plugin.");
    Answer answer;
    const sg_signers_sink sink{&answer,
                               [](void* arg, const char* print) -> int32_t {
                                   static_cast<Answer*>(arg)->signers.emplace_back(print);
                                   return SG_OK;
                               },
                               [](void* arg, const char* thing) -> int32_t {
                                   Answer& a = *static_cast<Answer*>(arg);
                                   a.depends.emplace_back(thing);
                                   if (!is_variable(thing) && (thing[0] != '/' || !one_line(thing))) a.whole = false;
                                   return SG_OK;
                               }};
    singularity::check([&](sg_error* e) { return table->signers(path.c_str(), call, &sink, e); });
    return answer;
}

// What besides the files decides: the plugin and its configuration.
std::string plugin_stamp(PluginHost& plugins, const CapabilityView& hook) {
    const PluginView plugin = plugins.index().plugin(hook.plugin);
    std::string text(plugin.manifest);
    for (uint32_t i = 0; i < plugins.index().key_count(); ++i) {
        const KeyView key = plugins.index().key(i);
        if (key.plugin != plugin.name) continue;
        text.append("\n").append(key.name);
        for (const auto& v : plugins.settings().values(key.name)) text += "\n=" + v;
    }
    return hash_text(text) + stamp_of(std::string(plugin.object));
}

constexpr std::string_view depends_word = "depends ", signer_word = "signer ", end_word = "end";

// nullopt: the record is of another file, or something that it depends on has changed.
std::optional<std::vector<std::string>> signers_in(std::string_view record, const std::string& head) {
    if (!record.starts_with(head)) return std::nullopt;
    record.remove_prefix(head.size());
    std::vector<std::string> out;
    while (!record.empty()) {
        const size_t end = record.find('\n');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view line = record.substr(0, end);
        record.remove_prefix(end + 1);
        if (line == end_word) return record.empty() ? std::optional(out) : std::nullopt;
        if (line.starts_with(signer_word)) {
            out.emplace_back(line.substr(signer_word.size()));
        } else if (line.starts_with(depends_word)) {
            const size_t begin = line.find_first_of("/$");
            if (begin == std::string_view::npos) return std::nullopt;
            const std::string thing(line.substr(begin));
            if (line.substr(0, begin) != std::string(depends_word) + state_of(thing) + " ") return std::nullopt;
        } else {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace

std::vector<std::string> image_signers(PluginHost& plugins, const std::string& path, const sg_call* call) {
    struct stat before {};
    if (::stat(path.c_str(), &before) != 0) throw_errno("cannot open", path);
    if (!S_ISREG(before.st_mode)) return {};
    std::optional<CapabilityView> hook;
    for (const auto& c : plugins.index().capabilities(CapabilityKind::hook))
        if (std::find(c.words.begin(), c.words.end(), "signers") != c.words.end()) hook = c;
    if (!hook)
        throw Error(Code::unsupported, "no registered plugin tells who signed an image",
                    "See: singularity plugin list");

    const ImageRecords records(plugins.settings(), "signers", before);
    const std::string head = "signers 1\nimage" + stamp_of(before) + "\nplugin " + plugin_stamp(plugins, *hook) + "\n";
    if (auto known = signers_in(records.read(), head)) return *known;

    const int64_t now = real_time_ns();
    log::verbose("Verifying the signatures of " + path);
    const Answer answer = ask(plugins, *hook, path, call);
    std::string record = head;
    for (const auto& thing : answer.depends) record += std::string(depends_word) + state_of(thing) + " " + thing + "\n";
    for (const auto& print : answer.signers) record += std::string(signer_word) + print + "\n";
    record += std::string(end_word) + "\n";
    struct stat after {};
    const bool same = ::stat(path.c_str(), &after) == 0 && stamp_of(after) == stamp_of(before);
    if (!same) throw Error(Code::invalid, path + " changed while its signatures were verified", "Try again.");
    if (answer.whole && std::all_of(answer.signers.begin(), answer.signers.end(), one_line) && is_settled(before, now))
        records.write(record);
    return answer.signers;
}

}  // namespace sg::runtime
