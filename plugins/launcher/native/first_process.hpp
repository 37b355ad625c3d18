// The first process of a PID namespace ("appinit"), and the one outside that waits for it.
#pragma once
#include <sys/types.h>

#include <functional>

namespace native {

constexpr const char* first_process_name = "appinit";

// Runs `payload` (never returns) as a child, reaps whatever is orphaned in the namespace, forwards signals,
// and exits as the payload did (128 + N for signal N) after writing its wait status to `report`.
[[noreturn]] void be_first_process(int report, const std::function<void()>& payload);

// Waits for `child`, forwarding signals that the terminal has not sent to the whole group by itself.
// `prepared` must have been called before the child was made.
class Waiter {
public:
    Waiter();   // blocks the signals to be forwarded
    ~Waiter();  // restores the mask
    void restore_in_child() const;  // the child starts with the caller's mask
    int wait(pid_t child) const;    // the wait(2) status

private:
    struct Impl;
    Impl* impl_;
};

}  // namespace native
