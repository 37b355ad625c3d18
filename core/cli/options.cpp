// Variables, configuration keys and plugin options of a verb's App.
#include <cstdlib>

#include "base/log.hpp"
#include "base/nearest.hpp"
#include "cli/verb_app.hpp"
#include "config/schema.hpp"

namespace sg {

namespace {

// "|v=BIND,BINDPATH|a|k=build.threads|from=SINGULARITY_BIND"
void add_note(CLI::Option* option, const std::string& note) { option->envname(option->get_envname() + "|" + note); }

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> out;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(at, begin), text.size());
        if (end > begin) out.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

// The first non-empty of SINGULARITY_NAME and APPTAINER_NAME.
const char* from_environment(const std::string& name, std::string& full) {
    for (const char* prefix : {"SINGULARITY_", "APPTAINER_"}) {
        full = prefix + name;
        if (const char* value = std::getenv(full.c_str()); value && *value) return value;
    }
    return nullptr;
}

std::string given_by(const CLI::Option& option) {
    for (const auto& part : split(option.get_envname(), '|'))
        if (part.starts_with("from=")) return part.substr(5);
    return {};
}

}  // namespace

void examples(CLI::App& app, std::vector<std::string> lines) { static_cast<VerbApp&>(app).example_lines = std::move(lines); }
void usage(CLI::App& app, std::string arguments) { static_cast<VerbApp&>(app).usage_arguments = std::move(arguments); }

CLI::Option* variable(CLI::Option* option, const std::string& names, bool append) {
    add_note(option, "v=" + names);
    if (append) add_note(option, "a");
    return option;
}

CLI::Option* sets_key(CLI::Option* option, const std::string& key) {
    add_note(option, "k=" + key);
    return option;
}

OptionNote note_of(const CLI::Option& option) {
    OptionNote note;
    for (const auto& part : split(option.get_envname(), '|')) {
        if (part.starts_with("v="))
            note.variables = split(part.substr(2), ',');
        else if (part == "a")
            note.append = true;
        else if (part.starts_with("k="))
            note.key = part.substr(2);
    }
    return note;
}

std::string shown_name(const CLI::Option& option) {
    if (!option.get_lnames().empty()) return "--" + option.get_lnames().front();
    if (!option.get_snames().empty()) return "-" + option.get_snames().front();
    return option.get_name();
}

CLI::Option* repeatable(CLI::Option* option) {
    return option->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void one_value_each(CLI::App& app) {
    for (CLI::Option* o : app.get_options())
        if (!o->get_positional() && o->get_items_expected_max() > 1) repeatable(o);
}

void apply_variables(CLI::App& app) {
    for (CLI::Option* o : app.get_options()) {
        const OptionNote note = note_of(*o);
        if (note.variables.empty() || (o->count() > 0 && !note.append)) continue;
        for (const auto& name : note.variables) {
            std::string full;
            const char* value = from_environment(name, full);
            if (!value) continue;
            try {
                if (o->get_items_expected_max() == 0) {  // a flag
                    if (canonical(value, ValueType::boolean, {}) != "true") break;
                    o->add_result("true");
                } else if (note.append || o->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll) {
                    for (const auto& item : split(value, ',')) o->add_result(item);
                } else {
                    o->add_result(std::string(value));
                }
                o->run_callback();
            } catch (const CLI::Error& e) {
                throw Error(Code::usage, full + ": " + e.what());
            } catch (const Error& e) {
                throw e.within(full);
            }
            add_note(o, "from=" + full);
            break;
        }
    }
}

void apply_keys(CLI::App& app, Settings& settings) {
    for (CLI::Option* o : app.get_options()) {
        const OptionNote note = note_of(*o);
        if (note.key.empty() || o->count() == 0) continue;
        const std::string from = given_by(*o);
        settings.set(note.key, o->results(), from.empty() ? Layer::command_line : Layer::environment,
                     from.empty() ? shown_name(*o) : from);
    }
}

void add_plugin_options(CLI::App& app, const std::vector<OptionView>& options, const char* group) {
    for (const auto& view : options) {
        std::string names = "--" + std::string(view.long_name);
        if (app.get_option_no_throw(names)) {
            log::warning("plugin " + std::string(view.plugin) + ": option " + names + " of '" + app.get_name() + "' exists already");
            continue;
        }
        if (!view.short_name.empty() && !app.get_option_no_throw("-" + std::string(view.short_name)))
            names = "-" + std::string(view.short_name) + "," + names;
        const std::string help(view.help);
        CLI::Option* o = nullptr;
        if (view.type == "flag")
            o = app.add_flag(names, help);
        else if (view.type == "list")
            o = repeatable(app.add_option(names, help))->type_name("TEXT");
        else
            o = app.add_option(names, help)->type_name(view.type == "integer" ? "NUMBER" : "TEXT");
        if (view.type == "integer") o->check(CLI::Number);
        if (!view.variable.empty()) variable(o, std::string(view.variable));
        o->group(group);
    }
}

Pairs given_options(const CLI::App& app, const std::vector<OptionView>& options) {
    Pairs out;
    std::vector<const CLI::Option*> order;
    for (const CLI::Option* o : app.parse_order()) order.push_back(o);
    for (const CLI::Option* o : app.get_options())  // those that came from variables
        if (o->count() > 0 && std::find(order.begin(), order.end(), o) == order.end()) order.push_back(o);
    std::map<const CLI::Option*, size_t> used;
    for (const CLI::Option* o : order) {
        const std::string name = o->get_lnames().empty() ? std::string() : o->get_lnames().front();
        const auto known = std::find_if(options.begin(), options.end(), [&](const OptionView& v) { return v.long_name == name; });
        if (known == options.end()) continue;
        if (known->type == "flag") {
            if (used[o]++ == 0) out.emplace_back(name, "true");
        } else if (const size_t i = used[o]++; i < o->results().size()) {
            out.emplace_back(name, o->results()[i]);
        }
    }
    return out;
}

}  // namespace sg
