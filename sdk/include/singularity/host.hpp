// SPDX-License-Identifier: BSD-3-Clause
// host.hpp: the host's services for C++ plugins.
#pragma once
#include <singularity/host.h>
#include <singularity/stream.hpp>

#include <optional>

namespace singularity {

namespace detail {
inline const sg_host* the_host = nullptr;  // set by the plugin's start

template <class Table>
const Table* host_table(const char* name, uint32_t version = 1) {
    return the_host ? static_cast<const Table*>(the_host->table(the_host, name, version)) : nullptr;
}
template <class Table>
const Table& need_table(const char* name, uint32_t version = 1) {
    const auto* t = host_table<Table>(name, version);
    if (!t)
        throw Error(Code::unsupported, std::string("this host has no service '") + name + "' in version " + std::to_string(version));
    return *t;
}
}  // namespace detail

// A progress bar; ends as failed unless done() was called.
class Task {
public:
    Task(const sg_host_call_v1* table, sg_task* task) : table_(table), task_(task) {}
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { end(SG_EINTERNAL); }
    void advance(uint64_t bytes) {
        if (task_) table_->advance(task_, bytes);
    }
    void done() { end(SG_OK); }

private:
    void end(int32_t code) {
        if (task_) table_->end(task_, code);
        task_ = nullptr;
    }
    const sg_host_call_v1* table_;
    sg_task* task_;
};

// Who to be towards a server (sg_credentials); texts are overwritten at the end.
struct Credentials {
    std::string user;      // "" with a secret: the secret is a registry token
    std::string secret;    // password or token
    std::string identity;  // a refresh ("identity") token, or ""
    std::string origin;    // where it was found, for messages

    Credentials() = default;
    Credentials(const Credentials&) = default;
    Credentials& operator=(const Credentials&) = default;
    Credentials(Credentials&& o) : Credentials(static_cast<const Credentials&>(o)) { o.wipe(); }
    Credentials& operator=(Credentials&& o) {
        if (this == &o) return *this;
        wipe();
        *this = static_cast<const Credentials&>(o);
        o.wipe();
        return *this;
    }
    ~Credentials() { wipe(); }

    void wipe() {
        for (std::string* s : {&secret, &identity}) {
            overwrite(s->data(), s->size());
            s->clear();
        }
    }
    // Not optimised away, as memset before the end of a life is.
    static void overwrite(void* at, size_t size) {
        for (auto* p = static_cast<volatile unsigned char*>(at); size > 0; --size) *p++ = 0;
    }
};

// The host as seen during one call: services, cancel and progress. Cheap to copy; any thread.
class Host {
public:
    explicit Host(const sg_call* call = nullptr) : call_(call) {}
    const sg_call* call() const { return call_; }

    void log(sg_level level, const std::string& line) const {
        if (const auto* t = detail::host_table<sg_host_log_v1>("log")) t->line(level, line.c_str());
    }
    void warn(const std::string& line) const { log(SG_WARNING, line); }
    void info(const std::string& line) const { log(SG_INFO, line); }
    void debug(const std::string& line) const { log(SG_DEBUG, line); }

    bool cancelled() const {
        const auto* t = detail::host_table<sg_host_call_v1>("call");
        return call_ && t && t->cancelled(call_) != 0;
    }
    // Throws Code::cancelled once the call is to end.
    void poll() const {
        if (cancelled()) throw Error(Code::cancelled, "interrupted");
    }
    int cancel_fd() const {
        const auto* t = detail::host_table<sg_host_call_v1>("call");
        return call_ && t ? t->cancel_fd(call_) : -1;
    }
    Task task(const std::string& label, uint64_t total = SG_SIZE_UNKNOWN) const {
        const auto* t = detail::host_table<sg_host_call_v1>("call");
        return Task(t, t && call_ ? t->begin(call_, label.c_str(), total) : nullptr);
    }

    std::optional<std::string> text(const char* key) const {
        const auto* t = detail::host_table<sg_host_config_v1>("config");
        const char* v = t ? t->text(key) : nullptr;
        return v ? std::optional<std::string>(v) : std::nullopt;
    }
    // The values of a list.
    std::vector<std::string> texts(const char* key) const {
        const auto* t = detail::host_table<sg_host_config_v1>("config");
        std::vector<std::string> out;
        for (const char* v = nullptr; t && (v = t->item(key, out.size()));) out.emplace_back(v);
        return out;
    }
    int64_t integer(const char* key, int64_t otherwise) const {
        const auto* t = detail::host_table<sg_host_config_v1>("config");
        int64_t v = 0;
        return t && t->integer(key, &v) == SG_OK ? v : otherwise;
    }
    bool boolean(const char* key, bool otherwise) const {
        const auto* t = detail::host_table<sg_host_config_v1>("config");
        int32_t v = 0;
        return t && t->boolean(key, &v) == SG_OK ? v != 0 : otherwise;
    }

