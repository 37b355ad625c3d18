// The text of a verb's --help.
#include <algorithm>

#include "cli/arguments.hpp"

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

std::string row(const std::string& name, std::string_view text) {
    std::string line = "  " + name;
    line.append(line.size() + 2 > column ? 2 : column - line.size(), ' ');
    return line + wrapped(std::string(text), column) + "\n";
}

std::string option_row(std::string_view names, std::string_view value, const std::string& text) {
    std::string shown, longs;
    while (!names.empty()) {
        const size_t end = std::min(names.find(','), names.size());
        const std::string name(names.substr(0, end));
        std::string& to = name.starts_with("--") ? longs : shown;
        to += (to.empty() ? "" : ", ") + name;
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    shown = (shown.empty() ? "    " : longs.empty() ? shown : shown + ", ") + longs;
    if (!value.empty()) shown += " " + std::string(value);
    std::string out = "  " + shown;
    if (out.size() + 2 > column)
        out += "\n" + std::string(column, ' ');
    else
        out.append(column - out.size(), ' ');
    return out + wrapped(text, column) + "\n";
}

}  // namespace

std::string Arguments::help() const {
    constexpr std::string_view global = "Global options";
    std::string out = "Usage: singularity " + name_;
    if (usage_.starts_with("singularity ")) {
        out = "Usage: " + usage_;
    } else {
        out += commands_.empty() ? " [options]" : " COMMAND";
        if (!usage_.empty()) out += " " + usage_;
        for (const auto& a : all_) {
            if (!a.is_word_ || !usage_.empty()) continue;
            const std::string shown = std::string(a.names_) + (a.kind_ == Argument::Kind::list && a.most_ > 1 ? "..." : "");
            out += a.required_ ? " " + shown : " [" + shown + "]";
        }
    }
    out += "\n";
    if (!summary_.empty()) out += "\n" + summary_ + "\n";

    std::string rows;
    for (const auto& a : all_)
        if (a.is_word_ && !a.help_.empty()) rows += row(std::string(a.names_), a.help_);
    if (!rows.empty()) out += "\nArguments:\n" + rows;

    if (!commands_.empty()) out += "\nCommands:\n";
    for (const auto& c : commands_) out += row(c->name_.substr(name_.size() + 1), c->summary_);

    std::vector<std::string_view> groups;
    for (const auto& a : all_)
        if (!a.is_word_ && !a.hidden_ && a.group_ != global && std::find(groups.begin(), groups.end(), a.group_) == groups.end()) groups.push_back(a.group_);
    groups.push_back(global);  // the least interesting
    for (const auto group : groups) {
        rows.clear();
        for (const auto& a : all_) {
            if (a.is_word_ || a.hidden_ || a.group_ != group) continue;
            std::string text(a.help_);
            if (!a.variables_.empty()) text += " [SINGULARITY_" + std::string(a.variables_.substr(0, a.variables_.find(','))) + "]";
            if (!a.key_.empty()) text += " [" + std::string(a.key_) + "]";
            std::string_view value = a.value_name_;
            if (a.kind_ == Argument::Kind::flag) value = "";
            else if (value.empty()) value = a.kind_ == Argument::Kind::integer ? "NUMBER" : "TEXT";
            rows += option_row(a.names_, value, text);
        }
        if (group == global) rows += option_row("-h,--help", "", "Print this help");
        if (!rows.empty()) out += "\n" + std::string(group) + ":\n" + rows;
    }
    if (!examples_.empty()) out += "\nExamples:\n";
    for (const auto& e : examples_) out += "  $ " + e + "\n";
    return out;
}

}  // namespace sg
