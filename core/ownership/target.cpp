#include "ownership/target.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sg::ownership {

namespace {

constexpr size_t page = 4096;

}  // namespace

Target::Target(pid_t thread, const Mounts& mounts)
    : mounts_(mounts), proc_(open(("/proc/" + std::to_string(thread)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

bool Target::open_memory() {
    if (!memory_) memory_.reset(openat(proc_.get(), "mem", O_RDWR | O_CLOEXEC));
    return static_cast<bool>(memory_);
}

bool Target::read(uint64_t address, void* to, size_t size) {
    return open_memory() && address <= INT64_MAX - size &&
           pread(memory_.get(), to, size, static_cast<off_t>(address)) == static_cast<ssize_t>(size);
}

bool Target::write(uint64_t address, const void* from, size_t size) {
    return open_memory() && address <= INT64_MAX - size &&
           pwrite(memory_.get(), from, size, static_cast<off_t>(address)) == static_cast<ssize_t>(size);
}

std::optional<std::string> Target::text(uint64_t address, size_t most) {
    std::string out;
    char part[page];
    while (out.size() < most) {
        // Up to the end of its page: the next one need not be there.
        const size_t wanted = std::min(page - address % page, most - out.size());
        if (!read(address, part, wanted)) return std::nullopt;
        const size_t length = strnlen(part, wanted);
        out.append(part, length);
        if (length < wanted) return out;
        address += wanted;
    }
    return std::nullopt;
}

UniqueFd Target::entered(UniqueFd object) const {
    if (!object || may_enter(object.get())) return object;
    errno = EXDEV;
    return {};
}

UniqueFd Target::descriptor(int32_t fd) const {
    if (fd < 0) {
        errno = EBADF;
        return {};
    }
    UniqueFd out(openat(proc_.get(), ("fd/" + std::to_string(fd)).c_str(), O_PATH | O_CLOEXEC));
    if (!out && errno == ENOENT) errno = EBADF;
    return entered(std::move(out));
}

UniqueFd Target::shared_descriptor(int32_t fd) const {
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, std::atoi(status_line("Tgid").c_str()), 0)));
    // It still lives: nobody else has had that number meanwhile.
    if (!process || status_line("Tgid").empty()) return {};
    UniqueFd out(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
    // A thread may have a table of descriptors of its own.
    const UniqueFd same = out ? descriptor(fd) : UniqueFd();
    struct stat a {
    }, b{};
    if (!same || fstat(out.get(), &a) != 0 || fstat(same.get(), &b) != 0 || a.st_dev != b.st_dev ||
        a.st_ino != b.st_ino)
        return {};
    return out;
}

UniqueFd Target::working_directory() const {
    return entered(UniqueFd(openat(proc_.get(), "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC)));
}

std::string Target::status_line(const char* name) const {
    const UniqueFd fd(openat(proc_.get(), "status", O_RDONLY | O_CLOEXEC));
    char text[page];
    const ssize_t n = fd ? ::read(fd.get(), text, sizeof text) : -1;
    const std::string_view all(text, static_cast<size_t>(std::max<ssize_t>(n, 0)));
    const size_t at = all.find(std::string("\n") + name + ":");
    if (at == std::string_view::npos) return {};
    const size_t first = all.find_first_not_of(" \t", at + std::strlen(name) + 2);
    if (first == std::string_view::npos) return {};
    return std::string(all.substr(first, all.find('\n', first) - first));
}

mode_t Target::mask() const {
    return static_cast<mode_t>(std::strtoul(status_line("Umask").c_str(), nullptr, 8) & 0777);
}

bool Target::has_capability(int capability) const {
    return (std::strtoull(status_line("CapEff").c_str(), nullptr, 16) >> capability & 1) != 0;
}

bool Target::is_own_number(int32_t pid) const {
    for (const char* line : {"NSpid", "NStgid"}) {  // of each PID namespace, the innermost last
        const std::string numbers = status_line(line);
        if (std::strtol(numbers.c_str() + (numbers.find_last_of(" \t") + 1), nullptr, 10) == pid) return true;
    }
    return false;
}

int Target::viewpoint(int32_t directory, const std::string& path, Viewpoint& out, UniqueFd& root,
                      UniqueFd& start) const {
    root.reset(openat(proc_.get(), "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return errno;
    if (path.empty() || path[0] != '/') {
        start = directory == AT_FDCWD ? working_directory() : descriptor(directory);
        if (!start) return errno;
    }
    out.root = root.get();
    out.start = start.get();
    out.may_enter = [this](int object) { return may_enter(object); };
    out.own_process = [this](bool thread) {
        if (thread) return UniqueFd(openat(proc_.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
        return UniqueFd(open(("/proc/" + status_line("Tgid")).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    };
    return 0;
}

int Target::place(int32_t directory, const std::string& path, bool follow, Place& out) const {
    Viewpoint from;
    UniqueFd root, start;
    if (const int error = viewpoint(directory, path, from, root, start); error != 0) return error;
    return resolve(from, path, follow, out);
}

int Target::object(int32_t directory, const std::string& path, bool follow, UniqueFd& out) const {
    Viewpoint from;
    UniqueFd root, start;
    if (const int error = viewpoint(directory, path, from, root, start); error != 0) return error;
    return find_object(from, path, follow, out);
}

}  // namespace sg::ownership