    // An unnamed temporary file; the caller closes it.
    int temporary_file() const {
        const auto& t = detail::need_table<sg_host_temporary_v1>("temporary");
        int32_t fd = -1;
        check([&](sg_error* e) { return t.file(&fd, e); });
        return fd;
    }
    // A new empty directory, mode 0700, that the host removes at the end of the command.
    std::string temporary_directory() const {
        const auto& t = detail::need_table<sg_host_temporary_v1>("temporary");
        char path[4096];
        check([&](sg_error* e) { return t.directory(path, sizeof path, e); });
        return path;
    }

    unsigned width() const {
        const auto* t = detail::host_table<sg_host_executor_v1>("executor");
        return t ? t->width() : 1;
    }
    void submit(void (*fn)(void*), void* arg) const {
        const auto& t = detail::need_table<sg_host_executor_v1>("executor");
        if (t.submit(fn, arg) != SG_OK) throw Error(Code::cancelled, "the command is ending");
    }

    // Credentials for a server (host.h, "credentials" 2, has the forms of `server` and `file`); nullopt: be anonymous.
    std::optional<Credentials> credentials(const std::string& server, const std::string& file = {}) const {
        const auto* t = detail::host_table<sg_host_credentials_v2>("credentials", 2);
        if (!t) return std::nullopt;
        return found([&](sg_credentials* c, sg_error* e) { return t->find(server.c_str(), file.c_str(), c, e); });
    }
    // Asked at the terminal; nullopt when there is none. An empty `user_prompt` asks for the secret alone.
    std::optional<Credentials> ask_credentials(const std::string& server, const std::string& user_prompt,
                                               const std::string& secret_prompt) const {
        const auto* t = detail::host_table<sg_host_credentials_v2>("credentials", 2);
        if (!t) return std::nullopt;
        return found([&](sg_credentials* c, sg_error* e) {
            return t->ask(server.c_str(), user_prompt.c_str(), secret_prompt.c_str(), c, e);
        });
    }
    // Keeps them; gives the file or helper that has them now.
    std::string store_credentials(const std::string& server, const Credentials& what, const std::string& file = {}) const {
        const auto& t = detail::need_table<sg_host_credentials_v2>("credentials", 2);
        Raw raw;
        const auto copy = [](auto& to, const std::string& from, const char* name) {
            if (from.size() >= sizeof to)
                throw Error(Code::limit, std::string(name) + " is longer than " + std::to_string(sizeof to - 1) + " bytes");
            detail::copy_text(to, from);
        };
        copy(raw.c.user, what.user, "the user name");
        copy(raw.c.secret, what.secret, "the password");
        copy(raw.c.identity, what.identity, "the identity token");
        char where[4096];
        check([&](sg_error* e) { return t.store(server.c_str(), file.c_str(), &raw.c, where, sizeof where, e); });
        return where;
    }
    // false: there were none.
    bool erase_credentials(const std::string& server, const std::string& file = {}) const {
        const auto& t = detail::need_table<sg_host_credentials_v2>("credentials", 2);
        int32_t code = SG_OK;
        check([&](sg_error* e) {
            code = t.erase(server.c_str(), file.c_str(), e);
            return code == SG_ENOTFOUND ? SG_OK : code;
        });
        return code == SG_OK;
    }
    // Server and user of all that are kept.
    std::vector<std::pair<std::string, std::string>> list_credentials(const std::string& file = {}) const {
        const auto& t = detail::need_table<sg_host_credentials_v2>("credentials", 2);
        std::vector<std::pair<std::string, std::string>> out;
        const auto visit = [](void* arg, const char* server, const char* user) -> int32_t {
            return guard(nullptr, [&] { static_cast<decltype(out)*>(arg)->emplace_back(server, user); });
        };
        check([&](sg_error* e) { return t.list(file.c_str(), visit, &out, e); });
        return out;
    }

private:
    struct Raw {
        sg_credentials c{};
        ~Raw() { Credentials::overwrite(&c, sizeof c); }
    };
    template <class F>
    static std::optional<Credentials> found(F&& f) {
        Raw raw;
        int32_t code = SG_OK;
        check([&](sg_error* e) {
            code = f(&raw.c, e);
            return code == SG_ENOTFOUND ? SG_OK : code;
        });
        if (code != SG_OK) return std::nullopt;
        Credentials out;
        out.user = raw.c.user;
        out.secret = raw.c.secret;
        out.identity = raw.c.identity;
        out.origin = raw.c.origin;
        return out;
    }

    const sg_call* call_;
};

}  // namespace singularity
