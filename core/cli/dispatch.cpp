#include "cli/dispatch.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/log.hpp"
#include "base/nearest.hpp"
#include "cli/print.hpp"
#include "cli/signals.hpp"
#include "cli/table.hpp"
#include "cli/terminal.hpp"
#include "cli/verb_app.hpp"

namespace sg {

namespace {

constexpr char global_group[] = "Global options";

struct GlobalFlag {
    const char *short_name, *long_name, *help;
    bool GlobalOptions::*member;
};
constexpr GlobalFlag global_flags[] = {
    {"q", "quiet", "Print warnings and errors only", &GlobalOptions::quiet},
    {"s", "silent", "Print errors only", &GlobalOptions::silent},
    {"v", "verbose", "Print more of what happens", &GlobalOptions::verbose},
    {"d", "debug", "Print all that happens", &GlobalOptions::debug},
    {"", "nocolor", "Print without colours, also on a terminal", &GlobalOptions::plain},
    {"", "json", "Print JSON, where a verb lists something", &GlobalOptions::json},
};

// Adds what the verb has not taken for itself (shell has -s, inspect its own --json).
void add_global_flags(CLI::App& app, GlobalOptions& global) {
    for (const auto& f : global_flags) {
        const std::string long_name = std::string("--") + f.long_name;
        if (app.get_option_no_throw(long_name)) continue;
        std::string names = long_name;
        if (*f.short_name && !app.get_option_no_throw(std::string("-") + f.short_name)) names = std::string("-") + f.short_name + "," + names;
        app.add_flag(names, global.*f.member, f.help)->group(global_group);
    }
    if (!app.get_option_no_throw("--set"))
        repeatable(app.add_option("--set", global.settings, "Set a configuration value for this command"))
            ->type_name("KEY=VALUE")
            ->group(global_group);
}

// CLI11's failures in our words, with the nearest option.
[[noreturn]] void wrong_command_line(const CLI::App& app, const std::string& name, const std::string& what, const std::string& word = {}) {
    std::string hint;
    if (word.starts_with("-")) {
        std::vector<std::string> names;
        for (const CLI::Option* o : app.get_options()) {
            for (const auto& l : o->get_lnames()) names.push_back("--" + l);
        }
        hint = did_you_mean(word.substr(0, word.find('=')), {names.begin(), names.end()});
        if (!hint.empty()) hint += " ";
    }
    throw Error(Code::usage, what, hint + "See: singularity help " + name);
}

std::string first_word(const std::string& text, const std::string& after) {
    const size_t at = text.find(after);
    if (at == std::string::npos) return {};
    const size_t begin = text.find_first_not_of(" [", at + after.size());
    if (begin == std::string::npos) return {};
    return text.substr(begin, text.find_first_of(" ,]", begin) - begin);
}

// Parses; false when help was asked for and printed.
bool parse(CLI::App& app, std::vector<std::string> arguments, const std::string& name) {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
    try {
        app.parse(arguments);
    } catch (const CLI::CallForHelp&) {
        const CLI::App* asked = &app;
        std::string full = name;
        while (!asked->get_subcommands().empty()) {
            asked = asked->get_subcommands().front();
            full += " " + asked->get_name();
        }
        print(help_text(*asked, full));
        return false;
    } catch (const CLI::ExtrasError& e) {
        // An unknown option makes its value, or another word, one too many: the option is what is wrong.
        const std::vector<std::string> rest = app.remaining(true);
        const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& r) { return r.size() > 1 && r[0] == '-'; });
        const std::string word = option != rest.end() ? *option : rest.empty() ? first_word(e.what(), "expected:") : rest.front();
        wrong_command_line(app, name, word.starts_with("-") ? "unknown option " + word + " for '" + name + "'"
                                                            : "'" + name + "' does not take the argument '" + word + "'", word);
    } catch (const CLI::ParseError& e) {
        std::string what = e.what();
        std::replace(what.begin(), what.end(), '\n', ' ');
        wrong_command_line(app, name, name + ": " + what);
    }
    // A verb that passes the rest on still has no unknown options of its own.
    if (app.get_prefix_command()) {
        const auto rest = app.remaining();
        if (!rest.empty() && rest.front().size() > 1 && rest.front()[0] == '-' && rest.front() != "--")
            wrong_command_line(app, name, "unknown option " + rest.front() + " for '" + name + "'", rest.front());
    }
    return true;
}

