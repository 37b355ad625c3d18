#include "credentials/prompt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <singularity/host.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg {

namespace {

// Signals that would leave the terminal mute. Those that somebody handles (as SIGINT, which cancels) stay theirs.
constexpr std::array watched_signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};

std::atomic<int> note_to{-1};
void note(int number) {
    const int before = errno;
    const auto byte = static_cast<unsigned char>(number);
    [[maybe_unused]] const ssize_t n = ::write(note_to.load(), &byte, 1);
    errno = before;
}

// While it lives, a signal that would end or stop the process is a byte in a pipe instead.
class CaughtSignals {
public:
    CaughtSignals() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw_errno("cannot make a pipe", "");
        reading_.reset(ends[0]);
        writing_.reset(ends[1]);
        note_to.store(ends[1]);
        struct sigaction action {};
        action.sa_handler = note;
        for (size_t i = 0; i < watched_signals.size(); ++i) {
            sigaction(watched_signals[i], nullptr, &before_[i]);
            if (before_[i].sa_handler == SIG_DFL) sigaction(watched_signals[i], &action, nullptr);
        }
    }
    CaughtSignals(const CaughtSignals&) = delete;
    CaughtSignals& operator=(const CaughtSignals&) = delete;
    ~CaughtSignals() {
        for (size_t i = 0; i < watched_signals.size(); ++i)
            if (before_[i].sa_handler == SIG_DFL) sigaction(watched_signals[i], &before_[i], nullptr);
        note_to.store(-1);
    }
    int fd() const { return reading_.get(); }
    int taken() const {
        unsigned char number = 0;
        return ::read(reading_.get(), &number, 1) == 1 ? number : 0;
    }

private:
    UniqueFd reading_, writing_;
    struct sigaction before_[watched_signals.size()];
};

class Mute {
public:
    Mute(int tty, bool wanted) : tty_(tty), set_(wanted && tcgetattr(tty, &before_) == 0) {
        if (!set_) return;
        struct termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
        silent.c_lflag |= ICANON | ISIG;
        tcsetattr(tty_, TCSAFLUSH, &silent);
    }
    Mute(const Mute&) = delete;
    Mute& operator=(const Mute&) = delete;
    ~Mute() {
        if (set_) tcsetattr(tty_, TCSAFLUSH, &before_);
    }

private:
    int tty_;
    struct termios before_ {};
    bool set_;  // last: what fills `before_` is its initializer
};

void say(int tty, const std::string& text) { [[maybe_unused]] const ssize_t n = ::write(tty, text.data(), text.size()); }

// One line; nullopt when a signal came, whose number is in `signal`.
std::optional<Secret> line_of(int tty, const std::string& prompt, bool mute, int cancel_fd, size_t limit, int& signal) {
    const CaughtSignals signals;
    const Mute silence(tty, mute);
    say(tty, prompt);
    Secret line;
    for (;;) {
        struct pollfd watched[3] = {{cancel_fd, POLLIN, 0}, {signals.fd(), POLLIN, 0}, {tty, POLLIN, 0}};
        if (poll(watched, 3, -1) < 0) {
            if (errno == EINTR) continue;
            throw_errno("cannot read from", "the terminal");
        }
        if (watched[0].revents != 0) {
            say(tty, "\n");
            throw Error(Code::cancelled, "interrupted");
        }
        if (watched[1].revents != 0) {
            signal = signals.taken();
            if (mute) say(tty, "\n");
            return std::nullopt;
        }
        if (watched[2].revents == 0) continue;
        char c = 0;
        const ssize_t n = ::read(tty, &c, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n == 0 || (n < 0 && errno == EIO)) {
            say(tty, "\n");
            throw Error(Code::cancelled, "no answer to \"" + prompt + "\"");
        }
        if (n < 0) throw_errno("cannot read from", "the terminal");
        if (c == '\n' || c == '\r') break;
        if (line.size() == limit) throw Error(Code::limit, "the answer to \"" + prompt + "\" is longer than " + std::to_string(limit) + " bytes");
        line.push(c);
    }
    if (mute) say(tty, "\n");
    return line;
}

Secret answer(int tty, const std::string& prompt, bool mute, int cancel_fd, size_t limit) {
    for (;;) {
        int signal = 0;
        if (auto line = line_of(tty, prompt, mute, cancel_fd, limit, signal)) return std::move(*line);
        // With the terminal and the handlers as before it does what it always does; who is continued asks again.
        if (signal != 0) kill(getpid(), signal);
        if (signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU && signal != 0) throw Error(Code::cancelled, "interrupted");
    }
}

}  // namespace

std::optional<Login> ask_at_terminal(const std::string& user_prompt, const std::string& secret_prompt, int cancel_fd) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    const UniqueFd tty(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!tty) return std::nullopt;
    Login login;
    login.origin = "the terminal";
    if (!user_prompt.empty()) login.user = std::string(answer(tty.get(), user_prompt, false, cancel_fd, sizeof sg_credentials::user - 1).view());
    login.secret = answer(tty.get(), secret_prompt, true, cancel_fd, sizeof sg_credentials::secret - 1);
    return login;
}

}  // namespace sg
