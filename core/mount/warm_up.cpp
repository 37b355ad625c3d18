#include "mount/warm_up.hpp"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/openat2.h>
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

void read_ahead(int file) { posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED); }

}  // namespace

void warm_up(int root) noexcept {
    if (DIR* names = fdopendir(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))) {
        while (readdir(names)) {
        }
        closedir(names);
    }
    const UniqueFd shell = open_inside(root, "/bin/sh");
    if (!shell) return;
    const UniqueFd loader = open_inside(root, interpreter(shell.get()).c_str());
    if (!loader) return;
    read_ahead(loader.get());
    char where[PATH_MAX];
    const ssize_t n = readlink(("/proc/self/fd/" + std::to_string(loader.get())).c_str(), where, sizeof where);
    const std::string_view path(where, n > 0 ? static_cast<size_t>(n) : 0);
    if (const size_t slash = path.rfind('/'); slash != path.npos) {
        const UniqueFd library(open((std::string(path.substr(0, slash)) + "/libc.so.6").c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
        if (library) read_ahead(library.get());
    }
}

}  // namespace sg
