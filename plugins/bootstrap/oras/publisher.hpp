// Pushing a SIF file (OCI distribution-spec, "Push").
#pragma once
#include <singularity/bootstrap.hpp>

namespace oras {

class Publisher final : public singularity::Publisher {
public:
    std::string publish(const singularity::SourceSpec& to, const std::string& path,
                        const singularity::Host& host) override;
};

}  // namespace oras
