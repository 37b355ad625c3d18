#include "registry/accounts.hpp"

#include <singularity/host.hpp>

#include <cstdlib>

namespace registry {
namespace {

using singularity::Code;
using singularity::Error;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// Takes the texts over and leaves nothing of them behind.
Account taken(sg_credentials& c) {
    Account out{c.user, c.secret, c.identity, c.origin};
    singularity::Credentials::overwrite(&c, sizeof c);
    return out;
}

}  // namespace

Accounts::Accounts(const singularity::SourceSpec& spec)
    : login_(spec.option("docker-login") == "true"), file_(spec.option("authfile")) {
    if (!file_.empty()) file_ = spec.absolute(file_);
    std::string user = spec.option("docker-username"), secret = spec.option("docker-password");
    const bool named = !user.empty() || !secret.empty();
    if (user.empty()) user = variable("DOCKER_USERNAME");
    if (secret.empty()) secret = variable("DOCKER_PASSWORD");
    if (!user.empty() && !secret.empty()) {
        explicit_ = Account{user, secret, "", "the command line or the environment"};
        return;
    }
    if (named && !login_)
        throw Error(Code::usage, secret.empty() ? "a Docker user name is given, but no password"
                                                : "a Docker password is given, but no user name",
                    "Set both, as SINGULARITY_DOCKER_USERNAME and SINGULARITY_DOCKER_PASSWORD, or use --docker-login.");
}

void Accounts::ask(const std::string& server, const singularity::Host&) {
    const std::lock_guard lock(mutex_);
    if (!login_ || explicit_) return;
    const std::string hint = "Set SINGULARITY_DOCKER_USERNAME and SINGULARITY_DOCKER_PASSWORD instead.";
    sg_credentials c{};
    try {
        const auto* table = singularity::detail::host_table<sg_host_credentials_v2>("credentials", 2);
        if (!table) throw Error(Code::not_found, "");
        singularity::check([&](sg_error* e) {
            return table->ask(server.c_str(), "Enter Docker Username: ", "Enter Docker Password: ", &c, e);
        });
    } catch (const Error& e) {
        if (e.code() != Code::not_found) throw;
        throw Error(Code::usage, "there is no terminal to ask for a Docker user name and password", hint);
    }
    explicit_ = taken(c);
    if (explicit_->origin.empty()) explicit_->origin = "the terminal";
}

std::optional<Account> Accounts::find(const std::string& server) {
    const std::lock_guard lock(mutex_);
    if (explicit_) return explicit_;
    if (const auto known = found_.find(server); known != found_.end()) return known->second;
    std::optional<Account> out;
    if (const auto* table = singularity::detail::host_table<sg_host_credentials_v2>("credentials", 2)) {
        sg_credentials c{};
        try {
            singularity::check([&](sg_error* e) {
                return table->find(server.c_str(), file_.empty() ? nullptr : file_.c_str(), &c, e);
            });
            out = taken(c);
        } catch (const Error& e) {
            singularity::Credentials::overwrite(&c, sizeof c);
            if (e.code() != Code::not_found) throw;
        }
    }
    if (out && out->secret.empty() && out->identity.empty()) out.reset();
    found_.emplace(server, out);
    return out;
}

}  // namespace registry
