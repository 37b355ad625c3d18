// The text of a verb's --help.
#include <algorithm>

#include "cli/verb_app.hpp"

namespace sg {

namespace {

constexpr size_t column = 30, width = 100;

std::string wrapped(const std::string& text, size_t indent) {
    std::string out;
    size_t at = indent;
    for (size_t i = 0; i < text.size();) {
        const size_t end = std::min(text.find(' ', i), text.size());
        const size_t length = end - i;
        if (at > indent && at + 1 + length > width) {
            out += "\n" + std::string(indent, ' ');
            at = indent;
        } else if (at > indent) {
            out += ' ';
            ++at;
        }
        out.append(text, i, length);
        at += length;
        i = end + 1;
    }
    return out;
}

std::string option_line(const CLI::Option& o) {
    std::string names;
    for (const auto& s : o.get_snames()) names += (names.empty() ? "-" : ", -") + s;
    if (names.empty()) names = "    ";
    else if (!o.get_lnames().empty()) names += ", ";
    bool first = true;
    for (const auto& l : o.get_lnames()) names += (first ? "--" : ", --") + l, first = false;
    if (o.get_items_expected_max() > 0 && !o.get_type_name().empty()) names += " " + o.get_type_name();
    std::string text = o.get_description();
    const OptionNote note = note_of(o);
    if (!note.variables.empty()) text += " [SINGULARITY_" + note.variables.front() + "]";
    if (!note.key.empty()) text += " [" + note.key + "]";
    std::string out = "  " + names;
    if (out.size() + 2 > column)
        out += "\n" + std::string(column, ' ');
    else
        out.append(column - out.size(), ' ');
    return out + wrapped(text, column) + "\n";
}

std::string positional(const CLI::Option& o) {
    std::string name = o.get_name(true);
    if (o.get_items_expected_max() > 1) name += "...";
    return o.get_required() ? name : "[" + name + "]";
}

}  // namespace

std::string help_text(const CLI::App& app, const std::string& name) {
    const auto& verb = static_cast<const VerbApp&>(app);
    const auto subcommands = app.get_subcommands(std::function<bool(const CLI::App*)>());
    std::string out = "Usage: singularity " + name;
    if (!verb.usage_arguments.empty() && verb.usage_arguments.starts_with("singularity "))
        out = "Usage: " + verb.usage_arguments;
    else {
        out += subcommands.empty() ? " [options]" : " COMMAND";
        if (!verb.usage_arguments.empty()) out += " " + verb.usage_arguments;
        else
            for (const CLI::Option* o : app.get_options())
                if (o->get_positional()) out += " " + positional(*o);
    }
    out += "\n";
    if (!app.get_description().empty()) out += "\n" + app.get_description() + "\n";

    std::string arguments;
    for (const CLI::Option* o : app.get_options()) {
        if (!o->get_positional() || o->get_description().empty()) continue;
        std::string line = "  " + o->get_name(true);
        line.append(line.size() + 2 > column ? 2 : column - line.size(), ' ');
        arguments += line + wrapped(o->get_description(), column) + "\n";
    }
    if (!arguments.empty()) out += "\nArguments:\n" + arguments;

    if (!subcommands.empty()) {
        out += "\nCommands:\n";
        for (const CLI::App* s : subcommands) {
            std::string line = "  " + s->get_name();
            line.append(line.size() + 2 > column ? 2 : column - line.size(), ' ');
            out += line + wrapped(s->get_description(), column) + "\n";
        }
    }

    std::vector<std::string> groups;
    for (const CLI::Option* o : app.get_options())
        if (!o->get_positional() && !o->get_group().empty() && std::find(groups.begin(), groups.end(), o->get_group()) == groups.end())
            groups.push_back(o->get_group());
    // The global ones are the least interesting.
    std::stable_partition(groups.begin(), groups.end(), [](const std::string& g) { return g != "Global options"; });
    for (const auto& g : groups) {
        out += "\n" + g + ":\n";
        for (const CLI::Option* o : app.get_options())
            if (!o->get_positional() && o->get_group() == g) out += option_line(*o);
    }
    if (!verb.example_lines.empty()) {
        out += "\nExamples:\n";
        for (const auto& e : verb.example_lines) out += "  $ " + e + "\n";
    }
    return out;
}

}  // namespace sg
