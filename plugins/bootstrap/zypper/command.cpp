#include "zypper/command.hpp"

#include "packages/header.hpp"

namespace zypper {

namespace {

constexpr const char* mirror_example = "https://download.opensuse.org/distribution/leap/%{OSVERSION}/repo/oss/";

std::pair<std::string, std::string> repository(const std::string& id, const std::string& url, bool refreshed) {
    return {id + ".repo", "[" + id + "]\nname=" + id + "\nenabled=1\nautorefresh=" + (refreshed ? "1" : "0") + "\nbaseurl=" + url + "\n"};
}

std::vector<std::string> beginning(const singularity::SourceSpec& spec, const std::string& rootfs) {
    std::vector<std::string> out{"zypper", "--root", rootfs, "--non-interactive", "--gpg-auto-import-keys"};
    if (const std::string release = packages::value_of(spec, "osversion", "OSVersion"); !release.empty()) out.push_back("--releasever=" + release);
    return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> repositories_for(const singularity::SourceSpec& spec) {
    for (const char* key : {"product", "regcode", "registerurl", "modules"})
        if (!packages::value_of(spec, key, key).empty())
            throw singularity::Error(singularity::Code::unsupported, std::string("'") + key + "' is for a registration of SUSE Linux Enterprise, which is not offered",
                                     "Name repositories by MirrorURL and OtherURL0 to OtherURL9, or start from a registered image.");
    std::vector<std::pair<std::string, std::string>> out;
    out.push_back(repository("repo", packages::needed_address(spec, "mirrorurl", "MirrorURL", mirror_example), false));
    if (const std::string url = packages::address(spec, "updateurl", "UpdateURL"); !url.empty()) out.push_back(repository("update", url, true));
    for (int i = 0; i < 10; ++i) {
        const std::string number = std::to_string(i);
        if (const std::string url = packages::address(spec, ("otherurl" + number).c_str(), ("OtherURL" + number).c_str()); !url.empty())
            out.push_back(repository("repo-" + number, url, true));
    }
    return out;
}

std::vector<std::string> refresh_command(const singularity::SourceSpec& spec, const std::string& rootfs) {
    std::vector<std::string> out = beginning(spec, rootfs);
    out.push_back("refresh");
    return out;
}

std::vector<std::string> install_command(const singularity::SourceSpec& spec, const std::string& rootfs) {
    std::vector<std::string> out = beginning(spec, rootfs);
    // What other Singularities install as well: openSUSE's base files.
    out.insert(out.end(), {"install", "--auto-agree-with-licenses", "--download-in-advance", "aaa_base"});
    for (auto& package : packages::included(spec)) out.push_back(std::move(package));
    return out;
}

}  // namespace zypper
