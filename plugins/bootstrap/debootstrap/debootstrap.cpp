// The source "debootstrap": a recipe that the host's program of that name carries out.
#include "command.hpp"
#include "packages/tool.hpp"

namespace debootstrap {

using singularity::Host;

namespace {

class Recipe final : public singularity::RecipeImage {
public:
    explicit Recipe(singularity::SourceSpec spec) : spec_(std::move(spec)) {}

    void fill(const std::string& rootfs, const Host& host) override {
        std::vector<std::pair<std::string, std::string>> environment{{"DEBIAN_FRONTEND", "noninteractive"}};
        // In a user namespace nobody makes device nodes; inside of LXC it does without.
        if (packages::in_user_namespace()) environment.emplace_back("container", "lxc");
        packages::must_run(command_for(spec_, rootfs), environment, host);
    }

private:
    singularity::SourceSpec spec_;
};

}  // namespace

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host&) override {
        (void)command_for(spec, "/");
        return {"", spec.option("osversion") + ".sif", "", spec.arch, ""};
    }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host&) override {
        (void)command_for(spec, "/");
        packages::need_tool("debootstrap", "debootstrap");
        return std::make_unique<Recipe>(spec);
    }
};

}  // namespace debootstrap

SINGULARITY_PLUGIN(debootstrap, debootstrap::Source)
