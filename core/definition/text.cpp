#include "definition/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.hpp"

namespace sg::definition {

namespace {

constexpr size_t longest_file = 16u << 20;
constexpr size_t widest = 160;  // bytes of a line that a message shows

// The part of a line around `column` that fits on a terminal, and the caret's place in it. Nothing that a terminal
// would obey goes out.
std::string excerpt(std::string_view line, uint32_t column) {
    const size_t at = column > 0 ? column - 1 : 0;
    size_t first = at > widest / 2 && line.size() > widest ? at - widest / 2 : 0;
    const auto inside = [&](size_t i) { return (static_cast<unsigned char>(line[i]) & 0xc0) == 0x80; };
    while (first > 0 && first < line.size() && inside(first)) --first;
    std::string shown, caret;
    for (size_t i = first; i < line.size() && i < first + widest; ++i) {
        const auto c = static_cast<unsigned char>(line[i]);
        shown.push_back(c == '\t' || c >= 0x20 ? (c == 0x7f ? '?' : line[i]) : '?');
        if (i < at && !inside(i)) caret.push_back(c == '\t' ? '\t' : ' ');
    }
    return "    " + shown + "\n             " + caret + "^";
}

}  // namespace

Error Text::error(Position at, const std::string& what, const std::string& hint) const {
    std::string place = name;
    std::string shown;
    if (at.line > 0) {
        place += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
        for (const Line& line : lines)
            if (line.number == at.line) {
                shown = excerpt(line.text, at.column);
                break;
            }
    }
    if (!hint.empty()) shown += (shown.empty() ? "" : "\n         ") + hint;
    return Error(Code::invalid, place + ": " + shown_text(what), shown);
}

Text split_text(std::string name, std::string_view bytes) {
    Text text{std::move(name), {}};
    if (bytes.size() > longest_file)
        throw Error(Code::limit, text.name + " has " + std::to_string(bytes.size()) + " bytes; a definition file has at most 16 MiB");
    if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff"))
        throw Error(Code::invalid, text.name + ":1:1: this is UTF-16 text", "Save the file as UTF-8.");
    if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
    uint32_t number = 0;
    while (!bytes.empty()) {
        const size_t end = bytes.find('\n');
        std::string_view line = bytes.substr(0, end);
        bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        text.lines.push_back({++number, std::string(line)});
        if (const size_t nul = line.find('\0'); nul != std::string_view::npos)
            throw text.error({number, static_cast<uint32_t>(nul + 1)}, "a NUL byte, so this is no text", "A definition file is plain text.");
    }
    return text;
}

Text read_text(const std::string& path) {
    UniqueFd opened;
    int fd = STDIN_FILENO;
    if (path != "-") {
        opened = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (!opened) throw_errno("cannot open", path);
        fd = opened.get();
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) throw Error(Code::invalid, path + " is a directory and no definition file");
    }
    std::string bytes;
    char buffer[1 << 16];
    for (;;) {
        const ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path);
        if (n == 0) break;
        bytes.append(buffer, static_cast<size_t>(n));
        if (bytes.size() > longest_file) throw Error(Code::limit, path + " is larger than 16 MiB, so it is no definition file");
    }
    return split_text(path == "-" ? "standard input" : path, bytes);
}

std::string shown_text(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
    return out;
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\v\f");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\v\f") - first + 1);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

}  // namespace sg::definition
