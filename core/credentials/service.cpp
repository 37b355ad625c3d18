#include "credentials/service.hpp"

#include <atomic>
#include <mutex>
#include <singularity/error.hpp>

#include "base/error.hpp"
#include "credentials/credentials.hpp"
#include "credentials/prompt.hpp"

namespace sg {

namespace {

std::atomic<int> the_cancel_fd{-1};
std::mutex the_mutex;
std::vector<std::string>& the_helpers() {
    static auto& helpers = *new std::vector<std::string>;  // never freed: plugins may outlive static objects
    return helpers;
}

Credentials credentials() {
    const std::lock_guard lock(the_mutex);
    return Credentials::of_user(the_cancel_fd.load(), the_helpers());
}

std::string text(const char* from) { return from ? from : ""; }

template <size_t N>
void put(char (&to)[N], std::string_view from, const std::string& what, const std::string& origin) {
    if (from.size() >= N) throw Error(Code::limit, what + " from " + origin + " is longer than " + std::to_string(N - 1) + " bytes");
    singularity::detail::copy_text(to, from);
}

void fill(sg_credentials& out, const Login& login) {
    put(out.user, login.user, "the user", login.origin);
    put(out.secret, login.secret.view(), "the password", login.origin);
    put(out.identity, login.identity.view(), "the identity token", login.origin);
    singularity::detail::copy_text(out.origin, login.origin);
}

int32_t find(const char* server, const char* file, sg_credentials* out, sg_error* err) {
    return singularity::guard(err, [&]() -> int32_t {
        const auto login = credentials().find(text(server), text(file));
        if (!login) return singularity::fill(err, Code::not_found, "no credentials for " + text(server));
        fill(*out, *login);
        return SG_OK;
    });
}

int32_t ask(const char* server, const char* user_prompt, const char* secret_prompt, sg_credentials* out, sg_error* err) {
    return singularity::guard(err, [&]() -> int32_t {
        const auto login = ask_at_terminal(text(user_prompt), text(secret_prompt), the_cancel_fd.load());
        if (!login)
            return singularity::fill(err, Code::not_found, "nobody can be asked for the credentials of " + text(server) + ": there is no terminal");
        fill(*out, *login);
        return SG_OK;
    });
}

int32_t store(const char* server, const char* file, const sg_credentials* what, char* where, uint64_t capacity, sg_error* err) {
    return singularity::guard(err, [&] {
        const std::string place = credentials().store(text(server), text(file), Login{what->user, Secret(what->secret), Secret(what->identity), what->origin});
        if (!where || capacity == 0) return;
        const size_t size = std::min<size_t>(place.size(), capacity - 1);
        place.copy(where, size);
        where[size] = '\0';
    });
}

int32_t erase(const char* server, const char* file, sg_error* err) {
    return singularity::guard(err, [&]() -> int32_t {
        if (credentials().erase(text(server), text(file))) return SG_OK;
        return singularity::fill(err, Code::not_found, "no credentials of " + text(server) + " are kept" + (text(file).empty() ? "" : " in " + text(file)));
    });
}

int32_t list(const char* file, int32_t (*visit)(void*, const char*, const char*), void* arg, sg_error* err) {
    return singularity::guard(err, [&] {
        for (const auto& [server, user] : credentials().list(text(file)))
            if (visit(arg, server.c_str(), user.c_str()) != 0) break;
    });
}

constexpr sg_host_credentials_v2 table{find, ask, store, erase, list};

}  // namespace

const sg_host_credentials_v2& credentials_table(int cancel_fd, const std::vector<std::string>& helpers) {
    const std::lock_guard lock(the_mutex);
    the_helpers() = helpers;
    the_cancel_fd.store(cancel_fd);
    return table;
}

}  // namespace sg
