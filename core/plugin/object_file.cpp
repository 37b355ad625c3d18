#include "plugin/object_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>

#include "base/unique_fd.hpp"

namespace sg {

namespace {

std::string machine(unsigned number) {
    switch (number) {
        case EM_X86_64: return "x86_64";
        case EM_386: return "i386";
        case EM_AARCH64: return "aarch64";
        case EM_ARM: return "arm";
        case EM_PPC64: return "ppc64";
        case EM_RISCV: return "riscv";
        case EM_S390: return "s390";
        default: return "number " + std::to_string(number);
    }
}

#if defined(__x86_64__)
constexpr unsigned ours = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned ours = EM_AARCH64;
#elif defined(__powerpc64__)
constexpr unsigned ours = EM_PPC64;
#elif defined(__riscv)
constexpr unsigned ours = EM_RISCV;
#elif defined(__s390x__)
constexpr unsigned ours = EM_S390;
#else
constexpr unsigned ours = EM_NONE;
#endif

}  // namespace

std::string object_defect(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    Elf64_Ehdr head{};
    if (!fd) return {};
    const ssize_t got = pread(fd.get(), &head, sizeof head, 0);
    if (got < 0) return {};
    if (got < SELFMAG || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
        return got == 0 ? "is empty" : "is no ELF object";
    if (got < static_cast<ssize_t>(sizeof head)) return "is cut short";
    const bool little = head.e_ident[EI_DATA] == ELFDATA2LSB;
    const unsigned number =
        little == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) ? head.e_machine : __builtin_bswap16(head.e_machine);
    if (ours != EM_NONE && (number != ours || head.e_ident[EI_CLASS] != (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32)))
        return "is built for another machine (" + machine(number) + "; this one is " + machine(ours) + ")";
    if (head.e_type != ET_DYN) return "is no shared object";
    // The dynamic linker maps what is not there, and the first touch of it ends the process.
    struct stat st {};
    if (sizeof(void*) != 8 || fstat(fd.get(), &st) != 0) return {};
    const auto size = static_cast<uint64_t>(st.st_size);
    for (unsigned i = 0; i < head.e_phnum; ++i) {
        Elf64_Phdr segment{};
        const uint64_t at = head.e_phoff + uint64_t{i} * sizeof segment;
        if (at > size ||
            pread(fd.get(), &segment, sizeof segment, static_cast<off_t>(at)) != static_cast<ssize_t>(sizeof segment) ||
            (segment.p_type == PT_LOAD && (segment.p_offset > size || segment.p_filesz > size - segment.p_offset)))
            return "is cut short";
    }
    return {};
}

}  // namespace sg
