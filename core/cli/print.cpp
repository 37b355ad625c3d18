#include "cli/print.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"

namespace sg {

void print(const std::string& text) {
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EPIPE) end_when_nobody_reads();
        if (n < 0) throw_errno("cannot write to", "standard output");
        done += static_cast<size_t>(n);
    }
}

void end_when_nobody_reads() {
    pollfd out{STDOUT_FILENO, 0, 0};
    if (poll(&out, 1, 0) != 1 || !(out.revents & POLLERR)) return;
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

}  // namespace sg
