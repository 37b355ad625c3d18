#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>

namespace conformance {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int crash_of_sanitizer = 77;

void write_all(int fd, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        done += static_cast<size_t>(n);
    }
}

// All that was written to an unnamed file, its first 64 KiB.
std::string text_of(int fd) {
    std::string out(64 << 10, '\0');
    const ssize_t n = pread(fd, out.data(), out.size(), 0);
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return out;
}

std::string line_with(const std::string& text, const char* word) {
    const size_t at = text.find(word);
    if (at == std::string::npos) return {};
    const size_t begin = text.rfind('\n', at);
    const size_t from = begin == std::string::npos ? 0 : begin + 1;
    return text.substr(from, std::min(text.find('\n', at), text.size()) - from);
}

// The line of stderr that says why a process ended.
std::string last_words(const std::string& text) {
    for (const char* word : {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "terminate called",
                             "FATAL", "corrupted", "free()"})
        if (auto line = line_with(text, word); !line.empty()) return ": " + line;
    return {};
}

[[noreturn]] void be_the_child(int report, int out, int err, const std::string& home, bool verbose,
                               const std::function<void(Probe&)>& check) {
    const int nowhere = open("/dev/null", O_RDONLY);
    dup2(nowhere, 0);
    dup2(out, 1);
    if (!verbose) dup2(err, 2);
    setenv("HOME", home.c_str(), 1);
    setenv("TMPDIR", home.c_str(), 1);
    if (chdir(home.c_str()) != 0) _exit(126);
    for (const int s : {SIGPIPE}) signal(s, SIG_IGN);
    Probe probe(report);
    try {
        check(probe);
    } catch (const Skipped&) {
    } catch (const std::exception& e) {
        probe.fail(std::string("an exception came over the boundary: ") + e.what());
    } catch (...) {
        probe.fail("an exception came over the boundary");
    }
    probe.step("while the process ends (destructors of the object)");
    probe.done();
    exit(0);
}

}  // namespace

void Probe::say(char kind, const std::string& text) {
    std::string line(1, kind);
    line += text.substr(0, 2000);
    line += '\0';
    write_all(fd_, line);
}

void Probe::fail(const std::string& what) {
    ++failures_;
    say('F', what);
}

void Probe::skip(const std::string& why) {
    say('K', why);
    throw Skipped();
}

Outcome run_check(const std::string& name, const std::string& home, const Limits& limits,
                  const std::function<void(Probe&)>& check) {
    Outcome outcome;
    outcome.check = name;
    const auto fail = [&](const std::string& text) { outcome.failures.push_back(text); };
    int ends[2];
    const int out = memfd_create("stdout", MFD_CLOEXEC), err = memfd_create("stderr", MFD_CLOEXEC);
    if (out < 0 || err < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        fail(std::string("the kit cannot start a check: ") + strerror(errno));
        outcome.state = State::failed;
        return outcome;
    }
    fflush(nullptr);
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(126);
        setpgid(0, 0);  // whatever it starts ends with it
        close(ends[0]);
        be_the_child(ends[1], out, err, home, limits.verbose, check);
    }
    setpgid(pid, pid);
    close(ends[1]);
    std::string said, step = "before anything was called";
    bool done = false, late = false;
    const auto end = Clock::now() + std::chrono::seconds(limits.seconds);
    const auto take = [&] {
        for (size_t nul; (nul = said.find('\0')) != std::string::npos; said.erase(0, nul + 1)) {
            const std::string text = said.substr(1, nul - 1);
            switch (said[0]) {
                case 'S': step = text; break;
                case 'F': fail(text); break;
                case 'N': outcome.notes.push_back(text); break;
                case 'K': outcome.skipped = text; break;
                default: done = true;
            }
        }
    };
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd p{ends[0], POLLIN, 0};
        const int ready = left > 0 ? poll(&p, 1, static_cast<int>(left)) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            late = true;
            break;
        }
        char buffer[4096];
        const ssize_t n = read(ends[0], buffer, sizeof buffer);
        if (n <= 0) break;
        said.append(buffer, static_cast<size_t>(n));
        take();
    }
    close(ends[0]);
    if (late) kill(-pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-pid, SIGKILL);  // what it left running
    if (late)
        fail("hangs: no end within " + std::to_string(limits.seconds) + " s " + step);
    else if (WIFSIGNALED(status))
        fail(std::string("crashes (") + strsignal(WTERMSIG(status)) + ") " + step + last_words(text_of(err)));
    else if (WEXITSTATUS(status) == crash_of_sanitizer)
        fail("is stopped by its sanitizer " + step + last_words(text_of(err)));
    else if (!done)
        fail("ends the process (status " + std::to_string(WEXITSTATUS(status)) + ") " + step);
    else if (WEXITSTATUS(status) != 0)
        fail("the process ends with status " + std::to_string(WEXITSTATUS(status)) + " though all was done");
    struct stat st {};
    if (!limits.may_print && fstat(out, &st) == 0 && st.st_size > 0)
        fail("prints on stdout, which belongs to the host: '" + text_of(out).substr(0, 60) + "'");
    close(out);
    close(err);
    outcome.state = !outcome.failures.empty()  ? State::failed
                    : !outcome.skipped.empty() ? State::skipped
                    : !outcome.notes.empty()   ? State::noted
                                               : State::passed;
    return outcome;
}

}  // namespace conformance
