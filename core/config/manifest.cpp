#include "config/manifest.hpp"

#include <algorithm>

#include "base/nearest.hpp"
#include "config/schema.hpp"

namespace sg {

namespace {

constexpr size_t longest_magic = 64;

class Parser {
public:
    Parser(const std::string& file, std::vector<std::string>& warnings) : file_(file), warnings_(warnings) {}

    model::Plugin plugin(const YAML::Node& document) {
        model::Plugin p;
        p.manifest = file_;
        bool abi = false;
        std::vector<YAML::Node> option_nodes;
        members(document, "the manifest", {"name", "object", "abi", "version", "summary", "provides", "options", "config", "cache", "absent"},
                [&](const std::string& name, const YAML::Node& value) {
                    if (name == "name") p.name = word(value, "name");
                    else if (name == "object") p.object = text(value, "object");
                    else if (name == "abi") p.abi = static_cast<uint32_t>(std::min<int64_t>(integer_of(file_, value, "abi"), UINT32_MAX)), abi = true;
                    else if (name == "version") p.version = text(value, "version");
                    else if (name == "summary") p.summary = text(value, "summary");
                    else if (name == "provides") provides(value, p);
                    else if (name == "options") each(value, "options", [&](const YAML::Node& n) { p.options.push_back(option(n, true)), option_nodes.push_back(n); });
                    else if (name == "config") each(value, "config", [&](const YAML::Node& n) { p.keys.push_back(key(n)); });
                    else if (name == "cache") each(value, "cache", [&](const YAML::Node& n) { p.areas.push_back(area(n)); });
                    else if (name == "absent") each(value, "absent", [&](const YAML::Node& n) { p.absent.push_back(absent(n)); });
                });
        if (p.name.empty()) wrong(file_, document, "the manifest has no 'name'");
        if (p.object.empty()) wrong(file_, document, "plugin " + p.name + " has no 'object'");
        if (!abi) wrong(file_, document, "plugin " + p.name + " has no 'abi'");
        if (p.capabilities.empty())
            wrong(file_, document, "plugin " + p.name + " provides nothing",
                  warnings_.empty() ? "" : warnings_.front());
        if (p.object[0] != '/') p.object = file_.substr(0, file_.rfind('/') + 1) + p.object;
        for (auto& k : p.keys) k.plugin = p.name;
        for (size_t i = 0; i < p.options.size(); ++i) check_takeover(option_nodes[i], p.options[i], p);
        return p;
    }

    // An option that takes over a verb leads to a command of the same manifest, one that does something itself.
    void check_takeover(const YAML::Node& node, const model::Option& o, const model::Plugin& p) {
        if (o.takes_over.empty()) return;
        const std::string what = "--" + o.long_name + " takes over with '" + o.takes_over + "'";
        if (o.type != "flag" && o.type != "text") wrong(file_, node, what + ": its type must be flag or text");
        std::vector<std::string_view> verbs;
        bool found = false, above = false;
        for (const auto& c : p.capabilities)
            for (const auto& m : c.commands) {
                verbs.push_back(m.verb);
                found = found || m.verb == o.takes_over;
                above = above || m.verb.starts_with(o.takes_over + " ");
            }
        if (!found)
            wrong(file_, node, what + ", which is no command of this manifest", did_you_mean(o.takes_over, verbs));
        if (above) wrong(file_, node, what + ", which only has commands below it");
    }

    std::pair<std::string, std::string> absent(const YAML::Node& node) {
        std::pair<std::string, std::string> out;
        members(node, "absent", {"scheme", "message"}, [&](const std::string& name, const YAML::Node& value) {
            (name == "scheme" ? out.first : out.second) = text(value, name.c_str());
        });
        if (out.first.empty() || out.second.empty()) wrong(file_, node, "absent needs 'scheme' and 'message'");
        return out;
    }

private:
    template <class F>
    void members(const YAML::Node& map, const char* what, const std::vector<std::string_view>& known, F&& take) {
        each_member(file_, map, what, [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
            if (std::find(known.begin(), known.end(), name) != known.end()) return take(name, value);
            const std::string hint = did_you_mean(name, known);
            warnings_.push_back(at(file_, key) + ": unknown member '" + name + "' in " + what + (hint.empty() ? "" : ". " + hint));
        });
    }

    template <class F>
    void each(const YAML::Node& list, const char* what, F&& take) {
        if (list.IsNull()) return;
        if (!list.IsSequence()) wrong(file_, list, std::string(what) + " must be a list");
        for (const auto& item : list) take(item);
    }

    std::string text(const YAML::Node& node, const char* what) { return text_of(file_, node, what); }

