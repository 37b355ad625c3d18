// From what the user asks for to a repository, and from `resolve` to `open`.
#pragma once
#include <deque>
#include <memory>
#include <singularity/policy.hpp>

#include "registry/repository.hpp"

namespace registry {

// The image that a request names, with the keywords Registry and Namespace of a definition file.
sources::ImageReference reference_of(const singularity::SourceSpec& spec);

// For a host's policies: "docker.io/library/lolcow".
class FullName final : public singularity::NamedSource {
public:
    std::string full_name(const singularity::SourceSpec& spec) override { return reference_of(spec).name(); }
};

// "lolcow_latest.sif"; with a digest alone "lolcow_sha256.HEX.sif".
std::string file_name(const sources::ImageReference& reference);

bool wants_no_https(const singularity::SourceSpec& spec);

// What `resolve` found out serves `open` in the same process: the same digest (a tag may move in between), the same
// server, the same tokens. Any thread.
class Sessions {
public:
    // A new one, kept for `resolved`. Asks for a password when --docker-login wants that.
    std::shared_ptr<Repository> begin(const singularity::SourceSpec& spec, const Host& host);
    // The one that was begun last for the same request, else a new one.
    std::shared_ptr<Repository> resolved(const singularity::SourceSpec& spec, const Host& host);

private:
    struct Kept {
        std::string key;
        std::shared_ptr<Repository> repository;
    };
    std::mutex mutex_;
    std::deque<Kept> kept_;  // the newest first
};

}  // namespace registry
