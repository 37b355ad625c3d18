#include "family/resolve.hpp"

#include <linux/openat2.h>
#include <sys/syscall.h>

#include <climits>
#include <vector>

namespace launcher {
namespace {

constexpr int max_links = 40;  // as the kernel

std::string read_link(int fd) {
    char target[PATH_MAX];
    const ssize_t n = ::readlinkat(fd, "", target, sizeof target);
    if (n < 0) return {};
    return std::string(target, static_cast<size_t>(n));
}

bool is_link(int fd) {
    struct stat s;
    return ::fstat(fd, &s) == 0 && S_ISLNK(s.st_mode);
}

void push_parts(std::vector<std::string>& todo, std::string_view path) {
    std::vector<std::string> parts;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        if (end > at) parts.emplace_back(path.substr(at, end - at));
        at = end + 1;
    }
    todo.insert(todo.end(), parts.rbegin(), parts.rend());
}

// Walks as far as names exist. `rest` gets what is left, first name last.
Fd walk(int root, const std::string& path, bool follow_last, std::vector<std::string>& rest) {
    std::vector<Fd> stack;  // directories on the way, so that ".." needs no trust in the file system
    push_parts(rest, path);
    const auto top = [&] { return stack.empty() ? root : stack.back().get(); };
    int links = 0;
    while (!rest.empty()) {
        const std::string name = rest.back();
        if (name == "." || name == "..") {
            if (name == ".." && !stack.empty()) stack.pop_back();
            rest.pop_back();
            continue;
        }
        Fd next(::openat(top(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!next) break;
        rest.pop_back();
        if (is_link(next.get()) && (follow_last || !rest.empty())) {
            if (++links > max_links) {
                errno = ELOOP;
                return {};
            }
            const std::string target = read_link(next.get());
            if (!target.empty() && target[0] == '/') stack.clear();
            push_parts(rest, target);
            continue;
        }
        stack.push_back(std::move(next));
    }
    const int reason = errno;
    Fd out(stack.empty() ? ::openat(root, ".", O_PATH | O_CLOEXEC) : ::fcntl(top(), F_DUPFD_CLOEXEC, 3));
    errno = reason;
    return out;
}

}  // namespace

Fd walk_inside(int root, const std::string& path, bool follow_last) {
    std::vector<std::string> rest;
    errno = 0;
    Fd fd = walk(root, path, follow_last, rest);
    if (rest.empty()) return fd;
    if (errno == 0) errno = ENOENT;
    return {};
}

Fd open_inside(int root, const std::string& path, bool follow_last) {
    static bool have_openat2 = true;
    if (have_openat2) {
        open_how how{};
        how.flags = O_PATH | O_CLOEXEC | (follow_last ? 0 : O_NOFOLLOW);
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        for (int tries = 0; tries < 32; ++tries) {
            const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
            if (fd >= 0) return Fd(static_cast<int>(fd));
            if (errno != EAGAIN) break;  // a rename or mount raced with ".."
        }
        // Filters of container engines answer EPERM for calls that they do not know.
        if (errno != ENOSYS && errno != EPERM) return {};
        have_openat2 = false;
    }
    return walk_inside(root, path, follow_last);
}

Reached reach_inside(int root, const std::string& path) {
    std::vector<std::string> rest;
    Reached out;
    out.fd = walk(root, path, true, rest);
    if (!out.fd) fail("cannot resolve in the image", path);
    for (auto it = rest.rbegin(); it != rest.rend(); ++it) {
        if (*it == "." || *it == "..") throw Error(Code::not_found, "cannot resolve " + path + " in the image");
        out.missing.append(out.missing.empty() ? "" : "/").append(*it);
    }
    return out;
}

}  // namespace launcher
