#include "config/compile.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/nearest.hpp"
#include "base/trusted_path.hpp"
#include "config/manifest.hpp"
#include "config/registration.hpp"
#include "config/schema.hpp"
#include "config/settings.hpp"
#include "config/yaml_source.hpp"

#ifndef SG_VERSION
#define SG_VERSION "4.0.0"
#endif

namespace sg {

namespace {

struct Lock {
    std::string key, file;
    uint32_t line;
};

// One configuration file, read but not yet applied: keys of plugins are only known later.
struct ConfigFile {
    Layer layer;
    std::vector<RawValue> values;
    std::vector<Lock> locks;
};

// A directory that a file of the site includes.
struct Include {
    std::string directory, where;
};

class Compiler {
public:
    // With `problems`, failures are added there instead of thrown.
    explicit Compiler(std::vector<uint32_t> owners, std::vector<Error>* problems = nullptr)
        : owners_(std::move(owners)), sources_(owners_), problems_(problems) {
        out_.keys = core_schema();
    }

    void run(const Installation& installation, const Home& home) {
        out_.stamp = index_stamp(installation, home);
        std::vector<ConfigFile> files;
        const auto config = [&](const std::string& path, Layer layer) {
            attempt(layer, [&] { read_config(path, layer, files); });
        };
        const auto plugins = [&](const std::string& directory, const std::string& base, Layer layer) {
            const auto files_of_it = sources_.list(directory);
            attempt(layer, [&] {
                check_directory(directory);
                for (const auto& path : files_of_it) attempt(layer, [&] { read_registrations(path, base, layer); });
            });
        };
        const auto tree = [&](const std::string& directory, const std::string& base) {
            config(directory + "/singularity.yaml", Layer::site);
            for (const auto& path : sources_.list(directory + "/conf.d")) config(path, Layer::site);
            plugins(directory + "/plugins.d", base, Layer::site);
        };
        tree(installation.conf_dir, installation.plugin_dir);
        const std::vector<Include> includes = std::exchange(includes_, {});
        for (const auto& i : includes) tree(i.directory, i.directory + "/plugins");
        // One level, so that the installation's own files say all that is read.
        for (const auto& i : includes_)
            attempt(Layer::site, [&] {
                throw Error(Code::invalid,
                            i.where + ": only files of " + installation.conf_dir + " may include directories");
            });
        if (home.trusted) {
            // Users' registrations are a site's to forbid, so its value counts before any file of the user's.
            forbidden_ = who_forbids_user_plugins(files);
            plugins(home.config + "/plugins.d", home.config + "/plugins", Layer::user);
            config(home.config + "/config.yaml", Layer::user);
        }
        settle_plugins();
        for (const Layer layer : {Layer::site, Layer::user}) {
            for (const auto& r : registrations_)
                if (r.layer == layer)
                    for (const auto& v : r.config) attempt(Layer::site, [&] { apply(v, layer); });
            for (const auto& f : files)
                if (f.layer == layer)
                    for (const auto& v : f.values) attempt(Layer::site, [&] { apply(v, layer); });
            if (layer != Layer::site) continue;
            for (const auto& f : files)
                for (const auto& l : f.locks) attempt(Layer::site, [&] { lock(l); });
            // A site that forbids plugins of users has said so for good.
            if (const model::Key* k = key("plugins.user");
                k && k->values == std::vector<std::string>{"false"} && k->layer == Layer::site)
                lock({k->name, k->file, k->line});
        }
    }

    void manifests(const std::vector<std::string>& paths,
                   const std::vector<std::pair<std::string, std::string>>& values) {
        for (const auto& path : paths) {
            Registration r;
            r.manifest = path;
            r.file = "(list)";
            add(r, "/", Layer::site);
        }
        settle_plugins();
        for (const auto& [k, v] : values) apply({k, "(list)", 1, false, false, false, {v}, {1}}, Layer::site);
    }

