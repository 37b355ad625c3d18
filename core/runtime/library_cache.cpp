#include "runtime/library_cache.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg::runtime {
namespace {

constexpr std::string_view old_magic = "ld.so-1.7.0", new_magic = "glibc-ld.so.cache1.1";
constexpr size_t old_header = 16, old_entry = 12, new_header = 48, new_entry = 24;
constexpr size_t limit = 64u << 20;

uint32_t word(std::string_view bytes, size_t at) {
    uint32_t out = 0;
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return out;
}

}  // namespace

std::vector<CachedLibrary> parse_library_cache(std::string_view bytes, const std::string& path) {
    const auto damaged = [&]() -> Error { return Error(Code::corrupt, path + " is no cache of libraries", "an administrator can make it anew: ldconfig"); };
    // Older systems have the old format in front of the new one, which offsets count from.
    if (bytes.starts_with(old_magic)) {
        if (bytes.size() < old_header) throw damaged();
        const uint64_t size = old_header + uint64_t{word(bytes, 12)} * old_entry;
        const uint64_t at = (size + 7) / 8 * 8;
        if (at > bytes.size()) throw damaged();
        bytes.remove_prefix(at);
    }
    if (!bytes.starts_with(new_magic) || bytes.size() < new_header) throw damaged();
    const uint64_t count = word(bytes, 20);
    if (count > (bytes.size() - new_header) / new_entry) throw damaged();
    const auto text = [&](uint32_t at) {
        const size_t end = at < bytes.size() ? bytes.find('\0', at) : std::string_view::npos;
        if (end == std::string_view::npos) throw damaged();
        return std::string(bytes.substr(at, end - at));
    };
    std::vector<CachedLibrary> out;
    for (uint64_t i = 0; i < count; ++i) {
        const size_t at = new_header + i * new_entry;
        out.push_back({text(word(bytes, at + 4)), text(word(bytes, at + 8))});
    }
    return out;
}

std::vector<CachedLibrary> read_library_cache(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) return {};
    if (!fd) throw_errno("cannot open", path);
    std::string bytes;
    char buffer[65536];
    ssize_t n = 0;
    while ((n = ::read(fd.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) bytes.append(buffer, static_cast<size_t>(n));
        if (bytes.size() > limit) throw Error(Code::limit, path + " is larger than 64 MiB");
    }
    if (n < 0) throw_errno("cannot read", path);
    return parse_library_cache(bytes, path);
}

bool is_own_elf(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    unsigned char theirs[20], ours[20];
    if (!fd || !self || ::read(fd.get(), theirs, sizeof theirs) != sizeof theirs || ::read(self.get(), ours, sizeof ours) != sizeof ours) return false;
    // Class and byte order, then the machine.
    return std::memcmp(theirs, ours, 6) == 0 && std::memcmp(theirs + 18, ours + 18, 2) == 0;
}

bool is_32_bit_elf(const std::string& path) {
#if defined(__x86_64__)
    constexpr Elf32_Half machine = EM_386;
#elif defined(__aarch64__)
    constexpr Elf32_Half machine = EM_ARM;
#else
    constexpr Elf32_Half machine = EM_NONE;
#endif
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    Elf32_Ehdr header;
    return fd && ::read(fd.get(), &header, sizeof header) == sizeof header && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           header.e_ident[EI_CLASS] == ELFCLASS32 && header.e_ident[EI_DATA] == ELFDATA2LSB && machine != EM_NONE && header.e_machine == machine;
}

}  // namespace sg::runtime
