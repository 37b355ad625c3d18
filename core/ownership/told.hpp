// What stat and its kin say of a file in place of what the kernel knows of it.
#pragma once
#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <optional>

#include "ownership/files.hpp"

namespace sg::ownership {

struct Told {
    std::optional<Owner> owner;
    uint32_t device_type =
        0;  // S_IFCHR or S_IFBLK: the file is shown as this device, with the mode of what stands for it
    uint32_t major = 0, minor = 0;

    explicit operator bool() const { return owner.has_value() || device_type != 0; }
};

void tell(const Told& told, struct stat& st);
void tell(const Told& told, struct statx& st);

// struct stat64 of 32-bit x86 (asm/stat.h), as the kernel fills it for such a program.
std::array<unsigned char, 96> i386_stat64(const struct stat& st);

}  // namespace sg::ownership
