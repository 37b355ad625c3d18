// The source "zypper": a recipe that the machine's zypper carries out.
#include <filesystem>

#include "packages/header.hpp"
#include "packages/places.hpp"
#include "packages/tool.hpp"
#include "packages/written.hpp"
#include "zypper/command.hpp"

namespace zypper {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

// zypper's manual, "EXIT CODES": installed, but a script of a package failed.
constexpr int scripts_failed = 107;

class Recipe final : public singularity::RecipeImage {
public:
    Recipe(singularity::SourceSpec spec, const Host& host) : spec_(std::move(spec)), home_(packages::rpm_home(host)) {}

    void fill(const std::string& rootfs, const Host& host) override {
        namespace fs = std::filesystem;
        std::error_code ignored;
        fs::create_directories(rootfs + "/etc/zypp/repos.d", ignored);
        for (const auto& [name, text] : repositories_for(spec_)) packages::write(rootfs + "/etc/zypp/repos.d/" + name, text);
        const packages::Places places(rootfs);
        // Its log is the machine's; its home that of the build.
        const std::vector<std::pair<std::string, std::string>> environment{{"HOME", home_}, {"LC_ALL", "C.UTF-8"}, {"ZYPP_LOGFILE", "/dev/null"}};
        packages::must_run(refresh_command(spec_, rootfs), environment, host);
        const int status = packages::run_tool(install_command(spec_, rootfs), environment, host);
        if (status == scripts_failed) host.warn("all packages are installed, but scripts of some failed (see above)");
        else if (status != 0) throw Error(Code::io, "zypper failed with status " + std::to_string(status), "The lines above are its own.");
        fs::remove_all(rootfs + "/var/cache/zypp", ignored);
        fs::remove_all(rootfs + "/var/log/zypp", ignored);
        fs::remove(rootfs + "/run/zypp.pid", ignored);
    }

private:
    singularity::SourceSpec spec_;
    std::string home_;
};

}  // namespace

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        (void)repositories_for(spec);
        return {"", "zypper.sif", "", spec.arch, ""};
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        (void)repositories_for(spec);
        (void)install_command(spec, "/");
        packages::need_tool("zypper", "zypper");
        packages::refuse_foreign_arch(spec);
        return std::make_unique<Recipe>(spec, host);
    }
};

}  // namespace zypper

SINGULARITY_PLUGIN(zypper, zypper::Source)
