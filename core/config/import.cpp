#include "config/import.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <toml.hpp>

#include "base/error.hpp"
#include "base/nearest.hpp"
#include "config/schema.hpp"

namespace sg {

namespace {

constexpr size_t largest_file = 1 << 20, longest_name = 64;

std::string trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
    return begin == std::string_view::npos ? "" : std::string(text.substr(begin, end - begin + 1));
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> out;
    for (size_t at = 0; at <= text.size();) {
        const size_t comma = std::min(text.find(',', at), text.size());
        if (std::string part = trimmed(std::string_view(text).substr(at, comma - at)); !part.empty()) out.push_back(std::move(part));
        at = comma + 1;
    }
    return out;
}

// Every directive of singularity.conf and apptainer.conf (Apptainer's admin guide): the key that it becomes, or
// why it becomes none. `harmless`: the value at which leaving it out changes nothing.
struct Directive {
    const char *name, *key, *reason, *harmless;
};
constexpr char no_setuid[] = "it governs the program that runs with root's rights; there is none here";
constexpr char no_loops[] = "the kernel hands out loop devices as they are needed";
constexpr char own_code[] = "that program is not used: its work is done by our own code";
constexpr char own_namespaces[] = "a user's own namespaces need no leave of this program; the kernel's settings (user.max_*_namespaces) limit them";
constexpr Directive directives[] = {
    {"allow setuid", nullptr, no_setuid, nullptr},
    {"max loop devices", nullptr, no_loops, nullptr},
    {"shared loop devices", nullptr, no_loops, nullptr},
    {"allow pid ns", nullptr, own_namespaces, "yes"},
    {"allow ipc ns", nullptr, own_namespaces, "yes"},
    {"allow user ns", nullptr, own_namespaces, "yes"},
    {"allow uts ns", nullptr, own_namespaces, "yes"},
    {"config passwd", "files.passwd", nullptr, nullptr},
    {"config group", "files.group", nullptr, nullptr},
    {"config resolv_conf", "files.resolv_conf", nullptr, nullptr},
    {"mount proc", "mount.proc", nullptr, nullptr},
    {"mount sys", "mount.sys", nullptr, nullptr},
    {"mount dev", "mount.dev", nullptr, nullptr},
    {"mount devpts", "mount.devpts", nullptr, nullptr},
    {"mount home", "mount.home", nullptr, nullptr},
    {"mount tmp", "mount.tmp", nullptr, nullptr},
    {"mount hostfs", "mount.hostfs", nullptr, nullptr},
    {"mount slave", "mount.slave", nullptr, nullptr},
    {"bind path", "bind.paths", nullptr, nullptr},
    {"user bind control", "bind.user", nullptr, nullptr},
    {"enable fusemount", nullptr, "FUSE programs of users run with their own rights, so there is nothing to forbid", "yes"},
    {"enable overlay", "overlay.enable", nullptr, nullptr},
    {"enable underlay", nullptr, "mount points that an image lacks are shown by the file system server", nullptr},
    {"sessiondir max size", "session.size", nullptr, nullptr},
    {"memory fs type", nullptr, "a container's memory is always a tmpfs", nullptr},
    {"limit container owners", nullptr, no_setuid, ""},
    {"limit container groups", nullptr, no_setuid, ""},
    {"limit container paths", "policy.paths.allow", nullptr, nullptr},
    {"allow container sif", nullptr, no_setuid, "yes"},
    {"allow container encrypted", nullptr, no_setuid, "yes"},
    {"allow container squashfs", nullptr, no_setuid, "yes"},
    {"allow container extfs", nullptr, no_setuid, "yes"},
    {"allow container dir", nullptr, no_setuid, "yes"},
    {"allow setuid-mount encrypted", nullptr, no_setuid, nullptr},
    {"allow setuid-mount squashfs", nullptr, no_setuid, nullptr},
    {"allow setuid-mount extfs", nullptr, no_setuid, nullptr},
    {"allow kernel squashfs", nullptr, no_setuid, nullptr},
    {"allow kernel extfs", nullptr, no_setuid, nullptr},
    {"sif fuse", nullptr, "images of users are always served by FUSE", nullptr},
    {"tmp sandbox", nullptr, "an image is unpacked only where FUSE cannot be had, and into the cache", nullptr},
    {"oci mode", nullptr, "there is one way of running images", "no"},
    {"allow net users", nullptr, no_setuid, ""},
    {"allow net groups", nullptr, no_setuid, ""},
    {"allow net networks", nullptr, no_setuid, ""},
    {"allow netns paths", nullptr, no_setuid, ""},
    {"cni configuration path", "cni.configuration_path", nullptr, nullptr},
    {"cni plugin path", "cni.plugin_path", nullptr, nullptr},
    {"always use nv", "gpu.nv", nullptr, nullptr},
    {"always use rocm", "gpu.rocm", nullptr, nullptr},
    {"use nvidia-container-cli", nullptr, "GPUs are found without that program", nullptr},
    {"root default capabilities", "root.default_capabilities", nullptr, nullptr},
    {"binary path", nullptr, "programs are found by PATH", nullptr},
    {"root search path", nullptr, "programs are found by PATH", nullptr},
    {"user search path", nullptr, "programs are found by PATH", nullptr},
    {"cryptsetup path", nullptr, own_code, nullptr},
    {"go path", nullptr, own_code, nullptr},
    {"ldconfig path", nullptr, own_code, nullptr},
    {"mksquashfs path", nullptr, own_code, nullptr},
    {"nvidia-container-cli path", nullptr, own_code, nullptr},
    {"unsquashfs path", nullptr, own_code, nullptr},
    {"mksquashfs procs", "build.threads", nullptr, nullptr},
    {"mksquashfs mem", "build.memory", nullptr, nullptr},
    {"image driver", nullptr, "plugins are registered in plugins.d", ""},
    {"download concurrency", "fetch.jobs", nullptr, nullptr},
    {"download part size", nullptr, "a download is one stream, which goes on where it broke", nullptr},
    {"download buffer size", nullptr, "buffers are part of build.memory", nullptr},
    {"systemd cgroups", nullptr, "the way to cgroups is found at each start", nullptr},
    {"apptheus socket path", nullptr, "there is no monitoring service", nullptr},
    {"allow monitoring", nullptr, "there is no monitoring service", "no"},
};

class Importer {
public:
    Importer(const std::string& file, const Index& index) : file_(file), index_(index) {}

