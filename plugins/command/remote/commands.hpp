// The verbs remote and keyserver.
#pragma once
#include <singularity/command.hpp>

namespace remote {

class RemoteCommand final : public singularity::Command {
public:
    static bool serves(std::string_view capability) { return capability == "remote"; }
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

class KeyserverCommand final : public singularity::Command {
public:
    static bool serves(std::string_view capability) { return capability == "keyserver"; }
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

}  // namespace remote
