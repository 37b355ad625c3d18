#include "command.hpp"

namespace debootstrap {

using singularity::Code;
using singularity::Error;

namespace {

// Debian's name of an architecture.
std::string debian_arch(const std::string& arch, const std::string& variant) {
    if (arch == "386") return "i386";
    if (arch == "arm") return variant == "v5" || variant == "v6" ? "armel" : "armhf";
    if (arch == "ppc64le") return "ppc64el";
    return arch;
}

std::string value_of(const singularity::SourceSpec& spec, const char* key, const char* shown) {
    const std::string value = spec.option(key);
    if (value.empty()) throw Error(Code::invalid, std::string("the header has no ") + shown, std::string("As '") + shown + (std::string(key) == "osversion" ? ": bookworm'." : ": http://deb.debian.org/debian'."));
    if (value[0] == '-') throw Error(Code::invalid, std::string(shown) + " '" + value + "' begins with '-'");
    return value;
}

}  // namespace

std::vector<std::string> command_for(const singularity::SourceSpec& spec, const std::string& rootfs) {
    std::string mirror = value_of(spec, "mirrorurl", "MirrorURL");
    const std::string release = value_of(spec, "osversion", "OSVersion");
    // As yum's, a mirror may name the release.
    for (const std::string mark : {"%{OSVERSION}", "%{osversion}"})
        for (size_t at = mirror.find(mark); at != std::string::npos; at = mirror.find(mark, at + release.size())) mirror.replace(at, mark.size(), release);
    std::string packages = "apt";
    std::string word;
    for (const char c : spec.option("include") + " ") {
        if (c != ' ' && c != ',' && c != '\t' && c != '\n') {
            word.push_back(c);
        } else if (!word.empty()) {
            packages += "," + word;
            word.clear();
        }
    }
    return {"debootstrap", "--variant=minbase", "--include=" + packages, "--arch=" + debian_arch(spec.arch, spec.variant), release, rootfs, mirror};
}

}  // namespace debootstrap
