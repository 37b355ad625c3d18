// A layered image out of an OCI layout whose blobs can be read in any order.
#pragma once
#include <singularity/bootstrap.hpp>

#include "family/layout.hpp"

namespace sources {

class LayoutImage : public singularity::LayeredImage {
public:
    explicit LayoutImage(ChosenImage chosen) : chosen_(std::move(chosen)) {}

    singularity::Manifest manifest() override { return {chosen_.bytes, chosen_.media_type}; }
    singularity::Config config() override { return {chosen_.config, chosen_.manifest.config.digest.text()}; }
    uint64_t count() override { return chosen_.manifest.layers.size(); }
    singularity::Blob describe(uint64_t index) override { return describe_layer(chosen_, index); }
    std::unique_ptr<Stream> layer(uint64_t index, const Host& host) override {
        return open_blob(layer_of(chosen_, index), host);
    }

    static const Descriptor& layer_of(const ChosenImage& image, uint64_t index);
    static singularity::Blob describe_layer(const ChosenImage& image, uint64_t index);

protected:
    // Any thread. Throws Code::not_found naming the digest, or corrupt when the size differs.
    virtual std::unique_ptr<Stream> open_blob(const Descriptor& layer, const Host& host) = 0;

private:
    ChosenImage chosen_;
};

// The errors of open_blob. A foreign layer that is not there is said to be one, with where it can be had.
[[noreturn]] void blob_missing(const Descriptor& layer, const std::string& where);
void check_blob_size(const Descriptor& layer, uint64_t size, const std::string& where);

// What `resolve` answers about an image of a layout at `path`.
singularity::Identity layout_identity(const ChosenImage& image, const std::string& path, const std::string& ref);

}  // namespace sources
