// The source "docker": images from registries.
#include <map>
#include <mutex>

#include "family/files.hpp"
#include "family/platform.hpp"
#include "registry/repository.hpp"
#include "registry/session.hpp"

namespace docker {

using namespace sources;
using registry::Repository;
using RepositoryPtr = std::shared_ptr<Repository>;

class RegistryImage final : public singularity::LayeredImage {
public:
    RegistryImage(RepositoryPtr repository, registry::PlatformImage image, std::string config, ConfigFacts facts)
        : repository_(std::move(repository)),
          image_(std::move(image)),
          config_(std::move(config)),
          facts_(std::move(facts)) {}

    singularity::Manifest manifest() override { return {image_.found.bytes, image_.found.media_type}; }
    singularity::Config config() override { return {config_, image_.manifest.config.digest.text()}; }
    uint64_t count() override { return image_.manifest.layers.size(); }
    singularity::Blob describe(uint64_t index) override {
        const Descriptor& d = layer_at(index);
        return {d.media_type, d.digest.text(), facts_.diff_ids[index], d.size, d.annotations};
    }
    std::unique_ptr<Stream> layer(uint64_t index, const Host& host) override {
        return repository_->blob(layer_at(index), host);
    }

private:
    const Descriptor& layer_at(uint64_t index) const {
        if (index >= image_.manifest.layers.size())
            throw Error(Code::not_found, "the image has no layer " + std::to_string(index));
        return image_.manifest.layers[index];
    }
    RepositoryPtr repository_;
    registry::PlatformImage image_;
    std::string config_;
    ConfigFacts facts_;
};

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host& host) override {
        const RepositoryPtr repository = sessions_.begin(spec, host);
        const Wanted wanted = wanted_of(spec);
        singularity::Identity id;
        // One tag's platforms have one digest, that of the index.
        id.key = repository->digest(host).text() + "+" + wanted.text();
        id.name = registry::file_name(repository->reference());
        id.cache_area = "oci-tmp";
        return id;
    }

    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        const RepositoryPtr repository = sessions_.resolved(spec, host);
        const Wanted wanted = wanted_of(spec);
        registry::PlatformImage image = registry::choose_platform(*repository, wanted, host);
        const std::string where = repository->reference().text();
        require_image(image.manifest, where);
        std::string config = repository->read_config(image.manifest.config, max_document, host);
        ConfigFacts facts = parse_config(config, where + ": config " + image.manifest.config.digest.text());
        if (facts.diff_ids.size() != image.manifest.layers.size())
            throw Error(Code::corrupt, where + ": the manifest has " + std::to_string(image.manifest.layers.size()) +
                                           " layers and the config " + std::to_string(facts.diff_ids.size()) +
                                           " diff_ids");
        const std::string warning = check_platform(facts.platform, wanted, where);
        if (!warning.empty()) host.warn(warning);
        return std::make_unique<RegistryImage>(repository, std::move(image), std::move(config), std::move(facts));
    }

private:
    static Wanted wanted_of(const singularity::SourceSpec& spec) { return {spec.arch, spec.variant, spec.arch_is_wish}; }
    registry::Sessions sessions_;
};

}  // namespace docker

SINGULARITY_PLUGIN(docker, docker::Source, registry::FullName)
