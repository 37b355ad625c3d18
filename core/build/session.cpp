#include "build/session.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>

#include "base/error.hpp"
#include "build/descriptor_stream.hpp"
#include "base/log.hpp"
#include "base/whole_io.hpp"
#include "build/id_maps.hpp"
#include "build/session_child.hpp"

namespace sg {

// What scripts print: passed on, and the last lines kept for the message of a failure.
struct BuildSession::Output {
    static constexpr size_t kept = 12, longest = 400;
    UniqueFd ends[2];
    std::string partial[2];
    std::deque<std::string> last;
    std::string command;  // the last line that the shell traced
    bool merged = false;  // ends[0] has both streams, as they go to the same place

    void take(int which, const char* data, size_t size) {
        for (size_t done = 0; done < size;) {
            const ssize_t n = write(which == 0 ? STDOUT_FILENO : STDERR_FILENO, data + done, size - done);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;  // nobody reads: the build goes on
            done += static_cast<size_t>(n);
        }
        std::string& line = partial[which];
        for (size_t i = 0; i < size; ++i) {
            if (data[i] != '\n') {
                if (line.size() < longest) line.push_back(data[i]);
                continue;
            }
            if ((which == 1 || merged) && line.starts_with("+ ")) command = line.substr(2);
            last.push_back(std::exchange(line, {}));
            if (last.size() > kept) last.pop_front();
        }
    }
};

namespace {

bool same_place(int a, int b) {
    struct stat x {}, y {};
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void stop(pid_t child) {
    kill(child, SIGKILL);
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        out.push_back(c == '\t' || (u >= 0x20 && u != 0x7f) ? c : '?');
    }
    return out;
}

// The line of the definition that a traced command probably is: the shell prints it after its substitutions.
definition::Position place_of(const definition::Section& section, const std::string& command) {
    const std::string word = command.substr(0, command.find(' '));
    definition::Position best = section.at;
    size_t most = 0;
    for (const definition::Line& line : section.lines) {
        const auto text = definition::trimmed(line.text);
        if (text.starts_with('#') || text.find(word) == std::string_view::npos) continue;
        size_t same = 0;
        while (same < text.size() && same < command.size() && text[same] == command[same]) ++same;
        if (same + 1 > most) {
            most = same + 1;
            best = {line.number, static_cast<uint32_t>(text.data() - line.text.data() + 1)};
        }
    }
    return best;
}

}  // namespace

BuildSession::BuildSession(SessionPlan plan, const sg_call* call) : plan_(std::move(plan)), call_(call), output_(std::make_unique<Output>()) {
    int pair[2], tar[2], out[2], err[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw_errno("cannot make a socket pair", "");
    events_ = UniqueFd(pair[0]);
    UniqueFd theirs(pair[1]);
    if (pipe2(tar, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    tar_ = UniqueFd(tar[0]);
    UniqueFd tar_end(tar[1]);
    if (pipe2(out, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    output_->ends[0] = UniqueFd(out[0]);
    UniqueFd out_end(out[1]);
    // Two pipes would break the lines of one stream by those of the other.
    output_->merged = same_place(STDOUT_FILENO, STDERR_FILENO);
    UniqueFd err_end;
    if (!output_->merged) {
        if (pipe2(err, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
        output_->ends[1] = UniqueFd(err[0]);
        err_end = UniqueFd(err[1]);
    }
    (void)fcntl(tar_end.get(), F_SETPIPE_SZ, 1 << 20);
    const pid_t parent = getpid();
    child_ = fork();
    if (child_ < 0) throw_errno("cannot start a process for the build", "");
    if (child_ == 0) {
        events_.reset();
        tar_.reset();
        output_->ends[0].reset();
        output_->ends[1].reset();
        run_session_child(plan_, {parent, theirs.get(), tar_end.get(), out_end.get(), (err_end ? err_end : out_end).get()}, call_);
    }
}

BuildSession::~BuildSession() {
    if (child_ > 0) {
        stop(child_);
        // Only when the last of its processes is gone is nobody writing to these any more.
        for (int i = 0; i < 100 && output_->ends[0]; ++i) relay(100);
    }
    const std::string work = plan_.work;
    try {
        run_as_build_root([&] { remove_below(work); });
    } catch (const Error& e) {
        log::warning(e.message());
    }
}

// Passes on what came, waiting at most `timeout` milliseconds.
void BuildSession::relay(int timeout) {
    pollfd fds[2];
    for (int i = 0; i < 2; ++i) fds[i] = {output_->ends[i] ? output_->ends[i].get() : -1, POLLIN, 0};
    if (poll(fds, 2, timeout) <= 0) return;
    char buffer[65536];
    for (int i = 0; i < 2; ++i) {
        if (!(fds[i].revents & (POLLIN | POLLHUP))) continue;
        const ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
        if (n > 0)
            output_->take(i, buffer, static_cast<size_t>(n));
        else if (n == 0)
            output_->ends[i].reset();
    }
}

// The next message of the process; false when it is gone. Output is passed on meanwhile.
bool BuildSession::next_event(char& type, std::string& payload) {
    for (int rounds = 0;;) {
        pollfd fds[4] = {{events_.get(), POLLIN, 0},
                         {output_->ends[0] ? output_->ends[0].get() : -1, POLLIN, 0},
                         {output_->ends[1] ? output_->ends[1].get() : -1, POLLIN, 0},
                         {call_ ? call_->cancel.fd() : -1, POLLIN, 0}};
        if (poll(fds, 4, -1) < 0 && errno != EINTR) throw_errno("cannot wait for the build's process", "");
        if (call_) call_->cancel.poll();
        if (fds[1].revents || fds[2].revents) relay(0);
        // Messages come after the output that they speak of; what something in the background prints does not stop them.
        if (fds[0].revents && ((!(fds[1].revents & POLLIN) && !(fds[2].revents & POLLIN)) || ++rounds > 256)) break;
    }
    uint32_t size = 0;
    if (!read_exactly(events_.get(), &type, 1) || !read_exactly(events_.get(), &size, sizeof size) || size > (64u << 20)) return false;
    payload.resize(size);
    return read_exactly(events_.get(), payload.data(), size);
}

const ScriptResults& BuildSession::run() {
    char type = 0;
    std::string payload;
    while (next_event(type, payload)) {
        switch (type) {
            case session_event::map: {
                subordinate_ = map_subordinate_ids(child_);
                const char answer = subordinate_ ? 'y' : 'n';
                if (send(events_.get(), &answer, 1, MSG_NOSIGNAL) != 1) break;
                if (!subordinate_) log::verbose("No subordinate ids (/etc/subuid, newuidmap): owners are recorded, not set");
                break;
            }
            case session_event::no_owners:
                results_.owners_unknown = true;
                results_.owners_missing = payload;
                break;
            case session_event::labels: results_.labels = payload; break;
            case session_event::environment: results_.environment = payload; break;
            case session_event::metadata: results_.metadata = payload; break;
            case session_event::unpacked: results_.unpacked = true; break;
            case session_event::done: return results_;
            case session_event::failure: failed(payload);
            case session_event::script_failed: {
                const char* at = payload.data();
                int32_t status = 0;
                std::memcpy(&status, at, sizeof status);
                const std::string name = payload.substr(sizeof status);
                const auto& section = name == "setup" ? plan_.setup : plan_.post;
                const bool by_signal = WIFSIGNALED(status);
                std::string what = "%" + name + (by_signal ? " was ended by signal " + std::to_string(WTERMSIG(status)) : " failed with status " + std::to_string(WEXITSTATUS(status)));
                if (!output_->command.empty()) what += ": " + printable(output_->command);
                std::string hint = "The last lines that it printed:";
                for (const auto& line : output_->last) hint += "\n             " + printable(line);
                if (output_->last.empty()) hint = "It printed nothing.";
                throw plan_.text.error(section ? place_of(*section, output_->command) : plan_.stage.at, what, hint);
            }
            default: throw Error(Code::internal, "the build's process sent something unknown");
        }
    }
    throw Error(Code::internal, "the process of the build ended without a word", "The kernel's log (dmesg) may say why, as when memory ran out.");
}

void BuildSession::failed(const std::string& payload) {
    sg_error err{};
    std::memcpy(&err, payload.data(), std::min(payload.size(), sizeof err));
    err.message[sizeof err.message - 1] = err.hint[sizeof err.hint - 1] = err.detail[sizeof err.detail - 1] = '\0';
    throw Error(static_cast<Code>(err.code), err.message, err.hint, err.detail);
}

std::unique_ptr<singularity::Stream> BuildSession::changes() { return std::make_unique<DescriptorStream>(std::move(tar_), "the changes of the build"); }

void BuildSession::end() {
    char type = 0;
    std::string payload;
    if (!next_event(type, payload)) throw Error(Code::internal, "the process of the build ended before its changes were read");
    if (type == session_event::failure) failed(payload);
    int status = 0;
    while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
}

}  // namespace sg
