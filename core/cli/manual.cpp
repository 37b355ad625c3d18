// The manual page of a verb, from what its --help says.
#include "cli/arguments.hpp"
#include "cli/roff.hpp"

namespace sg {

using roff::bold;
using roff::item;
using roff::slanted;

std::string Arguments::manual(std::string_view version) const {
    std::string out = roff::head(name_, version, summary_);
    out += ".SH SYNOPSIS\n";
    if (usage_.starts_with("singularity "))
        out += roff::filled(usage_);
    else
        out += bold("singularity " + name_) + " " + roff::plain(synopsis().substr(1)) + "\n";
    out += ".SH DESCRIPTION\n" + roff::filled(summary_ + ".");

    std::string rows;
    for (const auto& a : all_)
        if (a.is_word_ && !a.help_.empty()) rows += item(slanted(a.names_), a.help_);
    if (!rows.empty()) out += ".SH ARGUMENTS\n" + rows;

    if (!commands_.empty()) out += ".SH COMMANDS\n";
    for (const auto& c : commands_)
        out += item(bold(c->own_name()), c->summary_ + ": " + roff::page_name(c->name_) + "(1)");

    const auto all_groups = groups();
    for (const auto group : all_groups) {
        rows.clear();
        for (const auto& a : all_) {
            if (a.is_word_ || a.hidden_ || a.group_ != group) continue;
            const auto value = a.shown_value();
            rows += item(bold(a.shown_names()) + (value.empty() ? "" : " " + slanted(value)), a.text());
        }
        if (group == all_groups.back()) rows += item(bold("-h, --help"), "Print this help");
        if (rows.empty()) continue;
        std::string title(group);
        for (char& c : title)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        out += ".SH \"" + title + "\"\n" + rows;
    }
    if (!examples_.empty()) {
        out += ".SH EXAMPLES\n.nf\n";
        for (const auto& e : examples_) out += roff::plain(e) + "\n";
        out += ".fi\n";
    }
    out += ".SH \"EXIT STATUS\"\n";
    if (pass_rest_)
        out += roff::filled(
            "That of the program in the container, 128 and the signal's number when a signal ended it. Without a "
            "program:");
    out +=
        item("0", "It was done.") + item("1", "The command line is wrong.") + item("255", "Anything else went wrong.");
    out += ".SH \"SEE ALSO\"\n" + roff::refer(above_ ? above_->name_ : "");
    for (const auto& c : commands_) out += " ,\n" + roff::refer(c->name_);
    return out + "\n";
}

}  // namespace sg
