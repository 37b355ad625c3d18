// SPDX-License-Identifier: BSD-3-Clause
// error.hpp: the one error type of C++ plugins and of the host, and its way over the C boundary.
#pragma once
#include <singularity/plugin.h>

#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace singularity {

enum class Code : int32_t {
    internal = SG_EINTERNAL,
    invalid = SG_EINVALID,
    not_found = SG_ENOTFOUND,
    exists = SG_EEXISTS,
    permission = SG_EPERMISSION,
    unauthorized = SG_EUNAUTHORIZED,
    io = SG_EIO,
    no_space = SG_ENOSPACE,
    corrupt = SG_ECORRUPT,
    unsupported = SG_EUNSUPPORTED,
    limit = SG_ELIMIT,
    network = SG_ENETWORK,
    timeout = SG_ETIMEOUT,
    cancelled = SG_ECANCELLED,
    veto = SG_EVETO,
    usage = SG_EUSAGE,
};

// Thrown inside host and plugins. `message` is one line for the user: what, which file or URL, why;
// `hint` one line that helps or empty; `detail` for --debug.
class Error : public std::exception {
public:
    Error(Code code, std::string message, std::string hint = {}, std::string detail = {})
        : code_(code), message_(std::move(message)), hint_(std::move(hint)), detail_(std::move(detail)) {}

    Code code() const noexcept { return code_; }
    const std::string& message() const noexcept { return message_; }
    const std::string& hint() const noexcept { return hint_; }
    const std::string& detail() const noexcept { return detail_; }
    const char* what() const noexcept override { return message_.c_str(); }

    // The errno behind it, or 0.
    int sys_errno() const noexcept { return sys_errno_; }

    // The same error with "PREFIX: " before its message.
    Error within(std::string_view prefix) const {
        return Error(code_, std::string(prefix) + ": " + message_, hint_, detail_).because(sys_errno_);
    }
    // The same error with the errno behind it.
    Error because(int sys_errno) const {
        Error e = *this;
        e.sys_errno_ = sys_errno;
        return e;
    }

private:
    Code code_;
    int sys_errno_ = 0;
    std::string message_, hint_, detail_;
};

namespace detail {
template <size_t N>
void copy_text(char (&to)[N], std::string_view from) noexcept {
    const size_t n = from.size() < N - 1 ? from.size() : N - 1;
    if (n > 0) std::memcpy(to, from.data(), n);
    to[n] = '\0';
}
// The same as one line: names come from strangers, and a control character in one of them would move the cursor.
template <size_t N>
void copy_line(char (&to)[N], std::string_view from) noexcept {
    copy_text(to, from);
    for (char* c = to; *c; ++c)
        if (static_cast<unsigned char>(*c) < 0x20 || *c == 0x7f) *c = *c == '\n' || *c == '\t' || *c == '\r' ? ' ' : '?';
}
}  // namespace detail

inline int32_t fill(sg_error* err, Code code, std::string_view message, std::string_view hint = {},
                    std::string_view more = {}) noexcept {
    if (err) {
        err->code = static_cast<int32_t>(code);
        err->sys_errno = 0;
        detail::copy_line(err->message, message);
        detail::copy_line(err->hint, hint);
        detail::copy_text(err->detail, more);
    }
    return static_cast<int32_t>(code);
}

// Runs `f` at the boundary: nothing is thrown past it. `f` returns void (SG_OK) or an sg_code.
template <class F>
int32_t guard(sg_error* err, F&& f) noexcept {
    try {
        if constexpr (std::is_void_v<decltype(f())>) {
            f();
            return SG_OK;
        } else {
            return f();
        }
    } catch (const Error& e) {
        fill(err, e.code(), e.message(), e.hint(), e.detail());
        if (err) err->sys_errno = e.sys_errno();
        return static_cast<int32_t>(e.code());
    } catch (const std::bad_alloc&) {
        return fill(err, Code::limit, "out of memory");
    } catch (const std::exception& e) {
        return fill(err, Code::internal, e.what());
    } catch (...) {
        return fill(err, Code::internal, "unknown failure");
    }
}

// Calls a function of the C boundary: `f` gets the sg_error to hand over and returns its code;
// a failure is thrown as Error.
template <class F>
void check(F&& f) {
    sg_error err;
    err.message[0] = err.hint[0] = err.detail[0] = '\0';
    err.code = err.sys_errno = 0;
    const int32_t rc = f(&err);
    if (rc == SG_OK) return;
    throw Error(static_cast<Code>(rc), err.message[0] ? err.message : "failed without a message", err.hint, err.detail).because(err.sys_errno);
}

}  // namespace singularity