    model::Configuration take() {
        out_.files = sources_.seen();
        return std::move(out_);
    }

private:
    // Files of the user's that cannot be trusted are left out with a warning; wrong ones are errors.
    template <class F>
    void attempt(Layer layer, F&& f) {
        try {
            f();
        } catch (const Error& e) {
            if (layer == Layer::user && e.code() == Code::permission)
                out_.warnings.push_back(e.message());
            else if (problems_)
                problems_->push_back(e);
            else
                throw;
        }
    }

    void read_config(const std::string& path, Layer layer, std::vector<ConfigFile>& files) {
        const auto document = sources_.read(path);
        if (!document || document->IsNull()) return;
        ConfigFile f{layer, {}, {}};
        if (!document->IsMap()) wrong(path, *document, "a configuration file must be a map (name: value)");
        const YAML::Node locks = (*document)["locks"];
        if (locks.IsDefined() && !locks.IsNull()) {
            if (layer != Layer::site) wrong(path, locks, "only files of the site may lock keys");
            if (!locks.IsSequence()) wrong(path, locks, "'locks' must be a list of keys");
            for (const auto& l : locks) f.locks.push_back({text_of(path, l, "a locked key"), path, line_of(l)});
        }
        const YAML::Node include = (*document)["include"];
        if (include.IsDefined() && !include.IsNull()) {
            if (layer != Layer::site) wrong(path, include, "only files of the site may include directories");
            attempt(layer, [&] { read_include(path, include); });
        }
        // Their texts are no values of keys.
        flatten(path, *document, "", f.values, problems_);
        std::erase_if(f.values, [](const RawValue& v) { return v.key == "locks" || v.key == "include"; });
        files.push_back(std::move(f));
    }

    void read_include(const std::string& path, const YAML::Node& node) {
        for (const auto& text : texts_of(path, node, "'include'")) {
            const std::string where = at(path, node);
            if (text.empty() || text[0] != '/')
                wrong(path, node, "an included directory has an absolute path, not '" + text + "'");
            if (auto directory = expanded(text, where)) includes_.push_back({std::move(*directory), where});
        }
    }

    // "/sw/site/${CLUSTER}" with the variable's value; nullopt when it is not set. A value is one name, so that it
    // cannot lead to another directory than one beside those that the administrator means.
    std::optional<std::string> expanded(const std::string& text, const std::string& where) {
        std::string out;
        for (size_t at = 0; at < text.size();) {
            if (text.compare(at, 2, "${") != 0) {
                out += text[at++];
                continue;
            }
            const size_t end = text.find('}', at);
            const std::string name = end == std::string::npos ? "" : text.substr(at + 2, end - at - 2);
            if (name.empty() ||
                name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") !=
                    std::string::npos)
                throw Error(Code::invalid, where + ": '" + text + "': a variable is written ${NAME}");
            const std::string value = sources_.variable(name);
            if (value.empty()) return std::nullopt;
            if (value[0] == '.' || value.find('/') != std::string::npos)
                throw Error(Code::invalid,
                            where + ": the value '" + value + "' of " + name + " is no name of a directory");
            out += value;
            at = end + 1;
        }
        return out;
    }

    // "FILE:LINE" of the site's file that keeps plugins of users out; "" when none does.
    static std::string who_forbids_user_plugins(const std::vector<ConfigFile>& files) {
        std::string where;
        for (const auto& f : files)
            for (const auto& v : f.values)
                if (v.key == "plugins.user" && v.texts.size() == 1) {
                    bool allowed = false;  // also when it is no yes or no: apply() reports it
                    try {
                        allowed = canonical(v.texts[0], ValueType::boolean, {}) == "true";
                    } catch (const Error&) {
                    }
                    where = allowed ? std::string() : v.file + ":" + std::to_string(v.line);
                }
        return where;
    }

    // ---- Plugins --------------------------------------------------------------------------------

