// The Docker Engine API, as far as images are read by it (its reference, v1.24 to v1.48; Podman's answers the same).
#pragma once
#include <memory>
#include <singularity/host.hpp>
#include <string>
#include <vector>

#include "endpoint.hpp"

namespace docker_daemon {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Stream;

struct Inspected {
    std::string id;  // "sha256:HEX"; the image's, whatever name it has
    std::string os, architecture, variant;
    std::vector<std::string> tags;
};

// One engine. Not for several threads.
class Engine {
public:
    // Asks nothing yet.
    Engine(Endpoint endpoint, const Host& host) : endpoint_(std::move(endpoint)), host_(host) {}

    const Endpoint& endpoint() const { return endpoint_; }
    // Throws Code::not_found (image or engine), permission, network, corrupt; with hints.
    Inspected inspect(const std::string& name);
    // The tar of one image. `platform` is "" or JSON for engines that hold several under one id.
    std::unique_ptr<Stream> export_image(const std::string& name, const std::string& platform);
    // Whether it takes a platform (v1.48).
    bool knows_platforms();

private:
    struct Version {
        unsigned major = 1, minor = 24;
        std::string text() const { return std::to_string(major) + "." + std::to_string(minor); }
    };
    void agree_on_version();
    static Version parse_version(const std::string& text, const std::string& where);

    Endpoint endpoint_;
    const Host& host_;
    Version version_;
    bool agreed_ = false;
};

}  // namespace docker_daemon
