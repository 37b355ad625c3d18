// Pushing an image file to a Library.
#pragma once
#include <singularity/bootstrap.hpp>

namespace library {

class Publisher final : public singularity::Publisher {
public:
    std::string publish(const singularity::SourceSpec& to, const std::string& path,
                        const singularity::Host& host) override;
};

}  // namespace library
