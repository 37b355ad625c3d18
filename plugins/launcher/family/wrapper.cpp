#include "family/wrapper.hpp"

#include <elf.h>

#include <cstring>

#include "family/environment.hpp"
#include "family/system.hpp"

namespace launcher {
namespace {

const singularity::Host host;

// The loader that a program names (ELF, PT_INTERP); "" when it has none or is no ELF file of 64 bits.
std::string loader_of(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    Elf64_Ehdr head;
    if (!fd || ::pread(fd.get(), &head, sizeof head, 0) != static_cast<ssize_t>(sizeof head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64)
        return {};
    for (unsigned i = 0; i < head.e_phnum && i < 64; ++i) {
        Elf64_Phdr part;
        if (::pread(fd.get(), &part, sizeof part, static_cast<off_t>(head.e_phoff + i * sizeof part)) != static_cast<ssize_t>(sizeof part)) return {};
        if (part.p_type != PT_INTERP || part.p_filesz == 0 || part.p_filesz > 4096) continue;
        std::string out(part.p_filesz, '\0');
        if (::pread(fd.get(), out.data(), out.size(), static_cast<off_t>(part.p_offset)) != static_cast<ssize_t>(out.size())) return {};
        out.resize(std::strlen(out.c_str()));
        return out;
    }
    return {};
}

bool runs(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

}  // namespace

void wrap(const Spec& spec, CommandLine& command) {
    if (spec.wrapper.empty()) return;
    bool usable = runs("/bin/sh");
    for (const auto& word : spec.wrapper)
        if (!word.empty() && word[0] == '/') {
            const std::string loader = loader_of(word);
            usable = usable && ::access(word.c_str(), R_OK) == 0 && (loader.empty() || runs(loader));
        }
    if (!usable) {
        host.log(SG_VERBOSE, "the image cannot run the host's command fakeroot: only the ids of its root are mapped");
        return;
    }
    command.words.insert(command.words.begin(), spec.wrapper.begin(), spec.wrapper.end());
    command.search = false;
}

}  // namespace launcher
