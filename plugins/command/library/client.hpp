// The Library's interface, as far as pulling, pushing and deleting need it (apptainer/container-library-client).
//
// Any thread.
#pragma once
#include "library/reference.hpp"
#include "remotes/service.hpp"

namespace library {

using singularity::Code;
using singularity::Error;
using singularity::Host;

struct ImageRecord {
    std::string id, hash;  // hash: "sha256.HEX64", or an older form
    uint64_t size = SG_SIZE_UNKNOWN;
    bool uploaded = false;
    std::string arch;
};

class Client {
public:
    explicit Client(remotes::Service service) : service_(std::move(service)) {}
    const remotes::Service& service() const { return service_; }
    const std::string& base() const { return service_.base(); }

    // nullopt when there is none, or we may not see it. `tag` may be a hash.
    std::optional<ImageRecord> image(const std::string& container, const std::string& tag, const std::string& arch,
                                     const Host& host) const;
    // The image's file from `begin` to before `end`; any status.
    singularity::ForeignResponse file(const std::string& container, const std::string& tag, const std::string& arch,
                                      uint64_t begin, uint64_t end, const Host& host) const;

private:
    remotes::Service service_;
};

// The Library of a reference: `url` (--library, or Library: of a definition file) if it is given, else the reference's
// host, else the one in use. `plain`: a host is spoken to by http. Throws Code::usage when both name different ones.
Client client_for(const LibraryReference& reference, const std::string& url, bool plain, const Host& host);

ImageRecord read_image(const std::string& json, const std::string& what);

}  // namespace library
