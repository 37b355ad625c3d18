// Text of somebody else's program for our terminal.
#pragma once
#include <string>
#include <string_view>

namespace remote_build {

// Lets text, line ends, tabs, carriage returns and colours (ESC [ ... m) through; leaves out what else steers a terminal:
// titles, cursor moves, answers that a terminal would type. Sequences may be cut between two pieces.
class LogText {
public:
    std::string filtered(std::string_view piece);

private:
    enum class State { plain, escape, sequence, text, text_escape, c2 };
    State state_ = State::plain;
    std::string pending_;  // a sequence that is not yet complete
};

}  // namespace remote_build
