#include "arch/command.hpp"

#include "packages/header.hpp"

namespace arch {

std::string configuration_for(const singularity::SourceSpec& spec) {
    std::string mirror = packages::address(spec, "mirrorurl", "MirrorURL");
    if (mirror.empty()) mirror = "https://geo.mirror.pkgbuild.com";
    while (mirror.ends_with('/')) mirror.pop_back();
    if (mirror.find("$repo") == std::string::npos) mirror += "/$repo/os/$arch";
    std::string out = "[options]\nArchitecture = " + packages::kernel_arch(spec.arch, spec.variant) + "\nSigLevel = Required DatabaseOptional\n";
    for (const char* repository : {"core", "extra"}) out += std::string("[") + repository + "]\nServer = " + mirror + "\n";
    return out;
}

std::vector<std::string> command_for(const singularity::SourceSpec& spec, const std::string& configuration, const std::string& cache,
                                     const std::string& rootfs) {
    std::vector<std::string> out{"pacman", "--root", rootfs, "--config", configuration, "--cachedir", cache, "--noconfirm", "-Sy"};
    const auto included = packages::included(spec);
    // As other Singularities have it: what Include names is installed in place of the usual packages.
    if (included.empty()) out.push_back("base");
    out.insert(out.end(), included.begin(), included.end());
    return out;
}

}  // namespace arch
