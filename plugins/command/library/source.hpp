// The bootstrap source "library".
#pragma once
#include <map>
#include <mutex>
#include <singularity/bootstrap.hpp>
#include <singularity/policy.hpp>

#include "library/client.hpp"

namespace library {

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host& host) override;
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override;

private:
    struct Found {
        std::shared_ptr<const Client> client;
        ImageRecord image;
    };
    Found find(const singularity::SourceSpec& spec, const LibraryReference& reference, const Host& host) const;
    std::mutex mutex_;
    std::map<std::string, Found>
        found_;  // what `resolve` found, so that `open` gives the image that is the cache's key
};

// For a host's policies: "HOST/ENTITY/COLLECTION/NAME", HOST being what --library or the active remote says where the
// reference does not.
class FullName final : public singularity::NamedSource {
public:
    std::string full_name(const singularity::SourceSpec& spec) override;
};

}  // namespace library
