// The sources "yum" and "dnf": a recipe that the machine's dnf or yum carries out.
#include <cstdlib>
#include <filesystem>

#include "packages/header.hpp"
#include "packages/places.hpp"
#include "packages/tool.hpp"
#include "packages/written.hpp"
#include "yum/command.hpp"

namespace yum {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

class Recipe final : public singularity::RecipeImage {
public:
    Recipe(singularity::SourceSpec spec, std::string program, const std::string& key, const Host& host)
        : spec_(std::move(spec)), program_(std::move(program)), home_(packages::rpm_home(host)) {
        packages::write(home_ + "/dnf.conf", configuration_for(spec_, key));
    }

    void fill(const std::string& rootfs, const Host& host) override {
        const packages::Places places(rootfs);
        packages::must_run(command_for(spec_, program_, home_ + "/dnf.conf", rootfs), {{"HOME", home_}, {"LC_ALL", "C.UTF-8"}}, host);
        // Neither what was fetched nor this machine's logs belong into an image.
        std::error_code ignored;
        std::filesystem::remove_all(rootfs + cache_directory, ignored);
        for (const char* log : {"dnf.log", "dnf.rpm.log", "dnf.librepo.log", "hawkey.log", "yum.log"}) std::filesystem::remove(rootfs + "/var/log/" + log, ignored);
    }

private:
    singularity::SourceSpec spec_;
    std::string program_, home_;
};

}  // namespace

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        (void)configuration_for(spec, "");
        const std::string release = spec.option("osversion");
        return {"", release.empty() || release.find('/') != std::string::npos ? spec.scheme + ".sif" : spec.scheme + "-" + release + ".sif", "", spec.arch, ""};
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        const char* key = std::getenv("GPG");  // the variable of other Singularities
        (void)configuration_for(spec, key ? key : "");
        const std::string program = packages::has_tool("dnf") ? "dnf" : "yum";
        if (program == "yum") {
            if (!packages::has_tool("yum")) packages::need_tool("dnf", "dnf");
            packages::refuse_foreign_arch(spec);
        }
        (void)command_for(spec, program, "", "");
        return std::make_unique<Recipe>(spec, program, key ? key : "", host);
    }
};

}  // namespace yum

SINGULARITY_PLUGIN(yum, yum::Source)
