// The verb hub and its sub-verbs.
#pragma once
#include <singularity/command.hpp>

namespace hub {

class HubCommand final : public singularity::Command {
public:
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

}  // namespace hub
