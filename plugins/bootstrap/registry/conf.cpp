#include "registry/conf.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <toml.hpp>

#include "family/files.hpp"

namespace registry {
namespace {

using singularity::Code;
using singularity::Error;

constexpr uint64_t max_file = 1 << 20;

// Length of the part of `name` that `prefix` covers, npos when it covers none.
size_t covered(std::string_view name, std::string_view prefix) {
    const auto ends_here = [&](size_t at) { return at == name.size() || name[at] == ':' || name[at] == '/' || name[at] == '@'; };
    if (prefix.substr(0, 2) == "*.") {
        const std::string_view domain = prefix.substr(1);
        const size_t at = name.find(domain);
        if (at == std::string_view::npos || at == 0 || name.substr(0, at).find('/') != std::string_view::npos)
            return std::string_view::npos;
        return ends_here(at + domain.size()) ? at + domain.size() : std::string_view::npos;
    }
    if (name.substr(0, prefix.size()) != prefix || !ends_here(prefix.size())) return std::string_view::npos;
    return prefix.size();
}

class Reader {
public:
    explicit Reader(std::string file) : file_(std::move(file)) {}

    std::vector<RegistryEntry> run(const std::string& text) {
        std::istringstream in(text);
        toml::value root;
        try {
            root = toml::parse(in, file_);
        } catch (const toml::exception& e) {
            throw Error(Code::invalid, file_ + ":" + std::to_string(e.location().line()) + ": " + reason(e.what()), "",
                        e.what());
        } catch (const std::exception& e) {  // what the library throws for some broken files has no place
            throw Error(Code::invalid, file_ + " is not a TOML file: " + reason(e.what()));
        }
        std::vector<RegistryEntry> out;
        const toml::value* v2 = member(root, "registry");
        const toml::value* v1 = member(root, "registries");
        if (v1 && v2)
            fail(*v1, "[registries] of version 1 and [[registry]] of version 2 cannot stand in one file");
        if (v2) {
            if (!v2->is_array()) fail(*v2, "registry must be an array of tables: [[registry]]");
            for (const toml::value& r : v2->as_array()) out.push_back(registry(r));
        }
        if (v1) old_lists(*v1, out);
        return out;
    }

private:
    [[noreturn]] void fail(const toml::value& at, const std::string& what) const {
        throw Error(Code::invalid, file_ + ":" + std::to_string(at.location().line()) + ": " + what);
    }
    // The first line of the library's long texts, without its own prefix.
    static std::string reason(std::string text) {
        text = text.substr(0, text.find('\n'));
        for (const char* prefix : {"[error] ", "toml::"})
            if (text.rfind(prefix, 0) == 0) text = text.substr(std::string_view(prefix).size());
        return text;
    }
    const toml::value* member(const toml::value& table, const char* key) const {
        if (!table.is_table()) fail(table, "a table is expected");
        const auto& t = table.as_table();
        const auto it = t.find(key);
        return it == t.end() ? nullptr : &it->second;
    }
    std::string text(const toml::value& table, const char* key) const {
        const toml::value* v = member(table, key);
        if (!v) return {};
        if (!v->is_string()) fail(*v, std::string(key) + " must be a text");
        return v->as_string().str;
    }
    bool boolean(const toml::value& table, const char* key) const {
        const toml::value* v = member(table, key);
        if (!v) return false;
        if (!v->is_boolean()) fail(*v, std::string(key) + " must be true or false");
        return v->as_boolean();
    }
    // "host[:port][/path]" without a slash at its end.
    std::string place(const toml::value& table, const char* key) const {
        std::string out = text(table, key);
        if (out.find("://") != std::string::npos)
            fail(*member(table, key), std::string(key) + " \"" + out + "\" must be HOST[:PORT][/PATH], without a scheme");
        while (!out.empty() && out.back() == '/') out.pop_back();
        if (std::any_of(out.begin(), out.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '?' || c == '#'; }))
            fail(*member(table, key), std::string(key) + " has a character that no registry's name has");
        return out;
    }

