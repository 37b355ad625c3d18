// The source "scratch": a base with nothing in it.
#include <singularity/bootstrap.hpp>

namespace scratch {

using singularity::Host;

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec&, const Host&) override { return {"", "scratch.sif", "", "", ""}; }
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec&, const Host&) override {
        return std::make_unique<singularity::EmptyImage>();
    }
};

}  // namespace scratch

SINGULARITY_PLUGIN(scratch, scratch::Source)
