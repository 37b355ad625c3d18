#include "busybox/program.hpp"

#include <elf.h>

#include <cstring>
#include <singularity/error.hpp>

namespace busybox {

using singularity::Code;
using singularity::Error;

namespace {

struct Machine {
    std::string_view arch;
    unsigned elf;
    bool wide, big;  // 64 bits; big-endian
};
constexpr Machine machines[] = {{"amd64", EM_X86_64, true, false},   {"386", EM_386, false, false},      {"arm64", EM_AARCH64, true, false},
                                {"arm", EM_ARM, false, false},       {"ppc64le", EM_PPC64, true, false}, {"s390x", EM_S390, true, true},
                                {"riscv64", EM_RISCV, true, false}};

struct Reader {
    std::string_view bytes;
    bool big;
    const std::string& where;

    uint64_t number(uint64_t offset, unsigned size) const {
        if (offset > bytes.size() || bytes.size() - offset < size) throw Error(Code::invalid, where + " is damaged: its ELF header points outside of it");
        uint64_t v = 0;
        for (unsigned i = 0; i < size; ++i) v |= uint64_t{static_cast<unsigned char>(bytes[offset + i])} << 8 * (big ? size - 1 - i : i);
        return v;
    }
};

}  // namespace

void check_program(std::string_view bytes, std::string_view arch, const std::string& where) {
    if (bytes.size() < sizeof(Elf32_Ehdr) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
        throw Error(Code::invalid, where + " is no program for Linux (no ELF file)", "MirrorURL names the program itself, not a page or an archive.");
    const bool wide = bytes[EI_CLASS] == ELFCLASS64, big = bytes[EI_DATA] == ELFDATA2MSB;
    const Reader in{bytes, big, where};
    for (const Machine& m : machines)
        if (m.arch == arch && (m.elf != in.number(offsetof(Elf64_Ehdr, e_machine), 2) || m.wide != wide || m.big != big))
            throw Error(Code::invalid, where + " is a program for another architecture than " + std::string(arch));
    const uint64_t table = wide ? in.number(offsetof(Elf64_Ehdr, e_phoff), 8) : in.number(offsetof(Elf32_Ehdr, e_phoff), 4);
    const uint64_t size = in.number(wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize), 2);
    const uint64_t count = in.number(wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum), 2);
    if (table > bytes.size()) throw Error(Code::invalid, where + " is damaged: its ELF header points outside of it");
    for (uint64_t i = 0; i < count; ++i)
        if (in.number(table + i * size, 4) == PT_INTERP)  // p_type comes first in both classes
            throw Error(Code::invalid, where + " needs libraries, which an image of it alone does not have", "A statically linked one is needed, as that of the package 'busybox-static'.");
}

}  // namespace busybox
