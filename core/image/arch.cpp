#include "image/arch.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

namespace sg {
namespace {

struct Name {
    std::string_view go, machine;
};
// The first machine of a Go name is the one to give back for it.
constexpr std::array<Name, 18> names{{{"amd64", "x86_64"},
                                      {"386", "i686"},
                                      {"386", "i586"},
                                      {"386", "i486"},
                                      {"386", "i386"},
                                      {"arm64", "aarch64"},
                                      {"arm", "armv7l"},
                                      {"arm", "armv6l"},
                                      {"arm", "armv5tel"},
                                      {"arm", "armv8l"},
                                      {"ppc64le", "ppc64le"},
                                      {"ppc64", "ppc64"},
                                      {"s390x", "s390x"},
                                      {"riscv64", "riscv64"},
                                      {"loong64", "loongarch64"},
                                      {"mips64le", "mips64"},
                                      {"mipsle", "mips"},
                                      {"arm64", "arm64"}}};

// The value after "KEY : " of the first line with that key, as /proc/cpuinfo has it.
std::string_view field(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.substr(0, key.size()) != key) continue;
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos ||
            line.substr(key.size(), colon - key.size()).find_first_not_of(" \t") != std::string_view::npos)
            continue;
        line.remove_prefix(colon + 1);
        const size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
        return line.substr(begin);
    }
    return {};
}

}  // namespace

std::string go_arch(std::string_view machine) {
    for (const Name& n : names)
        if (n.machine == machine) return std::string(n.go);
    return std::string(machine);
}

std::string uname_machine(std::string_view go) {
    for (const Name& n : names)
        if (n.go == go) return std::string(n.machine);
    return std::string(go);
}

std::optional<ArchWish> parse_arch(std::string_view text) {
    if (text.starts_with("linux/")) text.remove_prefix(6);
    if (text.starts_with("arm32v") && text.size() == 7) return ArchWish{"arm", std::string(text.substr(5))};
    if (text == "arm64v8") return ArchWish{"arm64", "v8"};
    ArchWish wish;
    const size_t slash = text.find('/');
    if (slash != std::string_view::npos) {
        wish.variant = text.substr(slash + 1);
        if (wish.variant.empty() || wish.variant.size() > 16 || wish.variant.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") != std::string::npos)
            return std::nullopt;
        text = text.substr(0, slash);
    }
    const auto known = std::find_if(names.begin(), names.end(), [&](const Name& n) { return n.go == text || n.machine == text; });
    if (known == names.end()) return std::nullopt;
    wish.arch = known->go;
    if (known->machine == text && text.starts_with("armv") && wish.variant.empty()) wish.variant = text.substr(3, 2);
    return wish;
}

std::string host_arch() {
    utsname u{};
    return ::uname(&u) == 0 ? go_arch(u.machine) : std::string("amd64");
}

std::string arch_with_variant(std::string_view arch, std::string_view variant) {
    std::string out = arch.empty() && !variant.empty() ? host_arch() : std::string(arch);
    if (variant.empty()) return out;
    const bool digit = variant[0] >= '0' && variant[0] <= '9';
    return out.append(digit ? "/v" : "/").append(variant);
}

std::string variant_from_cpuinfo(std::string_view go, std::string_view cpuinfo) {
    if (go == "arm64") return "v8";
    if (go != "arm") return {};
    const std::string_view level = field(cpuinfo, "CPU architecture");
    if (level == "8" || level == "AArch64" || level == "aarch64") return "v8";
    // The first Raspberry Pi says 7 although its processor is an ARMv6.
    if (level.substr(0, 1) == "7")
        return field(cpuinfo, "model name").substr(0, 16) == "ARMv6-compatible" ? "v6" : "v7";
    if (level.substr(0, 1) == "6") return "v6";
    if (level.substr(0, 1) == "5") return "v5";
    return {};
}

std::string host_variant() {
    const std::string arch = host_arch();
    if (arch != "arm" && arch != "arm64") return {};
    std::ifstream in("/proc/cpuinfo");
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    return variant_from_cpuinfo(arch, text);
}

}  // namespace sg
