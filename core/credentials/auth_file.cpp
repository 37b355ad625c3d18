#include "credentials/auth_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "credentials/base64.hpp"
#include "store/output.hpp"

namespace sg {

namespace json = singularity::json;

namespace {

// "docker login" writes this as the user of an identity token.
constexpr std::string_view token_user = "<token>";

[[noreturn]] void corrupt(const std::string& path, const std::string& what) {
    throw Error(Code::corrupt, path + ": " + what, "Log in again, or mend the file.");
}

// Credentials become lines of a request.
void refuse_control_characters(std::string_view token, const std::string& where) {
    for (const char c : token)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) throw Error(Code::corrupt, where + " holds a control character");
}

SecretValue text_value(std::string_view text, SecretPool& pool) {
    return SecretValue(text.data(), static_cast<rapidjson::SizeType>(text.size()), pool);
}

Secret read_whole(int fd, uint64_t size, const std::string& path) {
    if (size > json::max_bytes) throw Error(Code::limit, path + " is larger than the limit of " + std::to_string(json::max_bytes) + " bytes");
    Secret out;
    out.resize(size + 1);  // one more, to see the end
    size_t got = 0;
    for (;;) {
        const ssize_t n = ::read(fd, out.data() + got, out.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path);
        if (n == 0) break;
        got += static_cast<size_t>(n);
        if (got > json::max_bytes) throw Error(Code::limit, path + " grows beyond the limit of " + std::to_string(json::max_bytes) + " bytes");
        if (got == out.size()) out.resize(got * 2);
    }
    out.resize(got);
    return out;
}

}  // namespace

std::optional<AuthFile::Stamp> AuthFile::stamp_of(const std::string& path) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) return std::nullopt;
    return Stamp{st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size), st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
}

std::unique_ptr<AuthFile> AuthFile::open(const std::string& path, bool plain) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) return nullptr;
    if (!fd) throw_errno("cannot open", path);
    struct stat st {};
    if (fstat(fd.get(), &st) != 0) throw_errno("cannot examine", path);
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " is not a regular file, and should hold credentials");
    std::unique_ptr<AuthFile> out(new AuthFile(path, plain));
    out->foreign_ = st.st_uid != 0 && st.st_uid != geteuid();
    out->others_may_read_ = (st.st_mode & 0044) != 0;
    out->stamp_ = Stamp{st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size), st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    const Secret text = read_whole(fd.get(), static_cast<uint64_t>(st.st_size), path);
    // What "touch" makes is a file without credentials.
    if (text.view().find_first_not_of(" \t\r\n") == std::string_view::npos)
        out->document_.SetObject();
    else
        parse_secret_json(out->document_, text.view(), path);
    return out;
}

std::unique_ptr<AuthFile> AuthFile::open_or_new(const std::string& path) {
    if (auto found = open(path)) return found;
    std::unique_ptr<AuthFile> out(new AuthFile(path, false));
    out->is_new_ = true;
    out->document_.SetObject();
    return out;
}

const SecretValue* AuthFile::object(const char* key) const {
    const SecretValue* value = member(document_, key, path_);
    if (value && !value->IsObject()) corrupt(path_, "\"" + std::string(key) + "\" is not an object");
    return value;
}

bool AuthFile::holds_secrets() const {
    const SecretValue* all = auths();
    if (!all) return false;
    return std::any_of(all->MemberBegin(), all->MemberEnd(), [](const auto& m) { return m.value.IsObject() && m.value.MemberCount() > 0; });
}

std::string AuthFile::helper_of(const ServerKey& server) const {
    const SecretValue* all = object("credHelpers");
    std::string best;
    size_t covered = 0;
    if (all)
        for (const auto& m : all->GetObject()) {
            const auto key = ServerKey::of_key(name_of(m));
            if (!key || key->covers(server) <= covered) continue;
            if (!m.value.IsString()) corrupt(path_, "\"credHelpers\" has no text for " + json::printable(name_of(m)));
            covered = key->covers(server);
            best.assign(m.value.GetString(), m.value.GetStringLength());
        }
    return best;
}

std::string AuthFile::helper_of_all() const { return std::string(text_member(document_, "credsStore", path_)); }

std::optional<Login> AuthFile::login_of(const std::string& key, const SecretValue& entry) const {
    if (entry.IsNull()) return std::nullopt;
    const std::string where = path_ + ": \"auths\": " + json::printable(key);
    if (!entry.IsObject()) corrupt(where, "is not an object");
    Login out;
    out.origin = path_;
    if (const auto token = text_member(entry, "registrytoken", where); !token.empty()) {
        refuse_control_characters(token, where + ": \"registrytoken\"");
        out.secret = Secret(token);
        return out;
    }
    out.user = text_member(entry, "username", where);
    out.secret = Secret(text_member(entry, "password", where));
    if (const auto text = text_member(entry, "auth", where); !text.empty()) {
        const auto decoded = base64_decode(text);
        if (!decoded) corrupt(where, "\"auth\" is not base64");
        std::string_view pair = decoded->view();
        while (!pair.empty() && pair.back() == '\0') pair.remove_suffix(1);  // old versions of Docker pad
        const size_t colon = pair.find(':');  // a password may have more of them
        if (colon == std::string_view::npos || colon == 0) corrupt(where, "\"auth\" is not USER:PASSWORD in base64");
        out.user = pair.substr(0, colon);
        out.secret = Secret(pair.substr(colon + 1));
    }
    const auto identity = text_member(entry, "identitytoken", where);
    refuse_control_characters(identity, where + ": \"identitytoken\"");
    out.identity = Secret(identity);
    if (out.identity.empty() && out.user == token_user) std::swap(out.identity, out.secret);
    if (out.identity.empty() && (out.user.empty() || out.secret.empty())) return std::nullopt;
    if (out.user.find('\0') != std::string::npos || out.secret.view().find('\0') != std::string_view::npos)
        corrupt(where, "user or password holds a NUL character");
    return out;
}

