// The dynamic linker's cache of libraries (/etc/ld.so.cache), as glibc's ldconfig writes it: elf/cache.c and
// sysdeps/generic/dl-cache.h of glibc. Read by ourselves, as `ldconfig -p` is a program to start and to parse.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sg::runtime {

struct CachedLibrary {
    std::string name, path;  // "libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
};

// In the cache's order. Bytes that are no such cache, or point outside of themselves: Code::corrupt.
std::vector<CachedLibrary> parse_library_cache(std::string_view bytes, const std::string& path);
std::vector<CachedLibrary> read_library_cache(const std::string& path);  // empty when there is no such file

// An ELF file for the machine and the word size of this program.
bool is_own_elf(const std::string& path);
// One of 32 bits that this machine runs beside its own of 64: i386 on x86-64, ARM on aarch64.
bool is_32_bit_elf(const std::string& path);

}  // namespace sg::runtime
