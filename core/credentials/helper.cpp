#include "credentials/helper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "credentials/secret_json.hpp"

extern char** environ;

namespace sg {

namespace json = singularity::json;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view token_user = "<token>";
constexpr std::string_view none_found = "credentials not found in native keychain";
constexpr size_t max_answer = 256 << 10;  // a user, an address and a token
constexpr size_t max_list = 4 << 20;
constexpr size_t max_complaints = 16 << 10;
constexpr std::chrono::seconds notice{3};  // before the user hears what is waited for
constexpr const char* by_hand = "Try it by hand (--debug shows what it complains of), or take it out of the configuration file that names it.";

std::string seconds_text(std::chrono::milliseconds time) {
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count()) + " s";
}

struct Pipe {
    UniqueFd reading, writing;
    Pipe() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
        reading.reset(ends[0]);
        writing.reset(ends[1]);
    }
};

// A started program. It is killed and reaped when it was not waited for.
class Child {
public:
    Child(const std::string& program, const char* action, int in, int out, int err) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_adddup2(&actions, in, 0);
        posix_spawn_file_actions_adddup2(&actions, out, 1);
        if (err >= 0)
            posix_spawn_file_actions_adddup2(&actions, err, 2);
        else
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        // What we ignore or block for ourselves is not the program's.
        sigset_t signals;
        sigemptyset(&signals);
        posix_spawnattr_setsigmask(&attributes, &signals);
        sigaddset(&signals, SIGPIPE);
        posix_spawnattr_setsigdefault(&attributes, &signals);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        const char* argv[] = {program.c_str(), action, nullptr};
        const int failed = posix_spawnp(&pid_, program.c_str(), &actions, &attributes, const_cast<char* const*>(argv), environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        if (failed == 0) return;
        pid_ = -1;
        if (failed == ENOENT)
            throw Error(Code::unsupported, "the credential helper " + program + " is not installed",
                        "Install it, or take it out of the configuration file that names it.");
        throw system_error(failed, "cannot start", program);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (pid_ < 0) return;
        kill(pid_, SIGKILL);
        while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
        }
    }
    bool ended() {
        if (pid_ < 0) return true;
        const pid_t got = waitpid(pid_, &status_, WNOHANG);
        if (got == 0 || (got < 0 && errno == EINTR)) return false;
        pid_ = -1;
        return true;
    }
    int status() const { return status_; }

private:
    pid_t pid_ = -1;
    int status_ = 0;
};

// Takes what there is; false at the end.
bool take(int fd, Secret& to) {
    char buffer[4096];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) to.append({buffer, static_cast<size_t>(n)});
    explicit_bzero(buffer, sizeof buffer);
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// Every text between quotes in what was said to the program or came from it may be one that must not be shown.
std::string without(std::string text, std::string_view conversation) {
    for (size_t at = 0; at < conversation.size();) {
        const size_t begin = conversation.find('"', at);
        const size_t end = begin == std::string_view::npos ? begin : conversation.find('"', begin + 1);
        if (end == std::string_view::npos) break;
        const std::string word(conversation.substr(begin + 1, end - begin - 1));
        for (size_t found = word.size() < 3 ? std::string::npos : text.find(word); found != std::string::npos; found = text.find(word))
            text.replace(found, word.size(), "**");
        at = end + 1;
    }
    return text;
}

}  // namespace

Helper::Helper(std::string name, int cancel_fd, std::chrono::milliseconds timeout)
    : program_("docker-credential-" + name), cancel_fd_(cancel_fd), timeout_(timeout) {
    const bool plain = !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
    if (!plain) throw Error(Code::invalid, "'" + json::printable(name, 60) + "' is no name of a credential helper");
}

bool Helper::installed() const {
    const char* path = std::getenv("PATH");
    const std::string_view all = path ? path : "/usr/local/bin:/usr/bin:/bin";
    for (size_t at = 0; at <= all.size();) {
        const size_t end = std::min(all.find(':', at), all.size());
        const std::string directory(all.substr(at, end - at));
        if (access(((directory.empty() ? "." : directory) + "/" + program_).c_str(), X_OK) == 0) return true;
        at = end + 1;
    }
    return false;
}