std::optional<Login> AuthFile::find(const ServerKey& server) const {
    const SecretValue* all = auths();
    std::optional<Login> best;
    size_t covered = 0;
    if (all)
        for (const auto& m : all->GetObject()) {
            const auto key = ServerKey::of_key(name_of(m));
            if (!key || key->covers(server) <= covered) continue;
            auto login = login_of(std::string(name_of(m)), m.value);
            if (!login) continue;
            covered = key->covers(server);
            best = std::move(login);
        }
    return best;
}

std::vector<std::pair<std::string, std::string>> AuthFile::list() const {
    std::vector<std::pair<std::string, std::string>> out;
    if (const SecretValue* all = auths())
        for (const auto& m : all->GetObject()) {
            const std::string key(name_of(m));
            if (!ServerKey::of_key(key)) continue;
            if (const auto login = login_of(key, m.value)) out.emplace_back(key, login->user);
        }
    if (const SecretValue* all = object("credHelpers"))
        for (const auto& m : all->GetObject())
            if (ServerKey::of_key(name_of(m))) out.emplace_back(name_of(m), "");
    return out;
}

SecretValue& AuthFile::entry_to_write(const ServerKey& server) {
    remove(server);
    auto& pool = document_.GetAllocator();
    if (!auths()) {
        document_.RemoveMember("auths");  // a null
        document_.AddMember("auths", SecretValue(rapidjson::kObjectType), pool);
    }
    SecretValue& all = document_["auths"];
    all.AddMember(text_value(server.text(), pool), SecretValue(rapidjson::kObjectType), pool);
    return (all.MemberEnd() - 1)->value;
}

void AuthFile::put(const ServerKey& server, const Login& login) {
    if (login.user.find(':') != std::string::npos)
        throw Error(Code::invalid, "a user name with a ':' cannot be kept: " + json::printable(login.user));
    SecretValue& entry = entry_to_write(server);
    auto& pool = document_.GetAllocator();
    if (login.user.empty() && !login.secret.empty()) {
        entry.AddMember("registrytoken", text_value(login.secret.view(), pool), pool);
        return;
    }
    if (!login.secret.empty()) {
        Secret pair(login.user);
        pair.push(':');
        pair.append(login.secret.view());
        entry.AddMember("auth", text_value(base64_encode(pair.view()).view(), pool), pool);
    } else if (!login.user.empty()) {
        entry.AddMember("username", text_value(login.user, pool), pool);
    }
    if (!login.identity.empty()) entry.AddMember("identitytoken", text_value(login.identity.view(), pool), pool);
}

void AuthFile::put_empty(const ServerKey& server) { entry_to_write(server); }

bool AuthFile::remove(const ServerKey& server) {
    if (!auths()) return false;
    SecretValue& all = plain_ ? static_cast<SecretValue&>(document_) : document_["auths"];
    bool found = false;
    for (auto m = all.MemberBegin(); m != all.MemberEnd();) {
        const auto key = ServerKey::of_key(name_of(*m));
        if (key && *key == server) {
            m = all.EraseMember(m);
            found = true;
        } else {
            ++m;
        }
    }
    return found;
}

void AuthFile::write() {
    std::string target = path_;
    struct stat st {};
    if (lstat(path_.c_str(), &st) == 0 && S_ISLNK(st.st_mode)) {
        // A user may keep the file elsewhere; a link that another user laid here would have us write where they want.
        if (st.st_uid != geteuid() && st.st_uid != 0)
            throw Error(Code::permission, "cannot write " + path_ + ": it is a symbolic link of another user", "Remove it, or name another file.");
        char real[PATH_MAX];
        if (!realpath(path_.c_str(), real)) throw_errno("cannot write", path_);
        target = real;
    }
    if (foreign_) throw Error(Code::permission, "cannot write " + path_ + ": it belongs to another user", "Name a file of your own with --authfile.");
    const Secret text = print_secret_json(document_);
    OutputFile out(target, 0600);
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = ::write(out.fd(), text.view().data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write", target);
        done += static_cast<size_t>(n);
    }
    if (stamp_of(path_) != stamp_) throw Error(Code::exists, path_ + " was changed by another program at the same time", "Try again.");
    out.commit();
    stamp_ = stamp_of(path_);
    is_new_ = false;
}

}  // namespace sg
