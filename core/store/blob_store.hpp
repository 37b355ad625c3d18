// Blobs by digest, as an OCI image layout keeps them: ROOT/LAYOUT/blobs/ALGORITHM/HEX (OCI image-spec, image-layout.md).
//
// What is found was put there by anybody: only its kind and size are looked at here, so whoever reads a blob compares
// its digest, and calls `discard` when it does not fit. Any number of processes and threads.
#pragma once
#include <singularity/digest.hpp>
#include <singularity/stream.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/new_file.hpp"

namespace sg {

using singularity::Digest;

class BlobStore {
public:
    // `root` is the cache that is written to, "" for none. `lower` are roots of caches that are only read, after it.
    BlobStore(std::string root, std::vector<std::string> lower);

    bool writable() const { return !root_.empty(); }
    const std::string& root() const { return root_; }
    // The layout's directory in a cache root.
    static std::string layout(const std::string& root);

    // The blob's file; nothing when there is none of that size (SG_SIZE_UNKNOWN: any) that may be used.
    std::optional<std::string> find(const Digest& digest, uint64_t size = SG_SIZE_UNKNOWN) const;
    // Whether the cache that is written to has it.
    bool holds(const Digest& digest) const;
    // Its bytes, not verified. Throws Code::not_found.
    std::unique_ptr<singularity::Stream> open(const Digest& digest, uint64_t size = SG_SIZE_UNKNOWN) const;
    // A small document, verified; nothing when it is absent, larger than `limit` or damaged.
    std::optional<std::string> document(const Digest& digest, uint64_t limit) const;

    // Makes the layout's directories. Throws permission, invalid, no_space. Before the first `keep`.
    void prepare() const;
    // Gives `file`, whose bytes have this digest, its place.
    void keep(NewFile& file, const Digest& digest) const;
    void keep(std::string_view bytes, const Digest& digest) const;

    // Reads the blob to its end; false when its digest is another one or it cannot be read.
    bool intact(const Digest& digest) const;
    // The blob is not what its name says: removed, or (in a lower cache) not used any more by this process.
    void discard(const Digest& digest);

private:
    static std::string path_in(const std::string& root, const Digest& digest);

    const std::string root_;
    const std::vector<std::string> lower_;
    mutable std::mutex mutex_;
    std::set<std::string> distrusted_;  // guarded by mutex_: digests in lower caches
};

}  // namespace sg
