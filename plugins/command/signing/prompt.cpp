#include "signing/prompt.hpp"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include <singularity/error.hpp>

namespace signing {

namespace {

// Terminal settings that come back also when the person gives up.
termios before;
void restore(int number) {
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    signal(number, SIG_DFL);
    raise(number);
}

std::string line() {
    std::string out;
    for (;;) {
        char c = 0;
        const ssize_t n = ::read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (out.empty()) throw singularity::Error(singularity::Code::invalid, "an answer is needed, and there is nobody to give it", "run it at a terminal, or give the answers on standard input");
            return out;
        }
        if (c == '\n') return out;
        if (out.size() < 4096) out += c;
    }
}

void show(const std::string& text) { [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size()); }

}  // namespace

std::string ask(const std::string& question) {
    show(question);
    return line();
}

std::string ask_secret(const std::string& question) {
    show(question);
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0) {
        std::string answer = line();
        show("\n");  // what is said next begins a line
        return answer;
    }
    struct sigaction act {}, interrupted, terminated;
    act.sa_handler = restore;
    sigaction(SIGINT, &act, &interrupted);
    sigaction(SIGTERM, &act, &terminated);
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    std::string out;
    try {
        out = line();
    } catch (...) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
        throw;
    }
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    sigaction(SIGINT, &interrupted, nullptr);
    sigaction(SIGTERM, &terminated, nullptr);
    show("\n");
    return out;
}

}  // namespace signing
