// The end of an instance, for who wants to hear of it: whoever starts one returns at once, so a process of its own
// waits.
#pragma once
#include <functional>
#include <string>

namespace sg {

// Calls `start`, which gives the instance's first process, in a new process that stays until that one has ended and
// then calls `ended` with its exit status (128 + number for a signal). Returns the first process. Throws what `start`
// throws. The caller must have one thread. `messages`: a file for what the waiting process writes to its standard
// error, or "".
int watch_instance(const std::function<int()>& start, const std::function<void(int status)>& ended,
                   const std::string& messages);

}  // namespace sg
