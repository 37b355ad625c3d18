#include "mount/warm_up.hpp"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <string>

#include "base/unique_fd.hpp"

namespace sg {

namespace {

// Links of the image lead nowhere outside of it.
UniqueFd open_inside(int root, const char* path) {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how)));
}

// The interpreter that the head of a program of this machine names; "": none.
std::string interpreter(int program) {
    char head[4096];
    const ssize_t n = pread(program, head, sizeof head, 0);
    if (n < static_cast<ssize_t>(sizeof(Elf64_Ehdr)) || std::memcmp(head, ELFMAG, SELFMAG) != 0 || head[EI_CLASS] != ELFCLASS64) return {};
    const auto size = static_cast<size_t>(n);
    Elf64_Ehdr elf;
    std::memcpy(&elf, head, sizeof elf);
    for (size_t i = 0; i < elf.e_phnum; ++i) {
        Elf64_Phdr part;
        if (elf.e_phoff > size || (i + 1) * sizeof part > size - elf.e_phoff) break;
        std::memcpy(&part, head + elf.e_phoff + i * sizeof part, sizeof part);
        if (part.p_type != PT_INTERP || part.p_offset >= size) continue;
        return std::string(head + part.p_offset, strnlen(head + part.p_offset, std::min<size_t>(size - part.p_offset, PATH_MAX)));
    }
    return {};
}

// So many names that glibc's loader has looked for in each directory of LD_LIBRARY_PATH, which in a container leads to
// /.singularity.d/libs first. That they are not there is remembered, too.
constexpr const char* loader_names[] = {"glibc-hwcaps", "tls", "haswell", "avx512_1", "x86_64", "libc.so.6"};

constexpr int most_files = 64;
constexpr size_t most_bytes = 64 << 10;  // of a file

// To its end, if it is a small regular file.
void read_small(const UniqueFd& file) {
    struct stat s;
    if (!file || fstat(file.get(), &s) != 0 || !S_ISREG(s.st_mode) || s.st_size > static_cast<off_t>(most_bytes)) return;
    char text[most_bytes];
    [[maybe_unused]] const ssize_t n = pread(file.get(), text, sizeof text, 0);
}

// Calls `use` with the names in a directory.
template <class Use>
void names_in(int root, const char* path, Use&& use) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const int fd = static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how));
    DIR* names = fd >= 0 ? fdopendir(fd) : nullptr;
    if (!names) return;
    for (int left = most_files; const dirent* entry = readdir(names);)
        if (entry->d_name[0] != '.' && left-- > 0) use(fd, entry->d_name);
    closedir(names);
}

}  // namespace

WarmUp::WarmUp(int root) noexcept {
    names_in(root, ".", [](int, const char*) {});  // the kernel is given what they are, too
    for (const char* path : {"/etc/passwd", "/etc/group", "/etc/ld.so.cache", "/etc/ld.so.preload"}) read_small(open_inside(root, path));
    names_in(root, "/.singularity.d/env", [](int directory, const char* name) {
        read_small(UniqueFd(openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)));
    });
    if (const UniqueFd libraries = open_inside(root, "/.singularity.d/libs")) {
        struct stat s;
        for (const char* name : loader_names) (void)fstatat(libraries.get(), name, &s, AT_SYMLINK_NOFOLLOW);
    }
    const UniqueFd shell = open_inside(root, "/bin/sh");
    if (!shell) return;
    loader_ = open_inside(root, interpreter(shell.get()).c_str());
    if (!loader_) return;
    char where[PATH_MAX];
    const ssize_t n = readlink(("/proc/self/fd/" + std::to_string(loader_.get())).c_str(), where, sizeof where);
    const std::string_view path(where, n > 0 ? static_cast<size_t>(n) : 0);
    if (const size_t slash = path.rfind('/'); slash != path.npos)
        library_ = UniqueFd(open((std::string(path.substr(0, slash)) + "/libc.so.6").c_str(),
                                 O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
}

void WarmUp::read_ahead() const noexcept {
    // Of one call the kernel takes no more than the read-ahead of the file system. One piece after the other: what the
    // container's program asks for meanwhile does not wait behind all of them.
    constexpr off_t step = 128 << 10, most = 4 << 20;
    for (const UniqueFd* file : {&loader_, &library_}) {
        struct stat s;
        if (!*file || fstat(file->get(), &s) != 0) continue;
        for (off_t at = 0; at < std::min(s.st_size, most); at += step) {
            char last;
            posix_fadvise(file->get(), at, step, POSIX_FADV_WILLNEED);
            [[maybe_unused]] const ssize_t n = pread(file->get(), &last, 1, std::min(at + step, s.st_size) - 1);
        }
    }
}

}  // namespace sg
