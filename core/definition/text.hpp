// The text of a definition file as lines that know where they stand.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace sg::definition {

// Both count from 1; a column counts bytes. {0, 0}: the file as a whole.
struct Position {
    uint32_t line = 0, column = 0;
};

struct Line {
    uint32_t number = 0;
    std::string text;  // without its end
};

struct Text {
    std::string name;  // of the file, for messages
    std::vector<Line> lines;

    // "FILE:LINE:COLUMN: WHAT" with the line, a caret below the column and `hint` as the error's hint.
    Error error(Position at, const std::string& what, const std::string& hint = {}) const;
};

// A byte-order mark, and carriage returns at line ends, are left out. Throws Code::invalid with the place for a NUL
// byte and for UTF-16, Code::limit above 16 MiB.
Text split_text(std::string name, std::string_view bytes);

// Reads it first. `path` "-" is standard input. Throws not_found, permission, and what split_text throws.
Text read_text(const std::string& path);

// `text` for a terminal: '?' in place of each byte that it would obey. Newlines and tabs stay.
std::string shown_text(std::string_view text);
// `text` without blanks (and tabs) at both ends.
std::string_view trimmed(std::string_view text);
std::string lower(std::string_view text);

}  // namespace sg::definition
