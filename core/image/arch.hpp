// Names of processor architectures: Go's, which images use, and the kernel's (`uname -m`).
#pragma once
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

// Whether images for `go_arch` exist at all: a name that people write for --arch ("amd64", "386", ...).
bool known_arch(std::string_view go_arch);

}  // namespace sg