    RegistryEntry registry(const toml::value& r) const {
        RegistryEntry e;
        e.file = file_;
        e.prefix = place(r, "prefix");
        e.location = place(r, "location");
        e.insecure = boolean(r, "insecure");
        e.blocked = boolean(r, "blocked");
        const bool wild = e.prefix.rfind("*.", 0) == 0;
        if (e.location.empty() && !wild) {
            if (e.prefix.empty()) fail(r, "this registry has neither prefix nor location");
            fail(r, "this registry has no location, which only a prefix like *.example.com may lack");
        }
        if (e.location.find('*') != std::string::npos) fail(r, "location \"" + e.location + "\" cannot hold a *");
        if (e.prefix.empty()) e.prefix = e.location;
        if (e.prefix.find('*', wild ? 1 : 0) != std::string::npos || e.prefix == "*.")
            fail(r, "prefix \"" + e.prefix + "\": a * may only stand at its beginning, as in *.example.com");
        const bool digest_only = boolean(r, "mirror-by-digest-only");
        if (const toml::value* mirrors = member(r, "mirror")) {
            if (!mirrors->is_array()) fail(*mirrors, "mirror must be an array of tables: [[registry.mirror]]");
            for (const toml::value& m : mirrors->as_array()) e.mirrors.push_back(mirror(m, digest_only));
        }
        return e;
    }

    Mirror mirror(const toml::value& m, bool digest_only) const {
        Mirror out;
        out.location = place(m, "location");
        if (out.location.empty()) fail(m, "this mirror has no location");
        if (out.location.find('*') != std::string::npos) fail(m, "location \"" + out.location + "\" cannot hold a *");
        out.insecure = boolean(m, "insecure");
        const std::string use = text(m, "pull-from-mirror");
        if (!use.empty() && digest_only)
            fail(m, "pull-from-mirror and the registry's mirror-by-digest-only exclude each other");
        if (use == "digest-only" || digest_only)
            out.use = Mirror::Use::digest_only;
        else if (use == "tag-only")
            out.use = Mirror::Use::tag_only;
        else if (!use.empty() && use != "all")
            fail(m, "pull-from-mirror must be all, digest-only or tag-only, not \"" + use + "\"");
        return out;
    }

    // Version 1: lists of names.
    void old_lists(const toml::value& table, std::vector<RegistryEntry>& out) const {
        for (const bool blocked : {false, true}) {
            const toml::value* group = member(table, blocked ? "block" : "insecure");
            const toml::value* names = group ? member(*group, "registries") : nullptr;
            if (!names) continue;
            if (!names->is_array()) fail(*names, "registries must be a list of names");
            for (const toml::value& n : names->as_array()) {
                if (!n.is_string()) fail(n, "the name of a registry must be a text");
                std::string name = n.as_string().str;
                while (!name.empty() && name.back() == '/') name.pop_back();
                if (name.empty() || name.find("://") != std::string::npos)
                    fail(n, "\"" + name + "\" is not the name of a registry");
                const auto known = std::find_if(out.begin(), out.end(), [&](const auto& e) { return e.prefix == name; });
                RegistryEntry& e = known == out.end() ? out.emplace_back() : *known;
                e.prefix = e.location = name;
                e.file = file_;
                (blocked ? e.blocked : e.insecure) = true;
            }
        }
    }

    std::string file_;
};

// Whether a file can hold a registry at all. Many hold nothing but aliases of short names, hundreds of lines that every
// start from a URI would parse for nothing (a millisecond).
bool may_hold_registries(std::string_view text) {
    bool in_aliases = false;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
        while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
        if (line.empty() || line.front() == '#') continue;
        if (line == "[aliases]")
            in_aliases = true;
        else if (!in_aliases || line.front() != '"')
            return true;
    }
    return false;
}

