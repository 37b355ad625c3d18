// singularity config show [--origin] [KEY] | compile
#include <algorithm>
#include <memory>

#include "base/nearest.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "cli/verbs.hpp"
#include "config/store.hpp"
#include "runtime/subordinate_ids.hpp"

namespace sg {

namespace {

struct Options {
    std::string action, key;
    bool origin = false, add = false, remove = false, enable = false, disable = false;
};

// `config fakeroot`: the ids that a user may map besides his own.
int change_fakeroot(const Options& o) {
    using runtime::RangeEdit;
    if (o.add + o.remove + o.enable + o.disable != 1 || o.key.empty())
        throw Error(Code::usage, "config fakeroot: say what to do for whom", "the form is: singularity config fakeroot --add|--remove|--enable|--disable USER");
    runtime::edit_subordinate_ids(o.add ? RangeEdit::add : o.remove ? RangeEdit::remove : o.enable ? RangeEdit::enable : RangeEdit::disable, o.key);
    return 0;
}

// What is shown: one key, the keys of a group ("mount"), or all.
std::vector<KeyView> chosen(const Index& index, const std::string& wanted) {
    std::vector<KeyView> out;
    for (uint32_t i = 0; i < index.key_count(); ++i) {
        KeyView k = index.key(i);
        if (wanted.empty() || k.name == wanted || (k.name.starts_with(wanted) && k.name.substr(wanted.size()).starts_with(".")))
            out.push_back(std::move(k));
    }
    if (!out.empty()) return out;
    std::vector<std::string_view> names;
    for (uint32_t i = 0; i < index.key_count(); ++i) names.push_back(index.key(i).name);
    throw Error(Code::not_found, "unknown configuration key '" + wanted + "'", did_you_mean(wanted, names));
}

std::string locked(const KeyView& k) {
    return k.lock_file.empty() ? std::string() : std::string(k.lock_file) + ":" + std::to_string(k.lock_line);
}

void show_json(const std::vector<KeyView>& keys, const Settings& settings) {
    JsonWriter json;
    json.begin_object();
    for (const auto& k : keys) {
        json.key(k.name);
        json.begin_object();
        json.key("value");
        switch (k.type) {
            case ValueType::boolean: json.boolean(settings.boolean(k.name)); break;
            case ValueType::integer: json.integer(settings.integer(k.name)); break;
            case ValueType::text: json.text(settings.text(k.name)); break;
            case ValueType::list:
                json.begin_array();
                for (const auto& v : settings.values(k.name)) json.text(v);
                json.end_array();
        }
        json.member("type", type_name(k.type));
        json.member("origin", settings.origin(k.name).where);
        if (!k.lock_file.empty()) json.member("lock", locked(k));
        if (!k.plugin.empty()) json.member("plugin", k.plugin);
        json.member("doc", k.doc);
        json.end_object();
    }
    json.end_object();
    print(json.take());
}

int show(const Options& o, Session& session) {
    const Settings& settings = session.settings;
    const auto keys = chosen(settings.index(), o.key);
    if (session.json) {
        show_json(keys, settings);
        return 0;
    }
    if (keys.size() == 1 && keys.front().name == o.key && !o.origin) {
        print(settings.shown(o.key) + "\n");  // alone: for scripts
        return 0;
    }
    size_t width = 0;
    for (const auto& k : keys) width = std::max(width, k.name.size() + settings.shown(k.name).size() + 2);
    std::string out;
    for (const auto& k : keys) {
        std::string line = std::string(k.name) + ": " + settings.shown(k.name);
        if (o.origin) {
            line.append(width > line.size() ? width - line.size() : 0, ' ');
            line += "  # " + settings.origin(k.name).where;
            if (!k.lock_file.empty()) line += ", locked by " + locked(k);
        }
        out += line + "\n";
    }
    print(out);
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.usage("show [--origin] [--json] [KEY] | compile | fakeroot --add|--remove|--enable|--disable USER");
    arguments.word("ACTION", o->action, "show: the values in effect; compile: write the installation's index again; fakeroot: the ids that a user may map")
        .required()
        .one_of({"show", "compile", "fakeroot"});
    arguments.word("KEY", o->key, "One key, or a group of them as 'mount'; for fakeroot the user");
    arguments.flag("-a,--add", o->add, "fakeroot: give the user 65536 subordinate ids (/etc/subuid, /etc/subgid)");
    arguments.flag("-r,--remove", o->remove, "fakeroot: take them away");
    arguments.flag("-e,--enable", o->enable, "fakeroot: switch them on again");
    arguments.flag("-d,--disable", o->disable, "fakeroot: switch them off");
    arguments.flag("--origin", o->origin, "Say which file and line, variable or option set each value, and what is locked");
    arguments.examples({"singularity config show", "singularity config show --origin build.compress", "singularity config show mount"});
    return [o](Session& session) {
        if (o->action == "show") return show(*o, session);
        if (o->action == "fakeroot") return change_fakeroot(*o);
        write_site_index(session.installation);
        return 0;
    };
}

}  // namespace

extern const Verb config_verb{"config", "About this installation", "Show the configuration and where it comes from", {}, false, declare};

}  // namespace sg
