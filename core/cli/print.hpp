// Results go to standard output, whole or with an error.
#pragma once
#include <string>

namespace sg {

void print(const std::string& text);  // throws when it cannot be written; a closed pipe ends the process

// When standard output is a pipe that nobody reads any more, ends the process as SIGPIPE does: no message.
void end_when_nobody_reads();

}  // namespace sg
