#include "yum/command.hpp"

#include "packages/header.hpp"

namespace yum {

using singularity::Code;
using singularity::Error;

namespace {

constexpr const char* mirror_example = "https://dl.rockylinux.org/pub/rocky/%{OSVERSION}/BaseOS/x86_64/os/";

std::string repository(const char* id, const std::string& url, const std::string& key) {
    return std::string("[") + id + "]\nname=" + id + "\nbaseurl=" + url + "\nenabled=1\n" +
           (key.empty() ? "gpgcheck=0\n" : "gpgcheck=1\ngpgkey=" + key + "\n");
}

}  // namespace

std::string configuration_for(const singularity::SourceSpec& spec, const std::string& key) {
    if (!key.empty() && (!key.starts_with("https://") || key.find_first_of(" \t\r\n") != std::string::npos))
        throw Error(Code::invalid, "the variable GPG must name the packages' key by an https URL");
    std::string out = std::string("[main]\ncachedir=") + cache_directory + "\nkeepcache=0\nreposdir=/dev/null\nobsoletes=1\n" +
                      (key.empty() ? "gpgcheck=0\n" : "gpgcheck=1\n");
    out += repository("base", packages::needed_address(spec, "mirrorurl", "MirrorURL", mirror_example), key);
    if (const std::string updates = packages::address(spec, "updateurl", "UpdateURL"); !updates.empty()) out += repository("updates", updates, key);
    return out;
}

std::vector<std::string> command_for(const singularity::SourceSpec& spec, const std::string& program, const std::string& configuration,
                                     const std::string& rootfs) {
    std::vector<std::string> out{program, "--noplugins", "-c", configuration, "--installroot", rootfs, "-y"};
    if (const std::string release = packages::value_of(spec, "osversion", "OSVersion"); !release.empty()) out.push_back("--releasever=" + release);
    if (spec.arch_is_wish && program == "dnf") out.push_back("--forcearch=" + packages::kernel_arch(spec.arch, spec.variant));
    if (const std::string option = packages::value_of(spec, "setopt", "Setopt"); !option.empty()) out.push_back("--setopt=" + option);
    // What other Singularities install as well: what the release is, and a shell with programs.
    out.insert(out.end(), {"install", "/etc/redhat-release", "coreutils"});
    for (auto& package : packages::included(spec)) out.push_back(std::move(package));
    return out;
}

}  // namespace yum
