// Names of processor architectures: Go's, which images use, and the kernel's (`uname -m`).
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace sg {

// "x86_64" -> "amd64"; a name that is not known comes back as it is.
std::string go_arch(std::string_view uname_machine);
// The other way ("arm" gives "armv7l").
std::string uname_machine(std::string_view go_arch);
// Of this machine, by uname(2).
std::string host_arch();

// The variant ("v7", "v8" or "") that /proc/cpuinfo's text tells of a machine of `go_arch`; only ARM has any.
std::string variant_from_cpuinfo(std::string_view go_arch, std::string_view cpuinfo);
// Of this machine; "" when it has none or the kernel does not say.
std::string host_variant();

// What people write for --arch: "amd64", "arm/v7" or "linux/arm/v7" as Docker shows platforms, "arm32v7" and "arm64v8" as
// Apptainer has them, "x86_64" as the kernel says. nullopt: there is no such architecture.
struct ArchWish {
    std::string arch;     // Go's name
    std::string variant;  // "v7", or ""
};
std::optional<ArchWish> parse_arch(std::string_view text);
// The text for both --arch and --arch-variant ("arm" and "7" or "v7"); without the first one this machine's.
std::string arch_with_variant(std::string_view arch, std::string_view variant);

}  // namespace sg
