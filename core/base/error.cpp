#include "base/error.hpp"

#include <cerrno>
#include <system_error>

namespace sg {

int exit_code(Code code) noexcept { return code == Code::usage ? 1 : 255; }

static Code code_of(int e) {
    switch (e) {
        case ENOENT:
        case ENOTDIR: return Code::not_found;
        case EEXIST:
        case ENOTEMPTY: return Code::exists;
        case EACCES:
        case EPERM:
        case EROFS: return Code::permission;
        case ENOSPC:
        case EDQUOT: return Code::no_space;
        case EFBIG:
        case EMFILE:
        case ENFILE:
        case ENOMEM: return Code::limit;
        case EINTR: return Code::cancelled;
        case ETIMEDOUT: return Code::timeout;
        default: return Code::io;
    }
}

Error system_error(int e, std::string_view what, std::string_view path) {
    std::string message(what);
    if (!path.empty()) message.append(" ").append(path);
    message.append(": ").append(std::generic_category().message(e));
    return Error(code_of(e), std::move(message));
}

void throw_errno(std::string_view what, std::string_view path) { throw system_error(errno, what, path); }

}  // namespace sg