std::vector<std::string> conf_files_in(const std::string& directory) {
    std::vector<std::string> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> d(::opendir(directory.c_str()), ::closedir);
    if (!d) return out;
    while (const dirent* e = ::readdir(d.get())) {
        const std::string name = e->d_name;
        if (name.size() > 5 && name.substr(name.size() - 5) == ".conf") out.push_back(directory + "/" + name);
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

ConfPaths conf_paths() {
    ConfPaths out;
    const char* home = std::getenv("HOME");
    const char* config = std::getenv("XDG_CONFIG_HOME");
    std::string own = config && *config == '/' ? config : home && *home == '/' ? std::string(home) + "/.config" : "";
    if (!own.empty()) own += "/containers";
    const char* named = std::getenv("CONTAINERS_REGISTRIES_CONF");
    if (named && *named) {
        out.main = named;
        out.main_is_named = true;
    } else if (!own.empty() && ::access((own + "/registries.conf").c_str(), F_OK) == 0) {
        out.main = own + "/registries.conf";
    } else {
        out.main = "/etc/containers/registries.conf";
    }
    out.drop_ins.push_back("/etc/containers/registries.conf.d");
    if (!own.empty()) out.drop_ins.push_back(own + "/registries.conf.d");
    return out;
}

RegistriesConf RegistriesConf::read(const ConfPaths& paths) {
    RegistriesConf out;
    // Who names /dev/null wants no file to count.
    if (!paths.main.empty() && paths.main != "/dev/null") {
        if (const auto text = sources::read_small(paths.main, max_file))
            out.add(*text, paths.main);
        else if (paths.main_is_named)
            throw Error(Code::not_found,
                        "cannot open " + paths.main + ", which " +
                            (paths.drop_ins.empty() ? "registry.config" : "CONTAINERS_REGISTRIES_CONF") + " names");
    }
    for (const std::string& directory : paths.drop_ins)
        for (const std::string& file : conf_files_in(directory))
            if (const auto text = sources::read_small(file, max_file)) out.add(*text, file);
    return out;
}

void RegistriesConf::add(const std::string& text, const std::string& file) {
    if (!may_hold_registries(text)) return;
    for (RegistryEntry& e : Reader(file).run(text)) {
        const auto known =
            std::find_if(entries_.begin(), entries_.end(), [&](const auto& k) { return k.prefix == e.prefix; });
        if (known == entries_.end())
            entries_.push_back(std::move(e));
        else
            *known = std::move(e);
    }
}

void RegistriesConf::add_mirror(const std::string& prefix, Mirror mirror, const std::string& file) {
    auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const auto& k) { return k.prefix == prefix; });
    if (entry == entries_.end()) {
        RegistryEntry e;
        // A registry of a longer prefix keeps what is said of it where this is a part of that one.
        if (const RegistryEntry* wider = match(prefix))
            e = *wider, e.location = rewritten(prefix, *wider, wider->location), e.mirrors.clear();
        if (e.location.empty() || e.location.starts_with("*.")) e.location = prefix.starts_with("*.") ? "" : prefix;
        e.prefix = prefix;
        if (e.file.empty()) e.file = file;
        entry = entries_.insert(entries_.end(), std::move(e));
    }
    entry->mirrors.insert(entry->mirrors.begin(), std::move(mirror));
}

const RegistryEntry* RegistriesConf::match(std::string_view name) const {
    const RegistryEntry* best = nullptr;
    for (const RegistryEntry& e : entries_)
        if (covered(name, e.prefix) != std::string_view::npos && (!best || e.prefix.size() > best->prefix.size()))
            best = &e;
    return best;
}

std::string rewritten(std::string_view name, const RegistryEntry& entry, const std::string& location) {
    const size_t length = covered(name, entry.prefix);
    if (location.empty() || length == std::string_view::npos) return std::string(name);
    return location + std::string(name.substr(length));
}

}  // namespace registry
