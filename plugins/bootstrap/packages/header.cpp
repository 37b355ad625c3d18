#include "packages/header.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <cctype>

namespace packages {

using singularity::Code;
using singularity::Error;
using singularity::SourceSpec;

std::string value_of(const SourceSpec& spec, const char* key, const char* shown) {
    std::string value = spec.option(key);
    if (value.starts_with('-')) throw Error(Code::invalid, std::string(shown) + " '" + value + "' begins with '-'");
    if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        throw Error(Code::invalid, std::string(shown) + " holds a control character");
    return value;
}

std::string needed_value(const SourceSpec& spec, const char* key, const char* shown, const char* example) {
    std::string value = value_of(spec, key, shown);
    if (value.empty()) throw Error(Code::invalid, std::string("the header has no ") + shown, std::string("As '") + shown + ": " + example + "'.");
    return value;
}

std::string address(const SourceSpec& spec, const char* key, const char* shown) {
    static constexpr std::string_view mark = "%{osversion}";
    std::string url = value_of(spec, key, shown);
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    for (auto at = url.begin(); (at = std::search(at, url.end(), mark.begin(), mark.end(), same)) != url.end();) {
        const std::string release = needed_value(spec, "osversion", "OSVersion", "9");
        const auto place = at - url.begin();
        url.replace(static_cast<size_t>(place), mark.size(), release);
        at = url.begin() + place + static_cast<std::ptrdiff_t>(release.size());
    }
    return url;
}

std::string needed_address(const SourceSpec& spec, const char* key, const char* shown, const char* example) {
    (void)needed_value(spec, key, shown, example);
    return address(spec, key, shown);
}

std::vector<std::string> included(const SourceSpec& spec) {
    std::vector<std::string> out;
    std::string word;
    for (const char c : spec.option("include") + " ") {
        if (c != ' ' && c != ',' && c != '\t' && c != '\n') {
            word.push_back(c);
        } else if (!word.empty()) {
            if (word[0] == '-') throw Error(Code::invalid, "Include: the package '" + word + "' begins with '-'");
            out.push_back(std::move(word));
            word.clear();
        }
    }
    return out;
}

std::string kernel_arch(const std::string& arch, const std::string& variant) {
    if (arch == "amd64") return "x86_64";
    if (arch == "386") return "i686";
    if (arch == "arm64") return "aarch64";
    if (arch == "arm") return variant == "v5" ? "armv5tel" : variant == "v6" ? "armv6hl" : "armv7hl";
    if (arch == "loong64") return "loongarch64";
    return arch;
}

void refuse_foreign_arch(const SourceSpec& spec) {
    utsname machine{};
    const std::string wanted = kernel_arch(spec.arch, spec.variant);
    if (!spec.arch_is_wish || (::uname(&machine) == 0 && wanted == machine.machine)) return;
    throw Error(Code::unsupported, spec.scheme + " makes images for this machine's architecture alone, not for " + spec.arch);
}

}  // namespace packages