    Imported run() {
        const std::string text = read();
        if (looks_like_toml(text)) {
            execution_control(text);
        } else {
            directives_of(text);
        }
        return std::move(out_);
    }

private:
    std::string read() const {
        std::ifstream in(file_, std::ios::binary);
        if (!in) throw_errno("cannot open", file_);
        std::string text(largest_file + 1, '\0');
        in.read(text.data(), static_cast<std::streamsize>(text.size()));
        if (in.bad()) throw_errno("cannot read", file_);
        text.resize(static_cast<size_t>(in.gcount()));
        if (text.size() > largest_file) throw Error(Code::limit, file_ + ": is larger than 1 MiB");
        if (text.find('\0') != std::string::npos) throw Error(Code::invalid, file_ + ": is no text file");
        return text;
    }

    static bool looks_like_toml(const std::string& text) {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            const std::string t = trimmed(line);
            if (t.starts_with("[[") || t.starts_with("activated") || t.starts_with("legacyinsecure")) return true;
        }
        return false;
    }

    std::string at(size_t line) const { return file_ + ":" + std::to_string(line); }

    // A value that cannot be ours is an error: half an import would look like a whole one.
    void take(const std::string& key, const std::vector<std::string>& values, const std::string& where, const std::string& shown) {
        const auto k = index_.find_key(key);
        if (!k) throw Error(Code::internal, "no configuration key '" + key + "'");
        const std::vector<std::string> choices(k->choices.begin(), k->choices.end());
        Imported::Taken t{key, {}, where + ": " + shown};
        for (const auto& v : values) {
            try {
                t.values.push_back(canonical_value(key, v, k->type, choices));
            } catch (const Error& e) {
                throw Error(Code::invalid, where + ": " + shown + ": " + e.message(), e.hint());
            }
        }
        const auto known = std::find_if(out_.taken.begin(), out_.taken.end(), [&](const auto& x) { return x.key == key; });
        if (known != out_.taken.end() && k->type == ValueType::list) {
            for (auto& v : t.values)
                if (std::find(known->values.begin(), known->values.end(), v) == known->values.end()) known->values.push_back(std::move(v));
            known->from += "\n" + t.from;
        } else if (known != out_.taken.end()) {
            *known = std::move(t);  // the last one counts
        } else {
            out_.taken.push_back(std::move(t));
        }
        auto& now = *std::find_if(out_.taken.begin(), out_.taken.end(), [&](const auto& x) { return x.key == key; });
        now.is_default = std::equal(now.values.begin(), now.values.end(), k->initial.begin(), k->initial.end());
    }