void set_from_command_line(Settings& settings, const std::vector<std::string>& pairs) {
    for (const auto& pair : pairs) {
        const size_t equals = pair.find('=');
        if (equals == std::string::npos) throw Error(Code::usage, "--set takes KEY=VALUE, not '" + pair + "'");
        const std::string key = pair.substr(0, equals), value = pair.substr(equals + 1);
        const auto known = settings.index().find_key(key);
        std::vector<std::string> values{value};
        if (known && known->type == ValueType::list) {
            values.clear();
            for (size_t at = 0; at <= value.size();) {
                const size_t comma = std::min(value.find(',', at), value.size());
                if (comma > at) values.push_back(value.substr(at, comma - at));
                at = comma + 1;
            }
        }
        settings.set(key, std::move(values), Layer::command_line, "--set");
    }
}

// Verbs that say what is wrong with a configuration must themselves work with it.
bool tolerant(std::string_view verb) { return verb == "config" || verb == "plugin" || verb == "help" || verb == "buildcfg"; }

Settings settings_for(const Context& context, bool forgiving) {
    Settings settings(context.index);
    std::vector<Error> problems;
    settings.apply_environment(environ, forgiving ? &problems : nullptr);
    for (const auto& e : problems) log::warning(e.message());
    set_from_command_line(settings, context.global.settings);
    return settings;
}

// The format flags of `build` come from the manifests.
std::vector<std::pair<CLI::Option*, std::string>> add_format_flags(CLI::App& app, const Index& index) {
    std::vector<std::pair<CLI::Option*, std::string>> out;
    for (const auto& f : index.capabilities(CapabilityKind::format)) {
        if (f.selected_by.empty()) continue;
        std::string names = "--" + std::string(f.selected_by);
        if (app.get_option_no_throw(names)) continue;
        if (f.selected_short.size() == 1 && !app.get_option_no_throw("-" + std::string(f.selected_short)))
            names = "-" + std::string(f.selected_short) + "," + names;
        const std::string help = "Make " + std::string(f.summary.empty() ? f.name : f.summary);
        out.emplace_back(app.add_flag(names, help), f.name);
    }
    return out;
}

struct Running {
    CancelToken cancel;
    std::unique_ptr<Progress> progress = terminal_progress();
};

}  // namespace

void GlobalOptions::apply() const {
    if (debug)
        log::set_threshold(log::Level::debug);
    else if (verbose)
        log::set_threshold(log::Level::verbose);
    // With both, the quieter one wins: scripts add it to be sure.
    if (quiet) log::set_threshold(log::Level::warning);
    if (silent) log::set_threshold(log::Level::error);
    if (plain) log::set_colour(false);
}

int report(const Error& error) {
    end_when_nobody_reads();
    log::fatal(error.message() + (error.hint().empty() ? "" : "\n         " + error.hint()));
    if (!error.detail().empty()) log::debug(error.detail());
    return exit_code(error.code());
}

int dispatch_verb(const Verb& verb, std::vector<std::string> arguments, Context& context) {
    const std::string name(verb.name);
    VerbApp app(std::string(verb.summary), name);
    app.set_help_flag("-h,--help", "Print this help");
    const Action action = verb.declare(app);
    one_value_each(app);
    const auto formats = verb.name == "build" ? add_format_flags(app, context.index) : std::vector<std::pair<CLI::Option*, std::string>>();
    const auto plugin_options = context.index.options_of(verb.name);
    add_plugin_options(app, plugin_options, "Options of plugins");
    add_global_flags(app, context.global);
    app.get_option("--help")->group(global_group);
    if (!parse(app, std::move(arguments), name)) return 0;
    context.global.apply();
    for (const auto w : context.index.warnings()) log::warning(w);
    apply_variables(app);
    Settings settings = settings_for(context, tolerant(verb.name));
    apply_keys(app, settings);

    PluginHost plugins(settings, context.index, context.mount);
    Running running;
    std::optional<CancelOnSignal> signals;
    if (context.module) signals.emplace(running.cancel);
    Session session{settings, plugins, running.cancel, *running.progress, context.installation, false, false, {}, {}, nullptr};
    session.context = &context;
    session.json = context.global.json;
    session.quiet = context.global.quiet || context.global.silent;
    session.options = given_options(app, plugin_options);
    for (const auto& [option, format] : formats) {
        if (option->count() == 0) continue;
        if (!session.format.empty()) throw Error(Code::usage, "only one format can be chosen");
        session.format = format;
    }
    return action(session);
}

// ---- Commands of plugins ----------------------------------------------------------------------------

