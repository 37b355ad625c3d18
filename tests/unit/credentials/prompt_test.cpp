#include "credentials/prompt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <functional>

#include "base/call.hpp"
#include "scratch.hpp"

using namespace sg;

namespace {

// A child with a terminal of its own; what it writes there, and its exit code.
struct AtTerminal {
    int terminal = -1;
    pid_t pid = -1;
    std::string seen;

    explicit AtTerminal(const std::function<int()>& child) {
        pid = forkpty(&terminal, nullptr, nullptr, nullptr);
        BOOST_REQUIRE(pid >= 0);
        if (pid == 0) _exit(child());
    }
    ~AtTerminal() {
        kill(pid, SIGKILL);
        close(terminal);
        waitpid(pid, nullptr, 0);
    }
    void wait_for(const std::string& text) {
        while (!has(seen, text)) {
            struct pollfd p {terminal, POLLIN, 0};
            BOOST_REQUIRE_MESSAGE(poll(&p, 1, 20000) == 1, "waited for '" << text << "' and saw '" << seen << "'");
            char buffer[512];
            const ssize_t n = ::read(terminal, buffer, sizeof buffer);
            BOOST_REQUIRE_MESSAGE(n > 0, "waited for '" << text << "' and saw '" << seen << "'");
            seen.append(buffer, static_cast<size_t>(n));
        }
    }
    void type(const std::string& text) { BOOST_REQUIRE(::write(terminal, text.data(), text.size()) == static_cast<ssize_t>(text.size())); }
    bool echoes() const {
        struct termios t {};
        BOOST_REQUIRE(tcgetattr(terminal, &t) == 0);
        return (t.c_lflag & ECHO) != 0;
    }
    int status(int options = 0) {
        int s = 0;
        BOOST_REQUIRE(waitpid(pid, &s, options) == pid);
        return s;
    }
};

// The answers come back on the terminal, in brackets, so that they can be told from an echo.
int ask_and_show() {
    try {
        const auto login = ask_at_terminal("Enter Docker Username: ", "Enter Docker Password: ", -1);
        if (!login) return 2;
        const std::string out = "[" + login->user + "|" + text(login->secret).substr(0, 2) + "..." + std::to_string(login->secret.size()) + "]\n";
        return ::write(1, out.data(), out.size()) > 0 ? 0 : 3;
    } catch (const Error& e) {
        return e.code() == Code::cancelled ? 4 : 5;
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_password_is_not_echoed_and_the_terminal_is_as_before) {
    AtTerminal t(ask_and_show);
    t.wait_for("Username: ");
    t.type("me\n");
    t.wait_for("Password: ");
    BOOST_TEST(!t.echoes());
    t.type("hunter two$\n");
    t.wait_for("[me|hu...11]");
    BOOST_TEST(!has(t.seen, "hunter"));
    BOOST_TEST(t.echoes());
    BOOST_TEST(t.status() == 0);
}

BOOST_AUTO_TEST_CASE(a_signal_that_ends_the_process_leaves_the_echo_on) {
    for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) {
        AtTerminal t(ask_and_show);
        t.wait_for("Username: ");
        t.type("me\n");
        t.wait_for("Password: ");
        kill(t.pid, number);
        const int status = t.status();
        BOOST_TEST((WIFSIGNALED(status) && WTERMSIG(status) == number), number << " " << status);
        BOOST_TEST(t.echoes());
    }
}

BOOST_AUTO_TEST_CASE(a_process_that_is_stopped_gives_the_echo_back_and_asks_again) {
    // A shell between: the kernel does not stop a process whose group has nobody outside it in its session.
    AtTerminal t([] {
        const pid_t child = fork();
        if (child == 0) {
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(0, getpgrp());
            signal(SIGTTOU, SIG_DFL);
            _exit(ask_and_show());
        }
        int status = 0;
        if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return 10;
        struct termios now {};
        if (tcgetattr(0, &now) != 0 || (now.c_lflag & ECHO) == 0) return 11;
        kill(child, SIGCONT);
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 12;
    });
    t.wait_for("Username: ");
    t.type("me\n");
    t.wait_for("Password: ");
    t.type("\x1a");  // Ctrl-Z
    t.seen.clear();
    t.wait_for("Password: ");
    BOOST_TEST(!t.echoes());
    t.type("hunter2\n");
    t.wait_for("[me|hu...7]");
    BOOST_TEST(t.status() == 0);
}

BOOST_AUTO_TEST_CASE(the_end_of_input_and_a_cancelled_command_end_the_asking) {
    AtTerminal t(ask_and_show);
    t.wait_for("Username: ");
    t.type("\x04");
    t.wait_for("\n");
    BOOST_TEST(t.status() == 4 << 8);
    AtTerminal cancelled([] {
        CancelToken token;
        token.cancel();
        try {
            ask_at_terminal("", "Password: ", token.fd());
        } catch (const Error& e) {
            return e.code() == Code::cancelled ? 0 : 1;
        }
        return 2;
    });
    cancelled.wait_for("Password: ");
    BOOST_TEST(cancelled.status() == 0);
}

BOOST_AUTO_TEST_CASE(without_a_terminal_nobody_is_asked) {
    const pid_t pid = fork();
    BOOST_REQUIRE(pid >= 0);
    if (pid == 0) {
        setsid();  // loses the terminal
        _exit(ask_at_terminal("user: ", "secret: ", -1).has_value() ? 1 : 0);
    }
    int status = 0;
    BOOST_REQUIRE(waitpid(pid, &status, 0) == pid);
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(an_answer_without_end_is_refused) {
    AtTerminal t([] {
        try {
            ask_at_terminal("", "Password: ", -1);
        } catch (const Error& e) {
            return e.code() == Code::limit ? 0 : 1;
        }
        return 2;
    });
    t.wait_for("Password: ");
    for (int i = 0; i < 3; ++i) t.type(std::string(4000, 'x') + "\x04");  // Ctrl-D hands over a line without its end
    BOOST_TEST(t.status() == 0);
}