    // A name that may stand on a command line: letters, digits, and - _ . +
    std::string word(const YAML::Node& node, const char* what) {
        std::string w = text(node, what);
        const bool fine = !w.empty() && w.size() <= 63 && w[0] != '-' && w[0] != '.' && std::all_of(w.begin(), w.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '+';
        });
        if (!fine) wrong(file_, node, std::string(what) + " '" + w + "' must be lower-case letters, digits and - _ . + (at most 63)");
        return w;
    }

    void provides(const YAML::Node& list, model::Plugin& p) {
        each(list, "provides", [&](const YAML::Node& item) {
            each_member(file_, item, "an entry of 'provides'", [&](const std::string& kind, const YAML::Node& key, const YAML::Node& body) {
                const size_t before = p.capabilities.size();
                if (kind == "bootstrap") bootstrap(body, p);
                else if (kind == "transport") transport(body, p);
                else if (kind == "format") format(body, p);
                else if (kind == "launcher") named(body, CapabilityKind::launcher, p);
                else if (kind == "command") command(body, p);
                else if (kind == "hook") named(body, CapabilityKind::hook, p);
                else warnings_.push_back(at(file_, key) + ": this version knows no capability '" + kind + "'. " +
                                         did_you_mean(kind, {"bootstrap", "transport", "format", "launcher", "command", "hook"}));
                for (size_t i = before; i < p.capabilities.size(); ++i) {
                    p.capabilities[i].line = line_of(key);
                    if (p.capabilities[i].name.empty()) wrong(file_, key, kind + " has no name");
                }
            });
        });
    }

    // One capability for each scheme of a scheme or list of them.
    void schemes(const YAML::Node& node, model::Capability& c, std::vector<std::string>& more) {
        if (node.IsScalar()) {
            c.name = word(node, "scheme");
            return;
        }
        each(node, "scheme", [&](const YAML::Node& n) {
            if (c.name.empty()) c.name = word(n, "scheme");
            else more.push_back(word(n, "scheme"));
        });
    }

    static void add_all(model::Capability c, const std::vector<std::string>& more, model::Plugin& p) {
        p.capabilities.push_back(c);
        for (const auto& name : more) {
            c.name = name;
            p.capabilities.push_back(c);
        }
    }

    void bootstrap(const YAML::Node& body, model::Plugin& p) {
        model::Capability c;
        c.kind = CapabilityKind::bootstrap;
        std::vector<std::string> more;
        members(body, "bootstrap", {"scheme", "summary", "example", "keywords", "publishes", "searches", "deletes", "plain_paths", "remote"},
                [&](const std::string& name, const YAML::Node& value) {
                    if (name == "scheme") schemes(value, c, more);
                    else if (name == "summary") c.summary = text(value, "summary");
                    else if (name == "example") c.example = text(value, "example");
                    else if (name == "keywords") c.words = texts_of(file_, value, "keywords");
                    else if (name == "publishes") c.publishes = boolean_of(file_, value, "publishes");
                    else if (name == "searches") c.searches = boolean_of(file_, value, "searches");
                    else if (name == "plain_paths") c.plain_paths = boolean_of(file_, value, "plain_paths");
                    else if (name == "remote") c.remote = boolean_of(file_, value, "remote");
                    else c.deletes = boolean_of(file_, value, "deletes");
                });
        add_all(std::move(c), more, p);
    }

    void transport(const YAML::Node& body, model::Plugin& p) {
        model::Capability c;
        c.kind = CapabilityKind::transport;
        std::vector<std::string> more;
        members(body, "transport", {"scheme", "summary"}, [&](const std::string& name, const YAML::Node& value) {
            if (name == "scheme") schemes(value, c, more);
            else c.summary = text(value, "summary");
        });
        add_all(std::move(c), more, p);
    }

    void format(const YAML::Node& body, model::Plugin& p) {
        model::Capability c;
        c.kind = CapabilityKind::format;
        members(body, "format", {"name", "shape", "magics", "extensions", "default", "selected_by", "selected_short", "summary", "example"},
                [&](const std::string& name, const YAML::Node& value) {
                    if (name == "name") c.name = word(value, "name");
                    else if (name == "shape") {
                        const std::string shape = text(value, "shape");
                        if (shape != "file" && shape != "directory") wrong(file_, value, "shape must be 'file' or 'directory'");
                        c.directory = shape == "directory";
                    } else if (name == "magics") each(value, "magics", [&](const YAML::Node& n) { c.magics.push_back(magic(n)); });
                    else if (name == "extensions") c.words = texts_of(file_, value, "extensions");
                    else if (name == "default") c.standard = boolean_of(file_, value, "default");
                    else if (name == "selected_by") c.selected_by = word(value, "selected_by");
                    else if (name == "selected_short") c.selected_short = text(value, "selected_short");
                    else if (name == "summary") c.summary = text(value, "summary");
                    else c.example = text(value, "example");
                });
        p.capabilities.push_back(std::move(c));
    }

