// The bootstrap source of the schemes http and https: one image file by its URL.
#pragma once
#include <singularity/bootstrap.hpp>
#include <string>

namespace https {

// Asks the host for the transport of the scheme, as any other source: another one may be registered in our place.
class Source final : public singularity::BootstrapSource {
public:
    // One HEAD. The key follows from URL and Last-Modified (or ETag) and is that of other Singularity's caches, so that the
    // file is found there; "" when the server says neither.
    singularity::Identity resolve(const singularity::SourceSpec& spec, const singularity::Host& host) override;
    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const singularity::Host& host) override;
};

// What a download from that URL is called: the last segment of its path as it stands, without what no file name has.
std::string default_name(const std::string& url);

}  // namespace https