    struct Applied {
        Layer layer;
        std::vector<RawValue> config;
    };

    void check_directory(const std::string& directory) const {
        const std::string unsafe = unsafe_way(directory + "/file", owners_, Way::whole);
        if (!unsafe.empty())
            throw Error(Code::permission, "plugins registered in " + directory + " are not used, because of " + unsafe,
                        "Run: chmod go-w " + unsafe.substr(0, unsafe.find(',')));
    }

    void read_registrations(const std::string& path, const std::string& base, Layer layer) {
        RegistrationFile file;
        try {
            const auto document = sources_.read(path);
            if (!document) return;
            file = parse_registrations(path, *document);
        } catch (const Error& e) {
            // What one package or user got wrong takes nothing from the others. Who may write to it is another matter.
            if (problems_ || e.code() == Code::permission) throw;
            out_.warnings.push_back(e.message() + ": nothing in this file is registered" +
                                    (e.hint().empty() ? "" : ". " + e.hint()));
            return;
        }
        if (layer == Layer::user && !forbidden_.empty()) return forbid(file, base);
        for (const auto& r : file.plugins) add(r, base, layer);
        for (auto& a : file.absent) out_.absent.push_back(std::move(a));
    }

    void add(const Registration& r, const std::string& base, Layer layer) {
        const std::string where = r.file + ":" + std::to_string(r.line);
        auto found = out_.plugins.end();
        if (!r.name.empty()) {
            found = named(r.name);
            if (found == out_.plugins.end()) {
                if (r.optional) return;
                std::vector<std::string_view> names;
                for (const auto& p : out_.plugins) names.push_back(p.name);
                const std::string hint = did_you_mean(r.name, names);
                out_.warnings.push_back(where + ": no plugin '" + r.name + "' is registered before this line" +
                                        (hint.empty() ? "" : ". " + hint));
                return;
            }
            if (r.enabled.value_or(false) && found->why.starts_with("disabled in ")) found->why.clear();
        } else {
            found = load(r, base, where);
            if (found == out_.plugins.end()) return;
        }
        if (!r.enabled.value_or(true)) found->why = "disabled in " + where;
        found->active = found->why.empty();
        registrations_.push_back({layer, r.config});
        if (!r.before.empty()) move_before(found, r, where);
    }

    // Registered in vain, for `plugin list` and for who asks for what it provides.
    void forbid(const RegistrationFile& file, const std::string& base) {
        for (const auto& r : file.plugins) {
            if (r.manifest.empty()) continue;
            model::Plugin p;
            try {
                p = read_manifest(r, base);
            } catch (const Error&) {
                continue;
            }
            p.absent.clear();
            p.active = false;
            p.why = "this site forbids plugins of users (" + forbidden_ + ")";
            p.registered_in = r.file;
            p.registered_line = r.line;
            out_.plugins.push_back(std::move(p));
        }
    }

    static std::string manifest_path(const Registration& r, const std::string& base) {
        return r.manifest[0] == '/' ? r.manifest : base + (base == "/" ? "" : "/") + r.manifest;
    }

    model::Plugin read_manifest(const Registration& r, const std::string& base) {
        const std::string path = manifest_path(r, base);
        const auto document = sources_.read(path);
        if (!document) throw Error(Code::not_found, path + ": no such manifest");
        const std::string unsafe = unsafe_way(path, owners_, Way::whole);
        if (!unsafe.empty()) throw Error(Code::permission, path + ": is not used, because of " + unsafe);
        return parse_manifest(path, *document, out_.warnings);
    }

    std::vector<model::Plugin>::iterator named(const std::string& name) {
        // The last one of that name: earlier ones were replaced.
        const auto at =
            std::find_if(out_.plugins.rbegin(), out_.plugins.rend(), [&](const auto& p) { return p.name == name; });
        return at == out_.plugins.rend() ? out_.plugins.end() : std::next(at).base();
    }

