// Layers of an image become one tree: the newest first, each read once, nothing unpacked.
//
// Semantics: OCI image-spec, layer.md "Applying Changesets", and docs/architecture.md "Merging layers".
// From the newest layer down an entry hides every older one of its path, a whiteout hides a path in
// older layers, an opaque marker a directory's older children; so each entry is either hidden (its
// bytes are skipped) or final (they go to the writer at once).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <singularity/stream.hpp>
#include <span>
#include <string>

#include "rootfs/segment.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"

namespace sg {

// One layer, as stored.
struct LayerInput {
    // Opens the blob. Called from a thread of the merge's own, and a second time in the rare case that a
    // hard link needs bytes of this layer that a newer layer hides.
    std::function<std::unique_ptr<singularity::Stream>()> open;
    std::string digest;                   // of the stored bytes, "sha256:HEX"; "" is not checked
    std::string diff_id;                  // of the uncompressed tar; "" is not checked
    std::string name;                     // for messages; "" = the digest
    uint64_t size = SG_SIZE_UNKNOWN;      // of the stored bytes
    std::shared_ptr<StoredLayer> stored;  // what an earlier conversion kept: taken instead, `open` is not called unless
                                          // the image shows a file whose bytes were not kept
    std::shared_ptr<NewLayer> segment;  // to be filled for later ones, when the writer knows layers
    bool drop_stargz = false;           // leave out the index and landmarks of an eStargz layer
};

// What an image may be at most. Each has the configuration key that a message names.
struct MergeLimits {
    uint64_t entries = 10'000'000;        // limits.entries: entries of all layers together
    uint64_t file_size = 512ull << 30;    // limits.file_size: bytes of one file, holes counted
    uint64_t image_size = 2048ull << 30;  // limits.image_size: bytes of all files of the result; one layer's tar may
                                          // have twice as many (it holds what newer layers hide) and 16 MiB
    uint64_t xattr_bytes = 1 << 20;       // limits.xattr_bytes: names and values of one entry
    uint64_t path_length = 4096;          // limits.path_length: bytes of one name in a layer, or link target
};

struct MergeOptions {
    // 1: everything in the caller's thread. More: reading, inflating and hashing each have their own
    // threads, two layers at a time. The result and the order of the writer's calls are the same.
    unsigned threads = 2;
};

// Merges `base_first` and hands each final, non-empty regular file to `writer` in the order met. `call`
// may be NULL. Throws: Code::corrupt (damaged data, wrong digest or diff ID, what no layer may hold),
// Code::limit, Code::cancelled, and what the streams and the writer throw; the message names the layer.
// Digests of all layers that were opened have been verified when it returns, and `segment` of each is whole or says why
// not.
Tree merge_layers(std::span<LayerInput> base_first, ImageWriter& writer, const MergeLimits& limits,
                  const MergeOptions& options, const sg_call* call);

}  // namespace sg
