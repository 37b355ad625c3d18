// The forms of --bind and --mount (runtime fact sheet, section 5; callers sheet, rule 7).
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sg::runtime {

struct Bind {
    std::string source;       // absolute after resolve()
    std::string destination;  // absolute in the container
    bool read_only = false;
};

// "SRC[:DEST[:OPTIONS]]", several divided by commas; `\:`, `\,` and `\\` stand for the character.
// OPTIONS are "ro", "rw" or both kinds of image options, which are refused by name. Throws Code::usage.
std::vector<Bind> parse_binds(std::string_view text);

// "type=bind,src=S,dst=D[,ro]" as CSV; several lines are several mounts.
std::vector<Bind> parse_mounts(std::string_view text);

}  // namespace sg::runtime
