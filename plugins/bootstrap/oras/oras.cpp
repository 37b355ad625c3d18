// The source "oras": a SIF file that is kept in a registry.
#include "family/files.hpp"
#include "family/platform.hpp"
#include "oras/artifact.hpp"
#include "oras/publisher.hpp"
#include "registry/session.hpp"

namespace oras {

using namespace sources;
using RepositoryPtr = std::shared_ptr<registry::Repository>;

class Nothing final : public Stream {
public:
    singularity::Slice next() override { return {}; }
};

class SifImage final : public singularity::BlobImage {
public:
    SifImage(RepositoryPtr repository, Descriptor layer) : repository_(std::move(repository)), layer_(std::move(layer)) {}
    singularity::Blob blob() override { return {layer_.media_type, layer_.digest.text(), "", layer_.size, layer_.annotations}; }
    std::unique_ptr<Stream> fetch(uint64_t offset, const Host& host) override {
        // A server refuses a range that is empty.
        if (offset == layer_.size) return std::make_unique<Nothing>();
        return repository_->blob(layer_, host, offset);
    }

private:
    RepositoryPtr repository_;
    Descriptor layer_;
};

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host& host) override {
        const RepositoryPtr repository = sessions_.begin(spec, host);
        const registry::PlatformImage image = choose(*repository, spec, host);
        singularity::Identity id;
        id.key = sif_layer(image.manifest, repository->reference().text()).digest.text();
        id.name = registry::file_name(repository->reference());
        id.cache_area = "oras";
        return id;
    }

    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        const RepositoryPtr repository = sessions_.resolved(spec, host);
        const registry::PlatformImage image = choose(*repository, spec, host);
        const Descriptor layer = sif_layer(image.manifest, repository->reference().text());
        host.info("Digest: " + image.found.digest.text());
        return std::make_unique<SifImage>(repository, layer);
    }

private:
    static registry::PlatformImage choose(registry::Repository& repository, const singularity::SourceSpec& spec, const Host& host) {
        return registry::choose_platform(repository, {spec.arch, spec.variant, spec.arch_is_wish}, host);
    }
    registry::Sessions sessions_;
};

}  // namespace oras

SINGULARITY_PLUGIN(oras, oras::Source, oras::Publisher, registry::FullName)
