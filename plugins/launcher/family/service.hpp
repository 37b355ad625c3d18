// The first process of a container that runs under a name ("instance"): it stays when the program that it was
// started for has ended well, so that others can join, reaps, and passes signals on to all.
#pragma once
#include <functional>
#include <string>

#include "family/system.hpp"

namespace launcher {

struct Service {
    std::string title;       // what process lists show as its command line
    Fd in, out, err;         // the standard streams of everything in it
    bool own_processes = true;  // it is the first process of a PID namespace
    int stop_signal = 0;        // one more that ends it, beside SIGINT, SIGTERM and SIGQUIT
};

// Before the first process is made: a session of its own, no terminal, no signals of the caller's job.
void leave_terminal();

// `payload` never returns. `errors` is closed as soon as the payload alone holds it. The process ends with the
// payload's status when that fails, with 128 + N when a signal N that ends programs found nothing more to end.
[[noreturn]] void be_service(Service& service, int errors, const std::function<void()>& payload);

}  // namespace launcher
