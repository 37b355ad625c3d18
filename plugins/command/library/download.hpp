// An image file on its way from a Library: in parts, several at a time.
#pragma once
#include "library/client.hpp"

namespace library {

struct Wanted {
    std::string container, tag, arch;
    uint64_t size = SG_SIZE_UNKNOWN;
};

struct DownloadPlan {
    unsigned at_a_time = 3;
    uint64_t part_size = 5 << 20;              // bytes
    static DownloadPlan of(const Host& host);  // from the configuration
};

// The bytes from `offset` on. A server that knows no ranges gives them in one answer. The stream's threads end with it;
// it lives no longer than `host`'s call. Throws not_found, unauthorized, network and the like.
std::unique_ptr<singularity::Stream> download(const Client& client, const Wanted& wanted, uint64_t offset,
                                              const DownloadPlan& plan, const Host& host);

}  // namespace library