    void leave(const std::string& where, const std::string& shown, const std::string& reason, bool attention) {
        out_.left.push_back({where + ": " + shown, reason, attention});
    }

    // ---- singularity.conf, apptainer.conf ----------------------------------------------------------

    void directives_of(const std::string& text) {
        std::istringstream lines(text);
        size_t number = 0;
        for (std::string line; std::getline(lines, line);) {
            ++number;
            std::string body = trimmed(line);
            if (body.empty() || body[0] == '#') continue;
            const size_t equals = body.find('=');
            const std::string name = trimmed(std::string_view(body).substr(0, equals));
            // The line is not shown: in the wrong file, as a registry's logins, it may hold a secret.
            if (equals == std::string::npos || !is_name(name))
                throw Error(Code::invalid, at(number) + ": the line is not of the form 'key = value'",
                            "Files that can be imported are singularity.conf, apptainer.conf and ecl.toml.");
            const std::string value = trimmed(std::string_view(body).substr(equals + 1));
            directive(name, value, at(number));
        }
    }

    static bool is_name(std::string_view text) {
        return !text.empty() && text.size() <= longest_name && std::all_of(text.begin(), text.end(), [](unsigned char c) {
            return std::isalnum(c) || c == ' ' || c == '-' || c == '_';
        });
    }

    void directive(const std::string& name, const std::string& value, const std::string& where) {
        const std::string shown = name + " = " + value;
        const auto* d = std::find_if(std::begin(directives), std::end(directives), [&](const Directive& x) { return name == x.name; });
        if (d == std::end(directives)) {
            std::vector<std::string_view> names;
            for (const auto& x : directives) names.emplace_back(x.name);
            const std::string hint = did_you_mean(name, names);
            leave(where, name, "no such directive is known" + (hint.empty() ? "" : ". " + hint), true);
            return;
        }
        if (!d->key) {
            const bool none = value.empty() || value == "NULL";
            leave(where, shown, d->reason, d->harmless && value != d->harmless && !(none && !*d->harmless));
            return;
        }
        const std::string key = d->key;
        if (value.empty() || value == "NULL") {
            leave(where, shown, key == "policy.paths.allow" ? "it limits nothing" : "it has no value", false);
        } else if (key == "overlay.enable" && value == "driver") {
            leave(where, shown, "the kernel's overlay is used where it works, and fuse-overlayfs else", false);
        } else if (key == "policy.paths.allow") {
            take(key, split(value), where, shown);
        } else {
            take(key, {value}, where, shown);
        }
    }

    // ---- ecl.toml ------------------------------------------------------------------------------------

    void execution_control(const std::string& text) {
        std::istringstream in(text);
        toml::value root;
        try {
            root = toml::parse(in, file_);
        } catch (const toml::exception& e) {
            throw Error(Code::invalid, at(e.location().line()) + ": is no valid TOML", "", e.what());
        } catch (const std::exception& e) {
            throw Error(Code::invalid, file_ + ": is no valid TOML", "", e.what());
        }
        bool active = false;
        for (const auto& [name, value] : root.as_table()) {
            const std::string where = at(value.location().line());
            if (name == "activated") {
                active = flag(value, where, name);
            } else if (name == "legacyinsecure") {
                if (flag(value, where, name))
                    leave(where, "legacyinsecure = true", "signatures of Singularity before 3.6 protect less and do not count here", true);
                else
                    leave(where, "legacyinsecure = false", "signatures of Singularity before 3.6 never count here", false);
            } else if (name != "execgroup") {
                leave(where, name, "no such entry is known", true);
            }
        }
        if (root.as_table().contains("execgroup")) groups(root.as_table().at("execgroup"), active);
        if (!active) leave(file_, "activated = false", "the list is switched off, so none of its groups is taken over", false);
    }

    bool flag(const toml::value& v, const std::string& where, const std::string& name) const {
        if (!v.is_boolean()) throw Error(Code::invalid, where + ": '" + name + "' must be true or false");
        return v.as_boolean();
    }

