// singularity plugin list | inspect | create | test | install | remove | enable | disable
#include <algorithm>
#include <memory>

#include "base/nearest.hpp"
#include "cli/json_writer.hpp"
#include "cli/plugin_create.hpp"
#include "cli/plugin_manage.hpp"
#include "cli/plugin_test.hpp"
#include "cli/print.hpp"
#include "cli/verbs.hpp"

namespace sg {

namespace {

std::string place(std::string_view file, uint32_t line) { return std::string(file) + ":" + std::to_string(line); }

// The kinds of what it provides, as "format, command".
std::string kinds(const std::vector<CapabilityView>& all) {
    std::string out;
    for (const auto& c : all) {
        const std::string kind = kind_name(c.kind);
        if (out.find(kind) == std::string::npos) out += (out.empty() ? "" : ", ") + kind;
    }
    return out;
}

// Who hides this capability, and why: what is found by its name was registered later.
std::string hidden_by(const Index& index, const CapabilityView& c) {
    if (!c.shadowed) return {};
    const auto found = index.find(c.kind, c.name);
    if (!found) return "another plugin";
    const PluginView by = index.plugin(found->plugin);
    return std::string(by.name) + ", registered later (" + place(by.registered_in, by.registered_line) + ")";
}

std::string state(const Index& index, const PluginView& p, const std::vector<CapabilityView>& all) {
    if (!p.active) return std::string(p.why);
    for (const auto& c : all)
        if (c.shadowed) return std::string(kind_name(c.kind)) + " " + std::string(c.name) + " comes from plugin " + hidden_by(index, c);
    return "active";
}

void write_json(JsonWriter& json, const Index& index, const PluginView& p) {
    const auto all = index.capabilities_of(p.number);
    json.begin_object();
    json.member("name", p.name);
    json.member("version", p.version);
    json.member("summary", p.summary);
    json.key("active"), json.boolean(p.active);
    if (!p.active) json.member("why", p.why);
    json.member("object", p.object);
    json.member("manifest", p.manifest);
    json.member("registered", place(p.registered_in, p.registered_line));
    json.key("abi"), json.integer(p.abi);
    json.key("capabilities");
    json.begin_array();
    for (const auto& c : all) {
        json.begin_object();
        json.member("kind", kind_name(c.kind));
        json.member("name", c.name);
        json.member("summary", c.summary);
        if (c.shadowed) json.member("shadowedBy", hidden_by(index, c));
        json.end_object();
    }
    json.end_array();
    json.end_object();
}

int list(Session& session) {
    const Index& index = session.plugins.index();
    if (session.json) {
        JsonWriter json;
        json.begin_object();
        json.key("plugins");
        json.begin_array();
        for (uint32_t i = 0; i < index.plugin_count(); ++i) write_json(json, index, index.plugin(i));
        json.end_array();
        json.end_object();
        print(json.take());
        return 0;
    }
    std::vector<std::vector<std::string>> rows{{"NAME", "KIND", "PROVIDES", "STATE", "OBJECT", "MANIFEST"}};
    for (uint32_t i = 0; i < index.plugin_count(); ++i) {
        const PluginView p = index.plugin(i);
        const auto all = index.capabilities_of(i);
        std::string names;
        for (const auto& c : all) names += (names.empty() ? "" : ", ") + std::string(c.name);
        rows.push_back({std::string(p.name), kinds(all), names, state(index, p, all), std::string(p.object), std::string(p.manifest)});
    }
    std::string out;
    std::vector<size_t> widths(rows.front().size());
    for (const auto& r : rows)
        for (size_t i = 0; i < r.size(); ++i) widths[i] = std::max(widths[i], r[i].size());
    for (const auto& r : rows) {
        std::string line;
        for (size_t i = 0; i < r.size(); ++i) {
            line += r[i];
            if (i + 1 < r.size()) line.append(widths[i] - r[i].size() + 2, ' ');
        }
        out += line + "\n";
    }
    print(out);
    return 0;
}

int inspect(const std::string& name, Session& session) {
    const Index& index = session.plugins.index();
    const PluginView p = need_plugin(index, name);
    if (session.json) {
        JsonWriter json;
        write_json(json, index, p);
        print(json.take());
    } else {
        std::string out;
        const auto line = [&](const char* title, std::string_view text) {
            if (!text.empty()) out += std::string(title) + std::string(12 - std::string_view(title).size(), ' ') + std::string(text) + "\n";
        };
        line("name", p.name);
        line("version", p.version);
        line("summary", p.summary);
        line("state", p.active ? "active" : p.why);
        line("object", p.object);
        line("manifest", p.manifest);
        line("registered", place(p.registered_in, p.registered_line));
        for (const auto& c : index.capabilities_of(p.number)) {
            std::string text = std::string(kind_name(c.kind)) + " " + std::string(c.name);
            if (!c.summary.empty()) text += ": " + std::string(c.summary);
            if (c.shadowed) text += " (hidden by plugin " + hidden_by(index, c) + ")";
            line("provides", text);
        }
        for (uint32_t i = 0; i < index.key_count(); ++i) {
            const KeyView k = index.key(i);
            if (k.plugin == p.name)
                line("key", std::string(k.name) + " (" + type_name(k.type) + "): " + std::string(k.doc));
        }
        print(out);
    }
    // An object that cannot be used is a failure of this command, after what the manifest says.
    if (p.active) session.plugins.verify(p.name);
    return 0;
}

Action declare(Arguments& arguments) {
    struct Options {
        std::string action, what, kind, language = "c++";
        bool user = false;
        std::vector<std::string> samples;
    };
    auto o = std::make_shared<Options>();
    arguments.usage("list|inspect|create|test|install|remove|enable|disable [options] [NAME|DIRECTORY|FILE]");
    arguments.word("ACTION", o->action,
                   "list: all registered plugins, loading none; inspect NAME: one plugin, loading and checking its object; create NAME: a "
                   "directory NAME with the project of a new one, which builds, tests and documents itself; test DIRECTORY|OBJECT: checks a "
                   "built one against what the SDK's headers say; install DIRECTORY|ARCHIVE: "
                   "a built one; remove NAME: one that was installed so; enable NAME, disable NAME: any one, without removing it")
        .required()
        .one_of({"list", "inspect", "create", "test", "install", "remove", "enable", "disable"});
    arguments.word("NAME", o->what, "A plugin; for test and install a directory with plugin.yaml and the object, for install also a tar archive of one").offers("PLUGIN");
    arguments.flag("--user", o->user, "Install, remove, enable or disable for yourself alone (in ~/.singularity)");
    arguments.text("--kind", o->kind,
                   "What a new plugin provides: bootstrap, command, format, hook, launcher or transport");
    arguments.text("--lang", o->language, "The language of a new plugin (default c++)").one_of({"c++", "c"});
    arguments.list("--with", o->samples, "Something real that 'test' may use: a reference, a URL, an image file, a command line").shown_as("SAMPLE");
    arguments.examples({"singularity plugin list", "singularity plugin inspect NAME", "singularity plugin create NAME --kind bootstrap",
                        "singularity plugin test build/ --with NAME://thing", "singularity plugin install --user build/", "singularity plugin disable NAME"});
    return [o](Session& session) {
        const std::string &action = o->action, &what = o->what;
        const auto wrong = [](const std::string& why) { return Error(Code::usage, why, "See: singularity help plugin"); };
        if (action == "list" && !what.empty()) throw wrong("'plugin list' takes no argument");
        if (action != "list" && what.empty())
            throw wrong("'plugin " + action + "' needs " + (action == "install" ? "a directory or an archive" : action == "test" ? "a directory or an object" : action == "create" ? "a name" : "the name of a plugin"));
        if (action != "create" && !o->kind.empty()) throw wrong("--kind is an option of 'plugin create'");
        if (o->user && (action == "list" || action == "inspect" || action == "create" || action == "test")) throw wrong("--user is no option of 'plugin " + action + "'");
        if (action != "test" && !o->samples.empty()) throw wrong("--with is an option of 'plugin test'");
        if (action == "list") return list(session);
        if (action == "inspect") return inspect(what, session);
        if (action == "test") test_plugin(what, o->samples, session);
        if (action == "create") create_plugin({what, o->kind, o->language}, session);
        else if (action == "install") install_plugin(what, o->user, session);
        else if (action == "remove") remove_plugin(what, o->user, session);
        else switch_plugin(what, action == "enable", o->user, session);
        return 0;
    };
}

}  // namespace

extern const Verb plugin_verb{"plugin", "About this installation", "List, install, make and switch plugins", {}, false, declare};

}  // namespace sg