namespace {

struct CommandNode {
    const CommandView* view;
    VerbApp* app;
    std::shared_ptr<std::vector<std::string>> words = std::make_shared<std::vector<std::string>>();
};

// One App for each verb and sub-verb, in the order of the manifest (a verb comes before its sub-verbs).
std::vector<CommandNode> command_apps(const std::vector<CommandView>& views, std::vector<std::shared_ptr<VerbApp>>& apps) {
    std::vector<CommandNode> nodes;
    for (const auto& view : views) {
        const std::string full(view.verb);
        const size_t space = full.rfind(' ');
        const std::string own = space == std::string::npos ? full : full.substr(space + 1);
        auto app = std::make_shared<VerbApp>(std::string(view.summary), own);
        app->set_help_flag("-h,--help", "Print this help");
        app->usage_arguments = std::string(view.usage);
        for (size_t at = 0; at < view.example.size();) {
            const size_t end = std::min(view.example.find('\n', at), view.example.size());
            app->example_lines.emplace_back(view.example.substr(at, end - at));
            at = end + 1;
        }
        nodes.push_back({&view, app.get()});
        add_plugin_options(*app, view.options, "Options");
        if (space != std::string::npos) {
            const std::string parent = full.substr(0, space);
            const auto above = std::find_if(nodes.begin(), nodes.end(), [&](const CommandNode& n) { return n.view->verb == parent; });
            if (above == nodes.end()) throw Error(Code::corrupt, "the manifest has no verb '" + parent + "'");
            above->app->add_subcommand(app);
            app->fallthrough();
        }
        apps.push_back(std::move(app));
    }
    for (auto& n : nodes) {
        const auto below = std::as_const(*n.app).get_subcommands(std::function<bool(const CLI::App*)>());
        if (below.empty())
            n.app->add_option("ARGUMENTS", *n.words)->expected(0, 1 << 20);
        else
            n.app->require_subcommand(1);
    }
    return nodes;
}

}  // namespace

int run_command(const CapabilityView& command, std::vector<std::string> arguments, Context& context) {
    const std::string name(command.name);
    const auto views = context.index.commands(command);
    std::vector<std::shared_ptr<VerbApp>> apps;
    auto nodes = command_apps(views, apps);
    VerbApp& top = *nodes.front().app;
    // A bare verb that only has sub-verbs shows them.
    if (arguments.empty() && views.size() > 1) {
        print(help_text(top, name));
        return 0;
    }
    // A plugin that adds options to another plugin's verb.
    const auto added = context.index.options_of(name);
    add_plugin_options(top, added, "Options of plugins");
    for (auto& n : nodes) {
        if (n.app == &top) add_global_flags(top, context.global);
        n.app->get_option("--help")->group(global_group);
    }
    if (!parse(top, std::move(arguments), name)) return 0;
    context.global.apply();
    for (const auto w : context.index.warnings()) log::warning(w);
    const CLI::App* chosen = &top;
    while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
    const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const CommandNode& n) { return n.app == chosen; });
    Pairs options;
    for (const auto& n : nodes) {  // options of the verbs above count too
        if (!n.app->parsed() && n.app != &top) continue;
        apply_variables(*n.app);
        for (auto& o : given_options(*n.app, n.view->options)) options.push_back(std::move(o));
    }
    for (auto& o : given_options(top, added)) options.push_back(std::move(o));
    // A global --json before the verb counts for a verb that has the option.
    const auto is_json = [](const auto& o) { return o.long_name == "json"; };
    if (context.global.json && std::any_of(node->view->options.begin(), node->view->options.end(), is_json) &&
        std::none_of(options.begin(), options.end(), [](auto& o) { return o.first == "json"; }))
        options.emplace_back("json", "true");

    Settings settings = settings_for(context, false);
    PluginHost plugins(settings, context.index, context.mount);
    const sg_command_v1& table = plugins.command(name);
    Running running;
    const CancelOnSignal signals(running.cancel);
    const sg_call call{running.cancel, running.progress.get()};
    std::vector<sg_pair> pairs;
    for (const auto& [k, v] : options) pairs.push_back({k.c_str(), v.c_str()});
    pairs.push_back({nullptr, nullptr});
    std::vector<const char*> words;
    for (const auto& w : *node->words) words.push_back(w.c_str());
    words.push_back(nullptr);
    const std::unique_ptr<char, void (*)(void*)> directory(getcwd(nullptr, 0), std::free);
    const std::string verb(node->view->verb);
    const sg_invocation invocation{verb.c_str(), pairs.data(), words.data(), directory ? directory.get() : "/", &call};
    int32_t code = 0;
    singularity::check([&](sg_error* e) { return table.run(&invocation, &code, e); });
    return code;
}

}  // namespace sg
