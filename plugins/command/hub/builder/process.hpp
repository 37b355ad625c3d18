// Programs that the builder starts.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "hub/store/blobs.hpp"

namespace hub {

// Leads a process group of its own; has no input, its output goes to /dev/null, and no descriptor of the hub's. Found
// in PATH. Throws Code::io.
pid_t start_program(const std::vector<std::string>& words);

// The same with a pipe as its input. The hub has the only other end, so that it is closed however the hub ends.
struct Fed {
    pid_t pid;
    File input;
};
Fed start_fed_program(const std::vector<std::string>& words);

struct Ran {
    int status = -1;  // as of a shell
    std::string out;  // both streams, at most 64 KiB
};
// Waits for its end, 30 s at most, then kills it (status 124).
Ran run_program(const std::vector<std::string>& words, int seconds = 30);

}  // namespace hub
