#include "cli/plugin_options.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace sg {

namespace {

Argument::Kind kind_of(std::string_view type) {
    if (type == "flag") return Argument::Kind::flag;
    if (type == "list") return Argument::Kind::list;
    if (type == "integer") return Argument::Kind::integer;
    return Argument::Kind::text;
}

bool alike(const OptionView& a, const OptionView& b) {
    return a.long_name == b.long_name && a.short_name == b.short_name && a.type == b.type && a.variable == b.variable &&
           a.takes_over == b.takes_over;
}

}  // namespace

void add_plugin_options(Arguments& arguments, const std::vector<OptionView>& options, std::string_view group) {
    for (auto view = options.begin(); view != options.end(); ++view) {
        if (std::any_of(options.begin(), view, [&](const OptionView& earlier) { return alike(earlier, *view); })) continue;
        const std::string name = "--" + std::string(view->long_name), short_name = "-" + std::string(view->short_name);
        if (arguments.has(name)) {
            log::warning("plugin " + std::string(view->plugin) + ": option " + name + " of '" + arguments.name() + "' exists already");
            continue;
        }
        const bool with_short = !view->short_name.empty() && !arguments.has(short_name);
        auto& option = arguments.add(kind_of(view->type), arguments.keep(with_short ? short_name + "," + name : name), nullptr, view->help);
        option.variable(view->variable).group(group).added_by(view->plugin);
        if (view->help.empty()) option.hidden();
    }
}

void add_plugin_options(Arguments& arguments, const Index& index, std::string_view group) {
    add_plugin_options(arguments, index.options_of(arguments.name()), group);
    for (const auto& below : arguments.commands()) add_plugin_options(*below, index.options_of(below->name()), group);
}

std::vector<OptionView> options_of_chosen(const Arguments& arguments, const Index& index) {
    auto out = index.options_of(arguments.name());
    if (&arguments.chosen() == &arguments) return out;
    const auto below = index.options_of(arguments.chosen().name());
    out.insert(out.end(), below.begin(), below.end());
    return out;
}

Pairs given_options(const Arguments& arguments, const std::vector<OptionView>& options) {
    Pairs out;
    for (const auto& [argument, value] : arguments.in_order()) {
        if (!argument->given() || argument->plugin().empty()) continue;
        const auto name = argument->long_name();
        if (std::any_of(options.begin(), options.end(), [&](const OptionView& v) { return v.long_name == name; })) out.emplace_back(name, value);
    }
    return out;
}

std::optional<Takeover> taken_over(const Arguments& arguments, const std::vector<OptionView>& options,
                                   const Index& index, std::string_view global_group) {
    const auto given = arguments.in_order();
    const OptionView* chosen = nullptr;
    for (const auto& [argument, value] : given) {
        if (!argument->given() || argument->plugin().empty()) continue;
        const auto first = std::find_if(options.begin(), options.end(), [&, a = argument](const OptionView& v) {
            return v.long_name == a->long_name();
        });
        if (first == options.end() || first->takes_over.empty()) continue;
        const OptionView* last = &*first;
        for (const auto& view : options)
            if (alike(view, *first)) last = &view;
        if (chosen && (chosen->takes_over != last->takes_over || chosen->plugin != last->plugin))
            throw Error(Code::usage, "--" + std::string(chosen->long_name) + " and --" + std::string(last->long_name) +
                                         " exclude each other");
        chosen = last;
    }
    if (!chosen) return std::nullopt;
    Takeover t;
    t.verb = chosen->takes_over;
    const auto plugin = index.find_plugin(chosen->plugin);
    const auto provided = plugin ? index.capabilities_of(plugin->number) : std::vector<CapabilityView>();
    const auto command = std::find_if(provided.begin(), provided.end(), [&](const CapabilityView& c) {
        return c.kind == CapabilityKind::command && c.name == t.verb.substr(0, t.verb.find(' '));
    });
    if (command == provided.end())
        throw Error(Code::corrupt, "plugin " + std::string(chosen->plugin) + " has no command '" + t.verb + "'");
    t.command = *command;
    for (const auto& [argument, value] : given)
        if (argument->given() && argument->group() != global_group) t.options.emplace_back(argument->long_name(), value);
    t.words = arguments.given_words();
    return t;
}

}  // namespace sg
