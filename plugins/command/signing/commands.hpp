// The verbs sign, verify and key.
#pragma once
#include <singularity/command.hpp>

namespace signing {

class SignCommand final : public singularity::Command {
public:
    static bool serves(std::string_view capability) { return capability == "sign"; }
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

class VerifyCommand final : public singularity::Command {
public:
    static bool serves(std::string_view capability) { return capability == "verify"; }
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

class KeyCommand final : public singularity::Command {
public:
    static bool serves(std::string_view capability) { return capability == "key"; }
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

}  // namespace signing
