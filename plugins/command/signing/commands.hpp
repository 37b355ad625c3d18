// The verbs sign, verify and key, and who signed an image for a site's policies.
#pragma once
#include <singularity/command.hpp>
#include <singularity/policy.hpp>

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

class Signers final : public singularity::SignerSource {
public:
    static bool serves(std::string_view capability) { return capability == "signatures"; }
    // Those whose OpenPGP signatures cover every object of the image.
    singularity::ImageSigners signers(const std::string& path, const singularity::Host& host) override;
};

}  // namespace signing
