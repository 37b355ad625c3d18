#include "cli/dispatch.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/log.hpp"
#include "cli/arguments.hpp"
#include "cli/complete.hpp"
#include "cli/foreseen.hpp"
#include "cli/plugin_options.hpp"
#include "cli/print.hpp"
#include "cli/signals.hpp"
#include "cli/table.hpp"
#include "cli/terminal.hpp"
#include "plugin/services.hpp"
#include "runtime/image_signers.hpp"

namespace sg {

namespace {

struct GlobalFlag {
    const char *names, *long_name;
    const char* help;
    bool GlobalOptions::*member;
};
constexpr GlobalFlag global_flags[] = {
    {"-q,--quiet", "--quiet", "Print warnings and errors only", &GlobalOptions::quiet},
    {"-s,--silent", "--silent", "Print errors only", &GlobalOptions::silent},
    {"-v,--verbose", "--verbose", "Print more of what happens", &GlobalOptions::verbose},
    {"-d,--debug", "--debug", "Print all that happens", &GlobalOptions::debug},
    {"--nocolor", "--nocolor", "Print without colours, also on a terminal", &GlobalOptions::plain},
    {"--json", "--json", "Print JSON, where a verb lists something", &GlobalOptions::json},
};
constexpr char global_group[] = "Global options";

// Adds what the verb has not taken for itself (shell has -s, inspect its own --json).
void add_global_flags(Arguments& arguments, GlobalOptions& global) {
    for (const auto& f : global_flags) {
        if (arguments.has(f.long_name)) continue;
        const bool with_short = f.names[1] != '-' && !arguments.has(std::string_view(f.names).substr(0, 2));
        arguments.flag(with_short ? f.names : f.long_name, global.*f.member, f.help).group(global_group);
    }
    if (!arguments.has("--set"))
        arguments.list("--set", global.settings, "Set a configuration value for this command").shown_as("KEY=VALUE").group(global_group);
}

// Parses; false when help was asked for and printed.
bool parse(Arguments& arguments, const std::vector<std::string>& words, GlobalOptions& global) {
    // A list replaces what was in its target, and settings before the verb count as well.
    const std::vector<std::string> before = std::exchange(global.settings, {});
    if (!arguments.parse(words)) {
        print(arguments.chosen().help());
        return false;
    }
    global.settings.insert(global.settings.begin(), before.begin(), before.end());
    return true;
}

// Verbs that say what is wrong with a configuration must themselves work with it.
bool tolerant(std::string_view verb) { return verb == "config" || verb == "plugin" || verb == "help" || verb == "buildcfg"; }

// The format flags of `build` come from the manifests.
std::vector<std::pair<const Argument*, std::string>> add_format_flags(Arguments& arguments, const Index& index) {
    std::vector<std::pair<const Argument*, std::string>> out;
    for (const auto& f : index.capabilities(CapabilityKind::format)) {
        if (f.selected_by.empty()) continue;
        std::string names = "--" + std::string(f.selected_by);
        if (arguments.has(names)) continue;
        if (f.selected_short.size() == 1 && !arguments.has("-" + std::string(f.selected_short)))
            names = "-" + std::string(f.selected_short) + "," + names;
        const auto help = arguments.keep("Make " + std::string(f.summary.empty() ? f.name : f.summary));
        out.emplace_back(&arguments.add(Argument::Kind::flag, arguments.keep(names), nullptr, help), f.name);
    }
    return out;
}

struct Running {
    CancelToken cancel;
    std::unique_ptr<Progress> progress = terminal_progress();
};

// Services that not every use of plugins has.
void offer_services(PluginHost& plugins, const Context& context) {
    Services::set_signers(
        [&plugins](const char* path, const sg_call* call) { return runtime::image_signers(plugins, path, call); });
    Services::set_state(state_of(context, plugins.settings()));
}

int run_table(const sg_command_v1& table, const std::string& verb, const Pairs& options,
              const std::vector<std::string>& arguments, Running& running) {
    const CancelOnSignal signals(running.cancel);
    const sg_call call{running.cancel, running.progress.get()};
    std::vector<sg_pair> pairs;
    for (const auto& [k, v] : options) pairs.push_back({k.c_str(), v.c_str()});
    pairs.push_back({nullptr, nullptr});
    std::vector<const char*> words;
    for (const auto& w : arguments) words.push_back(w.c_str());
    words.push_back(nullptr);
    const std::unique_ptr<char, void (*)(void*)> directory(getcwd(nullptr, 0), std::free);
    const sg_invocation invocation{verb.c_str(), pairs.data(), words.data(), directory ? directory.get() : "/", &call};
    int32_t code = 0;
    singularity::check([&](sg_error* e) { return table.run(&invocation, &code, e); });
    return code;
}

int run_takeover(Takeover takeover, const Context& context, PluginHost& plugins, Running& running) {
    if (context.global.json &&
        std::none_of(takeover.options.begin(), takeover.options.end(), [](auto& o) { return o.first == "json"; }))
        takeover.options.emplace_back("json", "true");
    return run_table(plugins.command(takeover.command), takeover.verb, takeover.options, takeover.words, running);
}

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

namespace {

// A message is one line; of a server's refusal, which may be several, U+2028 divides the lines. Elsewhere it may be of the
// name of a file in an image, which must not make lines.
std::string shown_message(const Error& error) {
    std::string text = error.message();
    static constexpr std::string_view separator = "\xe2\x80\xa8";
    const char* const shown = error.code() == Code::unauthorized ? "\n" : " ";
    for (size_t at; (at = text.find(separator)) != std::string::npos;) text.replace(at, separator.size(), shown);
    return text;
}

}  // namespace

int report(const Error& error) {
    end_when_nobody_reads();
    log::fatal(shown_message(error) + (error.hint().empty() ? "" : "\n         " + error.hint()));
    if (!error.detail().empty()) log::debug(error.detail());
    return exit_code(error.code());
}

Error with_site_words(const Error& error, const Context& context) {
    if (error.code() == Code::usage || error.code() == Code::cancelled) return error;
    std::string hint = error.hint();
    const Settings settings(context.index);
    const auto add = [&](const char* key, const char* before) {
        if (!settings.has(key)) return;
        const std::string text = settings.text(key);
        if (!text.empty()) hint += (hint.empty() ? "" : "\n         ") + std::string(before) + text;
    };
    add("site.hint", "");
    add("site.documentation", "See: ");
    return Error(error.code(), error.message(), hint, error.detail());
}

int dispatch_verb(const Verb& verb, std::vector<std::string> words, Context& context) {
    Arguments arguments(std::string(verb.name), std::string(verb.summary));
    const Action action = verb.declare(arguments);
    const auto formats = verb.name == "build" ? add_format_flags(arguments, context.index) : std::vector<std::pair<const Argument*, std::string>>();
    add_plugin_options(arguments, context.index, "Options of plugins");
    add_global_flags(arguments, context.global);
    if (answered(arguments, words, context) || !parse(arguments, words, context.global)) return 0;
    context.global.apply();
    for (const auto w : context.index.warnings()) log::warning(w);
    arguments.apply_variables();
    // A plugin that is tested need not be registered: its keys are known when its manifest is read.
    const auto given = arguments.given_words();
    const bool tests = verb.name == "plugin" && !given.empty() && given.front() == "test";
    std::vector<std::string> unknown;
    Settings settings = settings_for(context, tolerant(verb.name), tests ? &unknown : nullptr);
    arguments.apply_keys(settings);

    Running running;
    PluginHost plugins(settings, context.index, context.mount, credentials_of(context, running.cancel), definitions_of(context));
    offer_services(plugins, context);
    if (auto takeover = taken_over(arguments, options_of_chosen(arguments, context.index), context.index, global_group)) {
        if (verb.name == "build" && !takeover->words.empty())
            permit_takeover(plugins, definitions_of(context), takeover->options, takeover->words.back(),
                            sg_call{running.cancel, running.progress.get()});
        return run_takeover(std::move(*takeover), context, plugins, running);
    }
    std::optional<CancelOnSignal> signals;
    if (context.module) signals.emplace(running.cancel);
    Session session{settings, plugins, running.cancel, *running.progress, context.installation, false, false, {}, {}, nullptr};
    session.context = &context;
    session.unknown_settings = std::move(unknown);
    session.json = context.global.json;
    session.quiet = context.global.quiet || context.global.silent;
    session.options = given_options(arguments, options_of_chosen(arguments, context.index));
    for (const auto& [option, format] : formats) {
        if (!option->given()) continue;
        if (!session.format.empty()) throw Error(Code::usage, "only one format can be chosen");
        session.format = format;
    }
    return action(session);
}

// ---- Commands of plugins ----------------------------------------------------------------------------

namespace {

struct CommandNode {
    const CommandView* view;
    Arguments* arguments;
    std::vector<std::string> words;
};

// Authors write the whole line, with or without the program's name, or what follows the verb.
std::string usage_line(const CommandView& view) {
    const std::string usage(view.usage), verb(view.verb);
    return usage == verb || usage.starts_with(verb + " ") ? "singularity " + usage : usage;
}

void describe(Arguments& arguments, const CommandView& view) {
    arguments.usage(usage_line(view));
    std::vector<std::string> examples;
    for (size_t at = 0; at < view.example.size();) {
        const size_t end = std::min(view.example.find('\n', at), view.example.size());
        examples.emplace_back(view.example.substr(at, end - at));
        at = end + 1;
    }
    arguments.examples(std::move(examples));
    add_plugin_options(arguments, view.options, "Options");
}

// The verb and its sub-verbs, in the order of the manifest (a verb comes before its sub-verbs).
std::deque<CommandNode> command_nodes(Arguments& top, const std::vector<CommandView>& views) {
    std::deque<CommandNode> nodes;
    for (const auto& view : views) {
        if (view.hidden) continue;
        const size_t space = view.verb.rfind(' ');
        Arguments* own = &top;
        if (space != std::string_view::npos) {
            const auto above = std::find_if(nodes.begin(), nodes.end(), [&](const CommandNode& n) { return n.view->verb == view.verb.substr(0, space); });
            if (above == nodes.end()) throw Error(Code::corrupt, "the manifest has no verb '" + std::string(view.verb.substr(0, space)) + "'");
            own = &above->arguments->command(view.verb.substr(space + 1), view.summary);
        }
        describe(*own, view);
        nodes.push_back({&view, own, {}});
    }
    for (auto& n : nodes)
        if (!n.arguments->has_commands()) n.arguments->words("ARGUMENTS", n.words, "");
    return nodes;
}

}  // namespace

std::vector<CapabilityView> shown_commands(const Index& index) {
    auto all = index.capabilities(CapabilityKind::command);
    std::erase_if(all, [](const CapabilityView& c) { return c.hidden; });
    return all;
}

std::optional<CapabilityView> find_command(const Index& index, std::string_view verb) {
    auto found = index.find(CapabilityKind::command, verb);
    return found && !found->hidden ? found : std::nullopt;
}

int run_command(const CapabilityView& command, std::vector<std::string> arguments, Context& context) {
    const std::string name(command.name);
    const auto views = context.index.commands(command);
    if (views.empty()) throw Error(Code::corrupt, "the manifest has no verb '" + name + "'");
    Arguments top(name, std::string(views.front().summary));
    auto nodes = command_nodes(top, views);
    // A bare verb that only has sub-verbs shows them.
    if (arguments.empty() && top.has_commands()) {
        print(top.help());
        return 0;
    }
    // A plugin that adds options to another plugin's verb.
    const auto added = context.index.options_of(name);
    add_plugin_options(top, added, "Options of plugins");
    add_global_flags(top, context.global);
    if (answered(top, arguments, context) || !parse(top, arguments, context.global)) return 0;
    context.global.apply();
    for (const auto w : context.index.warnings()) log::warning(w);
    top.apply_variables();
    const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const CommandNode& n) { return n.arguments == &top.chosen(); });
    std::vector<OptionView> known = added;  // options of the verbs above count too
    for (const auto& n : nodes)
        if (n.arguments == &top || node->view->verb.starts_with(std::string(n.view->verb) + " ") || &n == &*node)
            known.insert(known.end(), n.view->options.begin(), n.view->options.end());
    Pairs options = given_options(top, known);
    // A global --json before the verb counts for a verb that has the option.
    const auto is_json = [](const auto& o) { return o.long_name == "json"; };
    if (context.global.json && std::any_of(node->view->options.begin(), node->view->options.end(), is_json) &&
        std::none_of(options.begin(), options.end(), [](auto& o) { return o.first == "json"; }))
        options.emplace_back("json", "true");

    Settings settings = settings_for(context, false);
    Running running;
    PluginHost plugins(settings, context.index, context.mount, credentials_of(context, running.cancel), definitions_of(context));
    offer_services(plugins, context);
    if (auto takeover = taken_over(top, added, context.index, global_group))
        return run_takeover(std::move(*takeover), context, plugins, running);
    return run_table(plugins.command(name), std::string(node->view->verb), options, node->words, running);
}

}  // namespace sg
