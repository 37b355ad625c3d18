// The bytes of an image on their way to a Library, by whichever of its three ways it has.
#pragma once
#include "family/files.hpp"
#include "library/client.hpp"

namespace library {

struct OutgoingFile {
    std::string path;
    sources::Fd fd;
    uint64_t size = 0;
    std::string sha256, md5;  // hex; md5 "" where it cannot be had
};

// Opens and hashes it. Throws permission, io and the like.
OutgoingFile open_outgoing(const std::string& path, const Host& host);

// What a Library tells after an upload.
struct Completed {
    bool told = false;
    uint64_t quota_total = 0, quota_used = 0;  // bytes; 0 = no limit
    std::string container_url;
};

class Upload {
public:
    Upload(const Client& client, const OutgoingFile& file, std::string image_id, std::string what)
        : service_(client.service()), file_(file), id_(std::move(image_id)), what_(std::move(what)) {}
    // `v2`: the Library takes uploads in parts. A part whose sending fails is sent again; an upload that is given up is
    // taken back.
    Completed run(bool v2, const Host& host);

private:
    using Moved = std::function<void(uint64_t)>;
    std::optional<Completed> in_parts(const Host& host, const Moved& moved);
    std::optional<Completed> by_address(const Host& host, const Moved& moved);
    void in_one_request(const Host& host, const Moved& moved);
    std::string send_part(const std::string& upload, uint64_t number, uint64_t begin, uint64_t size, uint64_t part_size,
                          bool signed_hash, const Host& host, const Moved& moved);
    std::string put(const std::string& url, uint64_t begin, uint64_t size, const std::string& sha256, bool send_hash,
                    const Host& host, const Moved& moved);
    Completed complete(const remotes::Call& call, const Host& host);
    std::unique_ptr<singularity::Stream> bytes(uint64_t begin, uint64_t size, const Host& host,
                                               const Moved& moved) const;

    const remotes::Service& service_;
    const OutgoingFile& file_;
    const std::string id_, what_;
};

}  // namespace library
