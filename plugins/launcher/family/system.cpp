#include "family/system.hpp"

#include <cstring>
#include <vector>

namespace launcher {

static Code code_of(int number) {
    switch (number) {
        case ENOENT:
        case ENOTDIR: return Code::not_found;
        case EACCES:
        case EPERM:
        case EROFS: return Code::permission;
        case ENOSPC:
        case EDQUOT: return Code::no_space;
        case EMFILE:
        case ENFILE:
        case ENOMEM: return Code::limit;
        default: return Code::io;
    }
}

Error system_error(int number, std::string_view what, std::string_view path, std::string hint) {
    std::string message(what);
    if (!path.empty()) message.append(" ").append(path);
    message.append(": ").append(std::strerror(number));
    return Error(code_of(number), std::move(message), std::move(hint));
}

void fail(std::string_view what, std::string_view path, std::string hint) {
    throw system_error(errno, what, path, std::move(hint));
}

std::string machine_hint(std::string hint) {
    return hint.empty() ? "'singularity doctor' tells what this machine lacks" : std::move(hint) + "; 'singularity doctor' tells more";
}

std::string fd_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

std::string read_file(int at, const std::string& path, size_t limit) {
    // An image may have a FIFO in a file's place, which would never end.
    Fd fd(::openat(at, path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) fail("cannot open", path);
    struct stat s;
    if (::fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode)) throw Error(Code::invalid, path + " is no regular file");
    std::string out;
    char buffer[16384];
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("cannot read", path);
        if (n == 0) return out;
        if (out.size() + static_cast<size_t>(n) > limit)
            throw Error(Code::limit, path + " is larger than " + std::to_string(limit) + " bytes");
        out.append(buffer, static_cast<size_t>(n));
    }
}

void write_file(int at, const std::string& path, std::string_view content, mode_t mode) {
    Fd fd(::openat(at, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd) fail("cannot create", path);
    while (!content.empty()) {
        const ssize_t n = ::write(fd.get(), content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("cannot write", path);
        content.remove_prefix(static_cast<size_t>(n));
    }
}

void replace_file(const std::string& path, std::string_view content, mode_t mode) {
    const std::string part = path + ".part";
    (void)::unlink(part.c_str());  // of somebody who was killed
    write_file(AT_FDCWD, part, content, mode);
    if (::rename(part.c_str(), path.c_str()) != 0) fail("cannot write", path);
}

std::string clean_path(std::string_view path) {
    std::vector<std::string_view> parts;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string_view part = path.substr(at, end - at);
        at = end + 1;
        if (part.empty() || part == ".") continue;
        if (part != "..")
            parts.push_back(part);
        else if (!parts.empty())
            parts.pop_back();
    }
    std::string out;
    for (const auto part : parts) out.append("/").append(part);
    return out.empty() ? "/" : out;
}

std::string parent_path(std::string_view path) {
    const size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

}  // namespace launcher
