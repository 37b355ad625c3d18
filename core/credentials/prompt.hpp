// Questions at the terminal.
#pragma once
#include <optional>
#include <string>

#include "credentials/login.hpp"

namespace sg {

// Asks on /dev/tty, the secret with the echo off. An empty `user_prompt` asks for the secret alone. nullopt when there
// is no terminal. Whatever ends the asking, a signal that stops or ends the process too, the terminal is as before;
// after SIGCONT the question comes again. `cancel_fd` as for Helper. One question at a time; throws cancelled (also at
// the end of input), limit (longer than the fields of sg_credentials).
std::optional<Login> ask_at_terminal(const std::string& user_prompt, const std::string& secret_prompt, int cancel_fd);

}  // namespace sg