    std::vector<model::Plugin>::iterator load(const Registration& r, const std::string& base,
                                              const std::string& where) {
        model::Plugin p;
        try {
            p = read_manifest(r, base);
            if (p.abi > SG_ABI_VERSION)
                p.why = "it needs plugin ABI " + std::to_string(p.abi) + "; this program has " +
                        std::to_string(SG_ABI_VERSION);
        } catch (const Error& e) {
            if (r.optional && e.code() == Code::not_found) return out_.plugins.end();
            // The others go on working; the manifest's path stands for its unknown name.
            p = {};
            p.name = r.manifest;
            p.manifest = manifest_path(r, base);
            p.why = e.message();
        }
        p.registered_in = r.file;
        p.registered_line = r.line;
        if (!p.why.empty()) out_.warnings.push_back(where + ": plugin " + p.name + " is not active: " + p.why);
        if (const auto old = named(p.name); old != out_.plugins.end()) {
            if (old->manifest == p.manifest) {  // registered again: configured anew, in its old place
                *old = std::move(p);
                return old;
            }
            old->active = false;
            old->why = "replaced by " + where;
        }
        out_.plugins.push_back(std::move(p));
        return std::prev(out_.plugins.end());
    }

    void move_before(std::vector<model::Plugin>::iterator plugin, const Registration& r, const std::string& where) {
        const auto target = named(r.before);
        if (target == out_.plugins.end()) {
            out_.warnings.push_back(where + ": no plugin '" + r.before + "' is registered before this line");
        } else if (target < plugin) {
            std::rotate(target, plugin, std::next(plugin));
        } else if (plugin < target) {
            std::rotate(plugin, std::next(plugin), target);
        }
    }

    // Who is hidden by whom, which keys there are.
    void settle_plugins() {
        std::map<std::pair<CapabilityKind, std::string>, model::Capability*> last;
        std::set<std::string> keys;
        for (const auto& k : out_.keys) keys.insert(k.name);
        for (auto& p : out_.plugins) {
            for (const auto& a : p.absent) out_.absent.push_back(a);
            if (!p.active) {
                for (const auto& k : p.keys) sleeping_.insert(k.name);
                continue;
            }
            for (auto& c : p.capabilities) {
                auto& slot = last[{c.kind, c.name}];
                if (slot && c.kind != CapabilityKind::hook) slot->shadowed = true;
                slot = &c;
            }
            for (const auto& k : p.keys) {
                if (keys.insert(k.name).second)
                    out_.keys.push_back(k);
                else if (!same_key(*key(k.name), k))  // plugins of one family share keys
                    out_.warnings.push_back(p.manifest + ": configuration key '" + k.name + "' exists already");
            }
        }
    }

    // ---- Values ---------------------------------------------------------------------------------

    static bool same_key(const model::Key& a, const model::Key& b) {
        return a.type == b.type && a.doc == b.doc && a.initial == b.initial && a.choices == b.choices &&
               a.variables == b.variables && !a.plugin.empty();
    }

    model::Key* key(const std::string& name) {
        for (auto& k : out_.keys)
            if (k.name == name) return &k;
        return nullptr;
    }

    [[noreturn]] void unknown_key(const std::string& name, const std::string& where) {
        std::vector<std::string_view> names;
        for (const auto& k : out_.keys) names.push_back(k.name);
        throw Error(Code::invalid, where + ": unknown configuration key '" + name + "'", did_you_mean(name, names));
    }

