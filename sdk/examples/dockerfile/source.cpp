// The source "dockerfile": a builder of Dockerfiles makes an OCI layout in a temporary directory, and the host takes
// the layers from there. Layers fit better than a recipe, which would run the builder inside of the host's namespaces,
// where it cannot make its own, and better than a path, which has no room for what a Dockerfile says of command,
// environment and labels.
#include "command.hpp"
#include "layout.hpp"
#include "process.hpp"

namespace {

using namespace singularity;

class Dockerfile final : public BootstrapSource {
public:
    // No key: what a Dockerfile leads to is known when it was built. The builder has a cache of its own.
    Identity resolve(const SourceSpec& spec, const Host&) override {
        return {"", dockerfile::Context::of(spec).name() + ".sif", "", spec.arch, spec.variant};
    }

    std::unique_ptr<Image> open(const SourceSpec& spec, const Host& host) override {
        const dockerfile::Context context = dockerfile::Context::of(spec);
        const std::string builder = dockerfile::find_builder(host);
        const std::string temporary = host.temporary_directory();  // the host removes it, whatever happens
        const std::string layout = temporary + "/layout";
        dockerfile::run(dockerfile::build_command(builder, context, layout, spec, host), temporary, host);
        return std::make_unique<dockerfile::LayoutImage>(layout);
    }
};

}  // namespace

SINGULARITY_PLUGIN(dockerfile, Dockerfile)
