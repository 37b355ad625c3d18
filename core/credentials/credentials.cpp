#include "credentials/credentials.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <set>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "credentials/auth_file.hpp"
#include "credentials/helper.hpp"

namespace sg {

namespace {

constexpr int tries = 5;

// A process says the same thing once.
void warn_once(const std::string& text) {
    static std::mutex mutex;
    static auto& said = *new std::set<std::string>;
    const std::lock_guard lock(mutex);
    if (said.insert(text).second) log::warning(text);
}

// What the file says, with the warnings that it deserves; null when it is not there. `named`: the user gave it.
std::unique_ptr<AuthFile> open_file(const Place& place, bool named) {
    std::unique_ptr<AuthFile> file;
    try {
        file = AuthFile::open(place.path, place.plain);
    } catch (const Error& e) {
        if (named || e.code() != Code::permission) throw;
        warn_once(e.message() + ": going on without it");
        return nullptr;
    }
    if (!file && named) throw Error(Code::invalid, "there is no file " + place.path + " with credentials");
    if (file && file->others_may_read() && file->holds_secrets())
        warn_once("other users may read the credentials in " + place.path + ": chmod 600 " + place.path);
    return file;
}

bool may_run(const AuthFile& file, const std::string& helper) {
    if (helper.empty()) return false;
    if (!file.foreign()) return true;
    warn_once(file.path() + " belongs to another user: its credential helper '" + helper + "' is not run");
    return false;
}

std::optional<Login> find_in(const AuthFile& file, const ServerKey& server, int cancel_fd) {
    if (const std::string name = file.helper_of(server); may_run(file, name)) {
        if (auto login = Helper(name, cancel_fd).get(server.address())) return login;
    }
    if (const std::string name = file.helper_of_all(); may_run(file, name)) {
        const Helper helper(name, cancel_fd);
        // A file that came from another machine: everything else in it is still good.
        if (!helper.installed())
            warn_once(file.path() + " names the credential helper " + helper.program() + ", which is not installed here: going on without it");
        else if (auto login = helper.get(server.address()))
            return login;
    }
    return file.find(server);
}

// Held while a file is read, changed and replaced. Where there are no such locks (network file systems) the check
// before the rename remains.
UniqueFd lock_directory_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    UniqueFd fd(open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) flock(fd.get(), LOCK_EX);
    return fd;
}

// The helper that keeps what the file is asked to keep, "" when the file itself does.
std::string keeper(const AuthFile& file, const ServerKey& server) {
    for (const std::string& name : {file.helper_of(server), file.helper_of_all()})
        if (may_run(file, name)) return name;
    return {};
}

}  // namespace

Credentials Credentials::of_user(int cancel_fd, std::vector<std::string> helpers) {
    Home home = Home::find();
    Places places = usual_places(home, [](const char* name) -> const char* { return std::getenv(name); });
    return {std::move(home), std::move(places), cancel_fd, std::move(helpers)};
}

std::vector<Place> Credentials::files_of(const std::string& file) const {
    return file.empty() ? places_.files : std::vector<Place>{{file}};
}

std::string Credentials::file_to_write(const std::string& file) const {
    if (!file.empty()) return file;
    if (places_.own.empty()) throw Error(Code::invalid, "there is no home directory to keep credentials in", "Set HOME, or name a file.");
    if (!home_.trusted)
        throw Error(Code::permission, "the home directory " + home_.path + " belongs to another user: nothing is written there",
                    "Set HOME to a directory of your own (sudo -H does), or name a file.");
    return places_.own;
}

std::optional<Login> Credentials::find(const std::string& server, const std::string& file) const {
    const ServerKey key = ServerKey::of_server(server);
    for (const Place& place : files_of(file)) {
        const auto opened = open_file(place, !file.empty());
        if (!opened) continue;
        if (auto login = find_in(*opened, key, cancel_fd_)) {
            log::debug("credentials for " + key.text() + " from " + login->origin);
            return login;
        }
    }
    if (file.empty())
        for (const auto& text : helpers_) {
            const size_t equals = text.find('=');
            const auto covered = ServerKey::of_key(text.substr(0, equals));
            if (!covered || covered->covers(key) == 0) continue;
            const Helper helper(text.substr(equals + 1), cancel_fd_);
            if (auto login = helper.get(key.address())) {
                log::debug("credentials for " + key.text() + " from " + helper.program() + " (credentials.helpers)");
                return login;
            }
        }
    log::debug("no credentials for " + key.text());
    return std::nullopt;
}

std::string Credentials::store(const std::string& server, const std::string& file, const Login& login) const {
    const ServerKey key = ServerKey::of_server(server);
    const std::string path = file_to_write(file);
    if (file.empty() && mkdir(home_.config.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("cannot make", home_.config);
    const UniqueFd lock = lock_directory_of(path);
    for (int i = 1;; ++i) {
        const auto opened = AuthFile::open_or_new(path);
        if (const std::string name = keeper(*opened, key); !name.empty()) {
            const Helper helper(name, cancel_fd_);
            helper.store(key.address(), login);
            return helper.program();
        }
        const bool fresh = file.empty() && opened->is_new();
        opened->put(key, login);
        try {
            opened->write();
        } catch (const Error& e) {
            if (e.code() != Code::exists || i == tries) throw;
            continue;
        }
        if (fresh)
            for (const Place& other : places_.files)
                if (const auto was = open_file(other, false); was && was->holds_secrets())
                    log::info("From now on credentials are looked for in " + path + " alone, and no more in " + other.path);
        return path;
    }
}

bool Credentials::erase(const std::string& server, const std::string& file) const {
    const ServerKey key = ServerKey::of_server(server);
    std::string path = file_to_write(file);
    // What another of our kind has written is ours too; Docker's and Podman's files are theirs.
    if (file.empty() && !places_.own_exists && places_.files.size() == 1) path = places_.files.front().path;
    const UniqueFd lock = lock_directory_of(path);
    for (int i = 1;; ++i) {
        const auto opened = open_file({path}, !file.empty());
        if (!opened) return false;
        bool found = false;
        if (const std::string name = keeper(*opened, key); !name.empty()) found = Helper(name, cancel_fd_).erase(key.address());
        if (!opened->remove(key)) return found;
        try {
            opened->write();
            return true;
        } catch (const Error& e) {
            if (e.code() != Code::exists || i == tries) throw;
        }
    }
}

std::vector<std::pair<std::string, std::string>> Credentials::list(const std::string& file) const {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add = [&](const std::string& server, const std::string& user) {
        const auto same = [&](const auto& known) { return known.first == server; };
        if (std::none_of(out.begin(), out.end(), same)) out.emplace_back(server, user);
    };
    for (const Place& place : files_of(file)) {
        const auto opened = open_file(place, !file.empty());
        if (!opened) continue;
        if (const std::string name = opened->helper_of_all(); may_run(*opened, name)) {
            try {
                for (const auto& [server, user] : Helper(name, cancel_fd_).list()) add(server, user);
            } catch (const Error& e) {
                if (e.code() == Code::cancelled) throw;
                warn_once(e.message());
            }
        }
        for (auto& [server, user] : opened->list()) {
            if (user.empty()) {
                const std::string name = opened->helper_of(ServerKey::of_server(server));
                try {
                    if (may_run(*opened, name))
                        if (const auto login = Helper(name, cancel_fd_).get(ServerKey::of_server(server).address())) user = login->user;
                } catch (const Error& e) {
                    if (e.code() == Code::cancelled) throw;
                    warn_once(e.message());
                }
            }
            add(server, user);
        }
    }
    return out;
}

}  // namespace sg
