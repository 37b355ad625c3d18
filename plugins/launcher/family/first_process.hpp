// The first process of a PID namespace ("appinit"), and the one outside that waits for it.
#pragma once
#include <signal.h>
#include <sys/types.h>

#include <functional>

namespace launcher {

constexpr const char* first_process_name = "appinit";

// Runs `payload` (never returns) as a child, reaps whatever is orphaned in the namespace, forwards signals,
// and exits as the payload did (128 + N for signal N) after writing its wait status to `report`.
[[noreturn]] void be_first_process(int report, const std::function<void()>& payload);

// Waits for `child`, forwarding signals that the terminal has not sent to the whole group by itself.
// Make it before the child: the constructor blocks the signals that are to be forwarded.
class Waiter {
public:
    Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();  // restores the mask
    void restore_in_child() const;  // the child starts with the caller's mask
    int wait(pid_t child) const;    // the wait(2) status

private:
    sigset_t before_;
};

}  // namespace launcher
