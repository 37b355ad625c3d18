// The verb `sif`: header, list, info, dump, new, add, del, setprim. Options: plugin.yaml; page: README.md.
#pragma once
#include <singularity/command.hpp>

namespace sif {

class SifCommand final : public singularity::Command {
public:
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

}  // namespace sif