Helper::Answer Helper::run(const char* action, const Secret& input, size_t limit) const {
    Pipe in, out, err;
    // What is said fits a pipe, and is in it before there is a reader who could go away.
    fcntl(in.writing.get(), F_SETFL, O_NONBLOCK);
    if (::write(in.writing.get(), input.view().data(), input.size()) != static_cast<ssize_t>(input.size()))
        throw Error(Code::limit, "what " + program_ + " is to be told is too long");
    const bool show = log::enabled(log::Level::debug);
    Child child(program_, action, in.reading.get(), out.writing.get(), show ? err.writing.get() : -1);
    for (Pipe* p : {&out, &err}) p->writing.reset();
    in.reading.reset();
    in.writing.reset();
    fcntl(out.reading.get(), F_SETFL, O_NONBLOCK);
    fcntl(err.reading.get(), F_SETFL, O_NONBLOCK);

    const auto begin = Clock::now(), deadline = begin + timeout_;
    bool told = false;
    Answer answer;
    Secret complaints;
    bool more = true, more_complaints = show, ended = false;
    int pause = 50;
    for (int idle = 1; more || !ended;) {
        if (Clock::now() >= deadline)
            throw Error(Code::timeout, program_ + " " + action + " gave no answer in " + seconds_text(timeout_),
                        "Perhaps it waits for a keyring that cannot be unlocked here.");
        if (!told && Clock::now() >= begin + std::min<std::chrono::milliseconds>(notice, timeout_ / 2)) {
            told = true;
            log::info("Waiting for " + program_ + ", which has the password (at most " + seconds_text(timeout_) + ")");
        }
        struct pollfd watched[3] = {{cancel_fd_, POLLIN, 0}, {more ? out.reading.get() : -1, POLLIN, 0}, {more_complaints ? err.reading.get() : -1, POLLIN, 0}};
        const int ready = poll(watched, 3, pause);
        if (ready < 0 && errno != EINTR) throw_errno("cannot wait for", program_);
        if (ready > 0 && watched[0].revents != 0) throw Error(Code::cancelled, "interrupted while waiting for " + program_);
        if (ready > 0 && watched[1].revents != 0) more = take(out.reading.get(), answer.out);
        if (ready > 0 && watched[2].revents != 0) more_complaints = take(err.reading.get(), complaints) && complaints.size() < max_complaints;
        if (answer.out.size() > limit)
            throw Error(Code::limit, program_ + " " + action + " answers with more than " + std::to_string(limit) + " bytes", by_hand);
        if (!ended) ended = child.ended();
        // A process that it left behind may keep the pipe open: what it itself has written is there by now.
        if (ended && ready == 0) break;
        if (!more || ended) pause = idle = std::min(idle * 2, 50);
    }
    answer.status = child.status();
    if (!complaints.empty()) {
        std::string said;
        for (Secret* from : {const_cast<Secret*>(&input), &answer.out}) said = without(said.empty() ? std::string(trimmed(complaints.view())) : said, from->view());
        log::debug(program_ + ": " + json::printable(said, 1000));
    }
    return answer;
}

std::optional<Secret> Helper::ask(const char* action, const Secret& input, size_t limit) const {
    Answer answer = run(action, input, limit);
    if (WIFEXITED(answer.status) && WEXITSTATUS(answer.status) == 0) return std::move(answer.out);
    if (WIFSIGNALED(answer.status))
        throw Error(Code::io, program_ + " " + action + " was ended by signal " + std::to_string(WTERMSIG(answer.status)), by_hand);
    // Complaints come on standard output.
    const std::string said = json::printable(trimmed(answer.out.view()));
    if (said.find(none_found) != std::string::npos) return std::nullopt;
    throw Error(Code::io, program_ + " " + action + " failed: " + (said.empty() ? "exit code " + std::to_string(WEXITSTATUS(answer.status)) : said),
                by_hand);
}

std::optional<Login> Helper::get(const std::string& address) const {
    const auto out = ask("get", Secret(address), max_answer);
    if (!out) return std::nullopt;
    const std::string what = "the answer of " + program_;
    SecretDocument document;
    Login login;
    login.origin = program_;
    try {
        parse_secret_json(document, out->view(), what);
        login.user = text_member(document, "Username", what);
        login.secret = Secret(text_member(document, "Secret", what));
    } catch (const Error& e) {
        throw Error(e.code(), e.message(), by_hand);
    }
    if (login.secret.empty()) return std::nullopt;
    if (login.user.find('\0') != std::string::npos || login.secret.view().find('\0') != std::string_view::npos)
        throw Error(Code::corrupt, what + " holds a NUL character", by_hand);
    if (login.user == token_user) std::swap(login.secret, login.identity);
    return login;
}

void Helper::store(const std::string& address, const Login& login) const {
    SecretDocument document;
    document.SetObject();
    auto& pool = document.GetAllocator();
    const auto add = [&](rapidjson::GenericStringRef<char> key, std::string_view text) {
        document.AddMember(key, SecretValue(text.data(), static_cast<rapidjson::SizeType>(text.size()), pool), pool);
    };
    add("ServerURL", address);
    add("Username", login.identity.empty() ? std::string_view(login.user) : token_user);
    add("Secret", login.identity.empty() ? login.secret.view() : login.identity.view());
    if (!ask("store", print_secret_json(document), max_answer))
        throw Error(Code::io, program_ + " did not keep the credentials of " + address);
}

bool Helper::erase(const std::string& address) const { return ask("erase", Secret(address), max_answer).has_value(); }

std::vector<std::pair<std::string, std::string>> Helper::list() const {
    std::vector<std::pair<std::string, std::string>> out;
    const auto text = ask("list", {}, max_list);
    if (!text) return out;
    const std::string what = "the answer of " + program_;
    SecretDocument document;
    parse_secret_json(document, text->view(), what);
    for (const auto& m : document.GetObject()) {
        if (!m.value.IsString()) throw Error(Code::corrupt, what + " has no user for " + json::printable(name_of(m)));
        out.emplace_back(name_of(m), std::string(m.value.GetString(), m.value.GetStringLength()));
    }
    return out;
}

}  // namespace sg