    std::pair<uint64_t, std::string> magic(const YAML::Node& node) {
        std::pair<uint64_t, std::string> m{0, {}};
        members(node, "a magic", {"offset", "hex", "text"}, [&](const std::string& name, const YAML::Node& value) {
            if (name == "offset") m.first = static_cast<uint64_t>(integer_of(file_, value, "offset"));
            else if (name == "hex") m.second = bytes_of(value);
            else m.second = text(value, "text");
        });
        if (m.second.empty() || m.second.size() > longest_magic) wrong(file_, node, "a magic has 1 to 64 bytes");
        return m;
    }

    std::string bytes_of(const YAML::Node& node) {
        const std::string hex = text(node, "hex");
        const auto digit = [&](char c) -> int {
            if (c >= '0' && c <= '9') return c - '0';
            if (c >= 'a' && c <= 'f') return c - 'a' + 10;
            if (c >= 'A' && c <= 'F') return c - 'A' + 10;
            wrong(file_, node, "hex '" + hex + "' has a character that is no hexadecimal digit");
        };
        if (hex.size() % 2 != 0) wrong(file_, node, "hex '" + hex + "' has an odd number of digits");
        std::string out;
        for (size_t i = 0; i < hex.size(); i += 2) out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
        return out;
    }

    void named(const YAML::Node& body, CapabilityKind kind, model::Plugin& p) {
        model::Capability c;
        c.kind = kind;
        std::vector<std::string_view> known{"name", "summary"};
        if (kind == CapabilityKind::hook) known.insert(known.end(), {"events", "wants"});
        members(body, kind_name(kind), known, [&](const std::string& name, const YAML::Node& value) {
            if (name == "name") c.name = word(value, "name");
            else if (name == "summary") c.summary = text(value, "summary");
            else if (name == "wants")
                wishes(value, c);
            else c.words = texts_of(file_, value, "events");
        });
        for (const auto& event : c.words) {
            const std::vector<std::string_view> events{"resolved",   "fetched", "before_build", "built",
                                                       "before_run", "ended",   "before_push",  "signers"};
            if (std::find(events.begin(), events.end(), event) == events.end())
                wrong(file_, body, "there is no event '" + event + "'", did_you_mean(event, events));
        }
        p.capabilities.push_back(std::move(c));
    }

    void wishes(const YAML::Node& list, model::Capability& c) {
        for (const auto& wish : texts_of(file_, list, "wants")) {
            if (wish == "digest")
                c.wants_digest = true;
            else if (wish == "signers")
                c.wants_signers = true;
            else
                wrong(file_, list, "no hook can want '" + wish + "'", did_you_mean(wish, {"digest", "signers"}));
        }
    }

    void command(const YAML::Node& body, model::Plugin& p) {
        model::Capability c;
        c.kind = CapabilityKind::command;
        command_at(body, "", false, c);
        p.capabilities.push_back(std::move(c));
    }

    void command_at(const YAML::Node& body, const std::string& above, bool hidden, model::Capability& c) {
        const size_t at = c.commands.size();
        c.commands.emplace_back();
        c.commands[at].hidden = hidden;
        members(body, "command", {"verb", "summary", "usage", "example", "hidden", "options", "verbs"},
                [&](const std::string& name, const YAML::Node& value) {
                    model::Command& m = c.commands[at];
                    if (name == "verb") {
                        const std::string verb = word(value, "verb");
                        m.verb = above.empty() ? verb : above + " " + verb;
                    } else if (name == "summary") m.summary = text(value, "summary");
                    else if (name == "usage") m.usage = text(value, "usage");
                    else if (name == "example") m.example = example(value);
                    else if (name == "hidden") m.hidden = boolean_of(file_, value, "hidden") || hidden;
                    else if (name == "options") each(value, "options", [&](const YAML::Node& n) { m.options.push_back(option(n, false)); });
                });
        if (c.commands[at].verb.empty()) wrong(file_, body, "a command has no 'verb'");
        if (above.empty()) {
            c.name = c.commands[at].verb;
            c.summary = c.commands[at].summary;
            c.example = c.commands[at].example;
            c.hidden = c.commands[at].hidden;
        }
        if (const YAML::Node verbs = body["verbs"]; verbs.IsDefined() && std::count(c.commands[at].verb.begin(), c.commands[at].verb.end(), ' ') < 3) {
            const std::string verb = c.commands[at].verb;
            const bool all = c.commands[at].hidden;
            each(verbs, "verbs", [&](const YAML::Node& n) { command_at(n, verb, all, c); });
        }
    }

