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

    unsigned width() const {
        const auto* t = detail::host_table<sg_host_executor_v1>("executor");
        return t ? t->width() : 1;
    }
    void submit(void (*fn)(void*), void* arg) const {
        const auto& t = detail::need_table<sg_host_executor_v1>("executor");
        if (t.submit(fn, arg) != SG_OK) throw Error(Code::cancelled, "the command is ending");
    }

private:
    const sg_call* call_;
};

}  // namespace singularity
