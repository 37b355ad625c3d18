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

std::string option_row(const std::string& names, std::string_view value, const std::string& text) {
    std::string out = "  " + std::string(names.starts_with("--") ? "    " : "") + names;
    if (!value.empty()) out += " " + std::string(value);
    if (out.size() + 2 > column)
        out += "\n" + std::string(column, ' ');
    else
        out.append(column - out.size(), ' ');
    return out + wrapped(text, column) + "\n";
}

constexpr std::string_view global = "Global options";

}  // namespace

std::string Argument::shown_names() const {
    std::string shorts, longs;
    for (std::string_view names = names_; !names.empty();) {
        const size_t end = std::min(names.find(','), names.size());
        std::string& to = names.starts_with("--") ? longs : shorts;
        to += (to.empty() ? "" : ", ") + std::string(names.substr(0, end));
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return shorts + (shorts.empty() || longs.empty() ? "" : ", ") + longs;
}

std::string_view Argument::shown_value() const {
    if (kind_ == Kind::flag) return "";
    if (!value_name_.empty()) return value_name_;
    return kind_ == Kind::integer ? "NUMBER" : "TEXT";
}

std::string Argument::text() const {
    std::string out(help_);
    if (!variables_.empty()) out += " [SINGULARITY_" + std::string(variables_.substr(0, variables_.find(','))) + "]";
    if (!key_.empty()) out += " [" + std::string(key_) + "]";
    return out;
}

std::string Arguments::synopsis() const {
    std::string out = commands_.empty() ? " [options]" : " COMMAND";
    if (!usage_.empty()) out += " " + usage_;
    for (const auto& a : all_) {
        if (!a.is_word_ || !usage_.empty()) continue;
        const std::string shown = std::string(a.names_) + (a.kind_ == Argument::Kind::list && a.most_ > 1 ? "..." : "");
        out += a.required_ ? " " + shown : " [" + shown + "]";
    }
    return out;
}

std::vector<std::string_view> Arguments::groups() const {
    std::vector<std::string_view> out;
    for (const auto& a : all_)
        if (!a.is_word_ && !a.hidden_ && a.group_ != global && std::find(out.begin(), out.end(), a.group_) == out.end()) out.push_back(a.group_);
    out.push_back(global);
    return out;
}

std::string Arguments::help() const {
    std::string out = "Usage: " + (usage_.starts_with("singularity ") ? usage_ : "singularity " + name_ + synopsis());
    out += "\n";
    if (!summary_.empty()) out += "\n" + summary_ + "\n";

    std::string rows;
    for (const auto& a : all_)
        if (a.is_word_ && !a.help_.empty()) rows += row(std::string(a.names_), a.help_);
    if (!rows.empty()) out += "\nArguments:\n" + rows;

    if (!commands_.empty()) out += "\nCommands:\n";
    for (const auto& c : commands_) out += row(std::string(c->own_name()), c->summary_);

    for (const auto group : groups()) {
        rows.clear();
        for (const auto& a : all_)
            if (!a.is_word_ && !a.hidden_ && a.group_ == group) rows += option_row(a.shown_names(), a.shown_value(), a.text());
        if (group == global) rows += option_row("-h, --help", "", "Print this help");
        if (!rows.empty()) out += "\n" + std::string(group) + ":\n" + rows;
    }
    if (!examples_.empty()) out += "\nExamples:\n";
    for (const auto& e : examples_) out += "  $ " + e + "\n";
    return out;
}

}  // namespace sg