    std::string example(const YAML::Node& node) {
        std::string out;
        for (const auto& line : texts_of(file_, node, "example")) out += (out.empty() ? "" : "\n") + line;
        return out;
    }

    model::Option option(const YAML::Node& node, bool for_others) {
        model::Option o;
        o.type = "flag";
        std::vector<std::string_view> known{"verbs", "long", "short", "type", "variable", "help"};
        if (for_others) known.push_back("takes_over");
        members(node, "an option", known,
                [&](const std::string& name, const YAML::Node& value) {
                    if (name == "verbs") o.verbs = texts_of(file_, value, "verbs");
                    else if (name == "long") o.long_name = word(value, "long");
                    else if (name == "short") o.short_name = text(value, "short");
                    else if (name == "type") o.type = text(value, "type");
                    else if (name == "variable") o.variable = text(value, "variable");
                    else if (name == "takes_over") o.takes_over = text(value, "takes_over");
                    else o.help = text(value, "help");
                });
        if (o.long_name.size() < 2) wrong(file_, node, "an option needs a 'long' name of at least two letters");
        if (o.short_name.size() > 1) wrong(file_, node, "the 'short' name of --" + o.long_name + " is one letter");
        if (o.type != "flag" && o.type != "text" && o.type != "integer" && o.type != "list")
            wrong(file_, node, "the type of --" + o.long_name + " must be flag, text, integer or list");
        if (for_others && o.verbs.empty()) wrong(file_, node, "--" + o.long_name + " names no 'verbs'");
        return o;
    }

    model::Key key(const YAML::Node& node) {
        model::Key k;
        std::string type = "text";
        YAML::Node initial;
        members(node, "a configuration key", {"key", "type", "default", "doc", "choices", "variable"},
                [&](const std::string& name, const YAML::Node& value) {
                    if (name == "key") k.name = word(value, "key");
                    else if (name == "type") type = text(value, "type");
                    else if (name == "default") initial.reset(value);
                    else if (name == "doc") k.doc = text(value, "doc");
                    else if (name == "choices") k.choices = texts_of(file_, value, "choices");
                    else k.variables = texts_of(file_, value, "variable");
                });
        if (k.name.empty() || k.name.find('.') == std::string::npos)
            wrong(file_, node, "a configuration key has a name with a dot, as '" + (k.name.empty() ? "group" : k.name) + ".name'");
        if (type == "boolean") k.type = ValueType::boolean;
        else if (type == "integer") k.type = ValueType::integer;
        else if (type == "text") k.type = ValueType::text;
        else if (type == "list") k.type = ValueType::list;
        else wrong(file_, node, "the type of " + k.name + " must be boolean, integer, text or list");
        const bool given = initial.IsDefined() && !initial.IsNull();
        if (k.type == ValueType::list) {
            if (given) k.initial = texts_of(file_, initial, "default");
        } else {
            k.initial = {given ? text(initial, "default") : k.type == ValueType::boolean ? "no" : k.type == ValueType::integer ? "0" : ""};
        }
        try {
            if (given || k.type != ValueType::text)
                for (auto& v : k.initial) v = canonical(v, k.type, k.choices);
        } catch (const Error& e) {
            wrong(file_, node, "the default of " + k.name + ": " + e.message());
        }
        k.values = k.initial;
        for (const auto& v : k.variables)
            if (v.empty() || v[0] == '=') wrong(file_, node, "the variable of " + k.name + " is a name without prefix");
        k.variables.push_back(variable_of_key(k.name));
        return k;
    }

    model::CacheArea area(const YAML::Node& node) {
        model::CacheArea a;
        members(node, "a cache area", {"area", "order", "title"}, [&](const std::string& name, const YAML::Node& value) {
            if (name == "area") a.area = word(value, "area");
            else if (name == "order") a.order = integer_of(file_, value, "order");
            else a.title = text(value, "title");
        });
        if (a.area.empty()) wrong(file_, node, "a cache area has no 'area'");
        return a;
    }

    const std::string& file_;
    std::vector<std::string>& warnings_;
};

}  // namespace

model::Plugin parse_manifest(const std::string& file, const YAML::Node& document, std::vector<std::string>& warnings) {
    return Parser(file, warnings).plugin(document);
}

}  // namespace sg
