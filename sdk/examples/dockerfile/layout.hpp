// The image in an OCI layout directory (OCI image-spec, image-layout.md) that a builder has made for us alone.
#pragma once
#include <singularity/bootstrap.hpp>
#include <string>
#include <vector>

namespace dockerfile {

// Layers that may be read several at a time: the host merges them, and verifies digests and diff IDs.
class LayoutImage final : public singularity::LayeredImage {
public:
    // Throws Code::invalid or Code::corrupt for a layout that is not as the specification says.
    explicit LayoutImage(std::string directory);

    singularity::Manifest manifest() override { return {manifest_, manifest_type_}; }
    singularity::Config config() override { return {config_, config_digest_}; }
    uint64_t count() override { return layers_.size(); }
    singularity::Blob describe(uint64_t index) override { return layers_.at(index); }
    std::unique_ptr<singularity::Stream> layer(uint64_t index, const singularity::Host& host) override;

private:
    std::string path_of(const std::string& digest) const;

    std::string directory_, manifest_, manifest_type_, config_, config_digest_;
    std::vector<singularity::Blob> layers_;
};

}  // namespace dockerfile
