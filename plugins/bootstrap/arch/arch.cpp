// The source "arch": a recipe that the machine's pacman carries out.
#include <unistd.h>

#include <filesystem>

#include "arch/command.hpp"
#include "packages/fetched.hpp"
#include "packages/header.hpp"
#include "packages/places.hpp"
#include "packages/tool.hpp"
#include "packages/written.hpp"

namespace arch {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr uint64_t largest_configuration = 1 << 20;

class Recipe final : public singularity::RecipeImage {
public:
    Recipe(singularity::SourceSpec spec, const Host& host) : spec_(std::move(spec)), home_(host.temporary_directory()) {
        const std::string url = packages::value_of(spec_, "confurl", "ConfURL");
        packages::write(configuration(), url.empty() ? configuration_for(spec_) : packages::fetched(url, largest_configuration, "ConfURL", host));
    }

    void fill(const std::string& rootfs, const Host& host) override {
        std::error_code ignored;
        std::filesystem::create_directories(rootfs + "/var/lib/pacman", ignored);
        std::filesystem::create_directories(home_ + "/cache", ignored);
        const packages::Places places(rootfs);
        const std::vector<std::pair<std::string, std::string>> environment{{"HOME", home_}, {"LC_ALL", "C.UTF-8"}};
        packages::must_run(command_for(spec_, configuration(), home_ + "/cache", rootfs), environment, host);
        // With its own keys pacman works in the image.
        if (::access((rootfs + "/usr/bin/pacman-key").c_str(), X_OK) == 0 && ::access((rootfs + "/usr/share/pacman/keyrings/archlinux.gpg").c_str(), R_OK) == 0)
            packages::must_run({"chroot", rootfs, "/bin/sh", "-c", "pacman-key --init && pacman-key --populate archlinux"}, environment, host);
        std::filesystem::remove_all(rootfs + "/var/lib/pacman/sync", ignored);
        std::filesystem::remove(rootfs + "/var/log/pacman.log", ignored);
    }

private:
    std::string configuration() const { return home_ + "/pacman.conf"; }
    singularity::SourceSpec spec_;
    std::string home_;
};

}  // namespace

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        (void)command_for(spec, "", "", "/");
        return {"", "arch.sif", "", spec.arch, ""};
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        (void)command_for(spec, "", "", "/");
        (void)configuration_for(spec);
        packages::need_tool("pacman", "pacman-package-manager");
        packages::refuse_foreign_arch(spec);
        return std::make_unique<Recipe>(spec, host);
    }
};

}  // namespace arch

SINGULARITY_PLUGIN(arch, arch::Source)
