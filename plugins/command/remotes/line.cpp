#include "remotes/line.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace remotes {

using singularity::Code;
using singularity::Error;

namespace {

constexpr size_t longest_secret = 8191;  // what the host's own fields for secrets hold

// On a terminal; ✓ and the like are one wide.
size_t width_of(const std::string& text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string Line::option(std::string_view name) const {
    std::string found;
    for (const auto& [key, value] : invocation_.options)
        if (key == name) found = value;
    return found;
}

bool Line::flag(std::string_view name) const {
    const std::string value = option(name);
    return !value.empty() && value != "false";
}

std::optional<uint64_t> Line::number(std::string_view name) const {
    const std::string text = option(name);
    if (text.empty()) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw Error(Code::usage, "--" + std::string(name) + ": '" + text + "' is no number of that kind");
    return value;
}

const std::vector<std::string>& Line::arguments(size_t least, size_t most, const char* form) const {
    const size_t n = invocation_.arguments.size();
    if (n < least || n > most)
        throw Error(
            Code::usage,
            "'" + invocation_.verb + "' takes " +
                (least == 1 && most == 1
                     ? "one argument"
                     : (least == most ? std::to_string(least) : std::to_string(least) + " to " + std::to_string(most)) +
                           " arguments") +
                ", not " + std::to_string(n),
            "The form is: singularity " + invocation_.verb + " [options] " + form);
    return invocation_.arguments;
}

std::string Line::verb() const { return invocation_.verb.substr(invocation_.verb.rfind(' ') + 1); }

std::string Line::file(const std::string& name) const {
    return name.empty() || name[0] == '/' ? name : invocation_.directory + "/" + name;
}

void print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw Error(Code::io, "cannot write to standard output");
        text.remove_prefix(static_cast<size_t>(n));
    }
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows)
        for (size_t i = 0; i < row.size(); ++i) {
            if (i == widths.size()) widths.push_back(0);
            widths[i] = std::max(widths[i], width_of(row[i]));
        }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i)
            line += row[i] + std::string(i + 1 == row.size() ? 0 : widths[i] - width_of(row[i]) + 2, ' ');
        while (!line.empty() && line.back() == ' ') line.pop_back();
        out += line + "\n";
    }
    return out;
}

std::string line_of_input() {
    std::string out;
    for (;;) {
        char c = 0;
        const ssize_t n = ::read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw Error(Code::io, "cannot read standard input");
        if (n == 0 || c == '\n') break;
        if (out.size() == longest_secret)
            throw Error(Code::limit,
                        "the line on standard input is longer than " + std::to_string(longest_secret) + " bytes");
        out += c;
    }
    if (!out.empty() && out.back() == '\r') out.pop_back();
    return out;
}

std::string ask_secret(const std::string& prompt, const singularity::Host& host) {
    if (!::isatty(STDIN_FILENO)) return line_of_input();
    const auto asked = host.ask_credentials("", "", prompt);
    if (!asked) throw Error(Code::usage, "there is no terminal to ask at", "Give it on standard input.");
    return asked->secret;
}

bool ask_yes(const std::string& question) {
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, question.data(), question.size());
    std::string answer = line_of_input();
    std::transform(answer.begin(), answer.end(), answer.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return answer == "y" || answer == "yes";
}

}  // namespace remotes
