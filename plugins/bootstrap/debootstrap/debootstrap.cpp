// The source "debootstrap": a recipe that the host's program of that name carries out.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <utility>

#include "command.hpp"
#include "packages/places.hpp"
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
        {
            // It takes devices that are there. A node that it makes itself in a user namespace is recorded for the image and is
            // nothing that scripts of packages can read or write.
            const packages::Places places(rootfs, false);
            packages::must_run(command_for(spec_, rootfs), environment, host);
        }
        leave_devices(rootfs);
    }

private:
    // Those that it would have made.
    static void leave_devices(const std::string& rootfs) {
        for (const auto& [name, minor] : {std::pair{"null", 3u}, {"zero", 5u}, {"full", 7u}, {"random", 8u}, {"urandom", 9u}}) {
            const std::string path = rootfs + "/dev/" + name;
            if (::mknod(path.c_str(), S_IFCHR | 0666, makedev(1, minor)) == 0) (void)::chmod(path.c_str(), 0666);
        }
    }

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