    void apply(const RawValue& v, Layer layer) {
        const std::string where = v.file + ":" + std::to_string(v.line);
        model::Key* k = key(v.key);
        if (!k) {
            if (sleeping_.count(v.key)) return;
            unknown_key(v.key, where);
        }
        if (v.adds && k->type != ValueType::list)
            throw Error(Code::invalid, where + ": '" + v.key + "' takes one value; a '+' adds to a list");
        std::vector<std::string> values = v.texts;
        std::vector<model::Place> places;
        if (k->type != ValueType::list) {
            if (v.is_list)
                throw Error(Code::invalid,
                            where + ": '" + v.key + "' takes one value of type " + type_name(k->type) + ", not a list");
            if (v.is_null && k->type != ValueType::text)
                throw Error(Code::invalid,
                            where + ": '" + v.key + "' has no value; it is of type " + type_name(k->type));
            if (v.is_null) values = {""};
        }
        for (size_t i = 0; i < values.size(); ++i) {
            const uint32_t line = i < v.lines.size() ? v.lines[i] : v.line;
            try {
                if (!v.is_null) values[i] = canonical_value(v.key, values[i], k->type, k->choices);
            } catch (const Error& e) {
                throw Error(Code::invalid, v.file + ":" + std::to_string(line) + ": '" + v.key + "': " + e.message(),
                            e.hint());
            }
            if (k->type == ValueType::list) places.push_back({v.file, line});
        }
        if (v.adds) add_to(*k, values, places);
        if (layer != Layer::site && !k->lock_file.empty() && values != k->values)
            throw locked_error(where, v.key, k->lock_file, k->lock_line,
                               "Remove the line, or ask the administrator of this installation.");
        if (layer != Layer::site && !k->lock_file.empty()) return;  // the same value: the site's origin stays
        k->values = std::move(values);
        k->places = std::move(places);
        k->layer = layer;
        k->file = v.file;
        k->line = v.line;
    }

    // Puts what the key has already before `values`, each value once.
    static void add_to(const model::Key& k, std::vector<std::string>& values, std::vector<model::Place>& places) {
        std::vector<std::string> all = k.values;
        std::vector<model::Place> where = k.places;
        where.resize(all.size());
        for (size_t i = 0; i < values.size(); ++i) {
            if (std::find(all.begin(), all.end(), values[i]) != all.end()) continue;
            all.push_back(std::move(values[i]));
            where.push_back(std::move(places[i]));
        }
        values = std::move(all);
        places = std::move(where);
    }

    void lock(const Lock& l) {
        model::Key* k = key(l.key);
        if (!k) {
            if (sleeping_.count(l.key)) return;
            unknown_key(l.key, l.file + ":" + std::to_string(l.line));
        }
        if (!k->lock_file.empty()) return;  // the first lock is named
        k->lock_file = l.file;
        k->lock_line = l.line;
    }

    const std::vector<uint32_t>
        owners_;  // who may have written what is read: root, the installation's owner, the caller
    YamlSources sources_;
    std::vector<Error>* problems_;
    model::Configuration out_;
    std::vector<Applied> registrations_;
    std::string forbidden_;  // who keeps plugins of users out
    std::vector<Include> includes_;
    std::set<std::string> sleeping_;  // keys of plugins that are not active
};

}  // namespace

std::string index_stamp(const Installation& installation, const Home& home) {
    return std::string(SG_VERSION) + "\n" + installation.executable + "\n" + installation.conf_dir + "\n" +
           installation.plugin_dir + "\n" + (home.trusted ? home.config : std::string()) + "\n";
}

model::Configuration compile_configuration(const Installation& installation, const Home& home) {
    Compiler compiler({0, installation.owner, static_cast<uint32_t>(geteuid())});
    compiler.run(installation, home);
    return compiler.take();
}

model::Configuration compile_what_can_be(const Installation& installation, const Home& home,
                                         std::vector<Error>& problems) {
    Compiler compiler({0, installation.owner, static_cast<uint32_t>(geteuid())}, &problems);
    compiler.run(installation, home);
    return compiler.take();
}

model::Configuration compile_manifests(const std::vector<std::string>& manifests,
                                       const std::vector<std::pair<std::string, std::string>>& values) {
    Compiler compiler({0, static_cast<uint32_t>(geteuid())});
    compiler.manifests(manifests, values);
    return compiler.take();
}

}  // namespace sg
