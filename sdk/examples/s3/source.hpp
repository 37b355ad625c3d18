// The source of images s3://BUCKET/KEY. It is small, because it asks the host for the transport of "s3" like any other
// source.
#pragma once
#include <singularity/bootstrap.hpp>

namespace s3 {

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const singularity::Host& host) override;
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec,
                                             const singularity::Host& host) override;
};

}  // namespace s3
