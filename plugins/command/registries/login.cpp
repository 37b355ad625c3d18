#include "registries/login.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace registry_command {

using singularity::Invocation;

namespace {

constexpr size_t max_password = 8191;  // what sg_credentials holds

std::string text_of(const std::string* option) { return option ? *option : ""; }

// All of standard input but the end of the line that echo and editors put there.
std::string password_from_input() {
    std::string out;
    for (;;) {
        char buffer[1024];
        const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            throw Error(Code::io, std::string("cannot read the password from standard input: ") + std::strerror(errno));
        if (n == 0) break;
        if (out.size() + static_cast<size_t>(n) > max_password + 2)
            throw Error(Code::limit,
                        "the password on standard input is longer than " + std::to_string(max_password) + " bytes");
        out.append(buffer, static_cast<size_t>(n));
        Credentials::overwrite(buffer, sizeof buffer);
    }
    while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
    if (out.find('\0') != std::string::npos)
        throw Error(Code::usage, "the password on standard input holds a NUL character");
    return out;
}

Credentials who_is_it(const Invocation& invocation, const Address& address, const Host& host) {
    Credentials who;
    who.user = text_of(option(invocation, "username"));
    const std::string* password = option(invocation, "password");
    const bool from_input = option(invocation, "password-stdin") != nullptr;
    if (password && from_input) throw Error(Code::usage, "give either --password or --password-stdin");
    if ((password || from_input) && who.user.empty()) throw Error(Code::usage, "a password needs --username");
    if (password) {
        host.warn("a password on the command line can be seen by others on this machine: use --password-stdin");
        who.secret = *password;
    } else if (from_input) {
        who.secret = password_from_input();
    } else {
        auto asked = host.ask_credentials(address.key, who.user.empty() ? "Enter Docker Username: " : "",
                                          "Enter Docker Password: ");
        if (!asked)
            throw Error(Code::usage, "there is no terminal to ask for the password of " + address.shown(),
                        "Use --username and --password-stdin.");
        if (who.user.empty()) who.user = asked->user;
        who.secret = asked->secret;
    }
    if (who.user.empty()) throw Error(Code::usage, "the user name is empty");
    if (who.user.find(':') != std::string::npos) throw Error(Code::usage, "a user name holds no ':'");
    if (who.secret.empty()) throw Error(Code::usage, "the password is empty");
    return who;
}

}  // namespace

const std::string* option(const Invocation& invocation, std::string_view name) {
    const std::string* found = nullptr;
    for (const auto& [key, value] : invocation.options)
        if (key == name) found = &value;
    return found;
}

std::string auth_file(const Invocation& invocation) {
    const std::string file = text_of(option(invocation, "authfile"));
    return file.empty() || file.front() == '/' ? file : invocation.directory + "/" + file;
}

int login(const Invocation& invocation, const Address& address, const Host& host) {
    const Credentials who = who_is_it(invocation, address, host);
    const auto given = [&](const char* name) {
        const std::string* value = option(invocation, name);
        return value && *value != "false";
    };
    verify_login(address, who, given("no-https") || given("insecure"), host);
    host.info("Token stored in " + host.store_credentials(address.key, who, auth_file(invocation)));
    return 0;
}

int logout(const Invocation& invocation, const Address& address, const Host& host) {
    const std::string file = auth_file(invocation);
    if (!host.erase_credentials(address.key, file))
        throw Error(Code::not_found,
                    "no user name and password are kept for " + address.shown() + (file.empty() ? "" : " in " + file),
                    "See: singularity registry list. What docker login or podman login keep, only they remove.");
    host.info("Token of " + address.shown() + " removed");
    return 0;
}

}  // namespace registry_command
