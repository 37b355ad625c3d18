// Programs that keep credentials: docker-credential-NAME (docker/docker-credential-helpers, README.md).
//
// Secrets go through pipes alone. A program that takes longer than the time-out is killed, as it is when the command
// is cancelled; what it writes to stderr is shown by --debug only, without the secrets.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "credentials/login.hpp"

namespace sg {

class Helper {
public:
    // Time enough to unlock a keyring by hand.
    static constexpr std::chrono::milliseconds patience{120000};

    // `name` is what a configuration file has. `cancel_fd` becomes readable when the command is to end; -1: never.
    // Throws Code::invalid for a name that is a path or worse.
    explicit Helper(std::string name, int cancel_fd = -1, std::chrono::milliseconds timeout = patience);

    const std::string& program() const { return program_; }
    bool installed() const;  // in PATH

    // All throw unsupported (no such program; not_found would mean that there are no credentials), timeout, cancelled, corrupt (an answer that is none) and io (what it
    // complains of).
    std::optional<Login> get(const std::string& address) const;  // nullopt: it has none
    void store(const std::string& address, const Login& login) const;
    bool erase(const std::string& address) const;                               // false: it had none
    std::vector<std::pair<std::string, std::string>> list() const;              // address, user

private:
    struct Answer {
        int status = 0;  // of waitpid
        Secret out;
    };
    Answer run(const char* action, const Secret& input, size_t limit) const;
    // The output of an action that succeeded; nullopt for "not found".
    std::optional<Secret> ask(const char* action, const Secret& input, size_t limit) const;

    std::string program_;
    int cancel_fd_;
    std::chrono::milliseconds timeout_;
};

}  // namespace sg