    void groups(const toml::value& list, bool active) {
        if (!list.is_array()) throw Error(Code::invalid, at(list.location().line()) + ": 'execgroup' must be [[execgroup]]");
        std::set<std::set<std::string>> different;
        bool everywhere = false;
        struct Group {
            std::string where, name, mode, directory;
            std::vector<std::string> keys;
        };
        std::vector<Group> all;
        for (const auto& g : list.as_array()) {
            if (!g.is_table()) throw Error(Code::invalid, at(g.location().line()) + ": a group is a table");
            Group group;
            group.where = at(g.location().line());
            for (const auto& [name, value] : g.as_table()) {
                const std::string where = at(value.location().line());
                const auto text = [&](const toml::value& v) {
                    if (!v.is_string()) throw Error(Code::invalid, where + ": '" + name + "' must be a text");
                    return v.as_string().str;
                };
                if (name == "tagname") group.name = text(value);
                else if (name == "mode") group.mode = text(value);
                else if (name == "dirpath") group.directory = text(value);
                else if (name == "keyfp") {
                    if (!value.is_array()) throw Error(Code::invalid, where + ": 'keyfp' must be a list");
                    for (const auto& k : value.as_array()) group.keys.push_back(text(k));
                } else {
                    leave(where, name, "no such entry of a group is known", true);
                }
            }
            if (group.mode != "whitelist" && group.mode != "whitestrict" && group.mode != "blacklist")
                throw Error(Code::invalid, group.where + ": the mode '" + group.mode + "' is none of: whitelist, whitestrict, blacklist");
            all.push_back(std::move(group));
        }
        for (const auto& g : all) {
            const std::string shown = "execgroup '" + g.name + "' (" + g.mode + ")";
            if (!active) {
                leave(g.where, shown, "the list is switched off", false);
                continue;
            }
            take(g.mode == "blacklist" ? "policy.signers.deny" : "policy.signers.allow", g.keys, g.where, shown);
            different.insert({g.keys.begin(), g.keys.end()});
            if (g.directory.empty()) everywhere = true;
            if (g.mode == "whitestrict" && g.keys.size() > 1)
                leave(g.where, shown, "there every key of the group had to sign; here one of them is enough", true);
        }
        if (!active) return;
        for (const auto& g : all)
            if (!everywhere) take("policy.paths.allow", {g.directory}, g.where, "dirpath of '" + g.name + "'");
            else if (!g.directory.empty()) leave(g.where, "dirpath of '" + g.name + "'", "another group holds for every directory", true);
        if (different.size() > 1 && !everywhere)
            leave(file_, "groups with keys of their own", "here each allowed key counts in each allowed directory", true);
    }

    const std::string& file_;
    const Index& index_;
    Imported out_;
};

// A text as YAML reads it back.
std::string quoted(const std::string& text) {
    const bool plain = !text.empty() && text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-") == std::string::npos && text[0] != '-';
    if (plain) return text;
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
    return out + "'";
}

std::string yaml_value(const std::vector<std::string>& values, ValueType type) {
    if (type == ValueType::boolean) return values.at(0) == "true" ? "yes" : "no";
    if (type != ValueType::list) return quoted(values.at(0));
    std::string out;
    for (const auto& v : values) out += (out.empty() ? "" : ", ") + quoted(v);
    return "[" + out + "]";
}

std::string comment(std::string text) {
    // Control characters of the other file would end the comment.
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n') c = ' ';
    std::string out = "# ";
    for (const char c : text) out += c == '\n' ? "\n# " : std::string(1, c);
    return out + "\n";
}

}  // namespace

Imported import_configuration(const std::string& file, const Index& index) { return Importer(file, index).run(); }

std::string imported_yaml(const Imported& imported, const std::string& file) {
    const auto type_of = [](const std::string& key) {
        for (const auto& k : core_schema())
            if (k.name == key) return k.type;
        return ValueType::text;
    };
    std::string out = comment("Made from " + file + " by 'singularity config import'.");
    for (const auto& t : imported.taken) {
        out += "\n" + comment(t.from);
        const std::string line = t.key + ": " + yaml_value(t.values, type_of(t.key)) + "\n";
        out += t.is_default ? "# " + line.substr(0, line.size() - 1) + "   (the default here as well)\n" : line;
    }
    for (const bool attention : {true, false}) {
        if (std::none_of(imported.left.begin(), imported.left.end(), [&](const auto& l) { return l.wants_attention == attention; })) continue;
        out += "\n" + comment(attention ? "Not taken over, please look at them:" : "Not needed:");
        for (const auto& l : imported.left)
            if (l.wants_attention == attention) out += comment("  " + l.from + "\n      " + l.reason);
    }
    return out;
}

}  // namespace sg
