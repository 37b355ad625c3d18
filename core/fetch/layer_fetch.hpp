// The layers of an image on their way from a server: several at a time, the newest first, each verified while it is
// written to the blob store (or to an unnamed file) and read from there by the conversion at the same time.
#pragma once
#include <singularity/stream.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/call.hpp"
#include "fetch/arriving_blob.hpp"
#include "store/blob_store.hpp"
#include "store/lease.hpp"

namespace sg {

// One layer, as its source describes it.
struct RemoteLayer {
    std::string digest, name;         // digest "" when unknown; the name is for messages
    uint64_t size = SG_SIZE_UNKNOWN;  // stored bytes
    // Any thread, several at a time.
    std::function<std::unique_ptr<singularity::Stream>(const sg_call*)> open;
};

// Where bytes that came over a network are kept, and how.
struct FetchPlan {
    std::shared_ptr<BlobStore> store;  // null: no cache; blobs in it are used
    bool keep = true;                  // new blobs go there, if it is writable
    std::string temporary;             // directory of unnamed files for those that do not
    unsigned jobs = 4;                 // layers at a time
};

class LayerFetch {
public:
    // Waits while another process fetches these layers into the same cache, then begins at once. Says which layers
    // are there already. `call` must outlive this.
    LayerFetch(std::vector<RemoteLayer> base_first, const FetchPlan& plan, const sg_call* call);
    LayerFetch(const LayerFetch&) = delete;
    LayerFetch& operator=(const LayerFetch&) = delete;
    ~LayerFetch();  // ends what is under way and waits for the threads; streams must be gone

    // The stored bytes of a layer; any thread. Those of a fetched one are verified (its last bytes come after that),
    // those of a cached one (`cached`) are not.
    std::unique_ptr<singularity::Stream> read(size_t index);
    bool cached(size_t index) const { return !layers_[index].arriving; }
    // Waits until all are there and in the store. Throws the first failure.
    void finish();
    bool kept() const;  // after `finish`: all of the layers are in the cache that is written to
    uint64_t fetched_count() const { return jobs_.size(); }
    uint64_t fetched_bytes() const { return bytes_; }
    // Looks through the cached layers for such that are damaged, and discards them; true when there were any.
    bool discard_damaged();

private:
    struct Layer {
        RemoteLayer remote;
        std::optional<Digest> digest;
        std::shared_ptr<ArrivingBlob> arriving;  // null: cached
        size_t job = 0;
    };
    struct Job {  // one blob to fetch; two layers may be the same
        size_t layer;
        std::shared_ptr<ArrivingBlob> arriving;
        std::unique_ptr<NewFile> kept;  // in the store
        UniqueFd temporary;
    };

    void prepare_store();
    void find_missing();
    void take_lease();
    void work();
    void fetch(Job& job);
    void fail(std::exception_ptr failure);
    void stop();

    FetchPlan plan_;
    const sg_call* call_;
    std::vector<Layer> layers_;
    std::vector<Job> jobs_;  // newest layer first
    std::atomic<size_t> next_{0};
    std::atomic<uint64_t> bytes_{0};
    std::mutex mutex_;
    std::exception_ptr failure_;  // guarded by mutex_
    // The threads' own token: set when the caller's is, and when one of them failed.
    CancelToken cancel_;
    std::unique_ptr<Lease> lease_;
    std::unique_ptr<LeaseProgress> progress_;
    sg_call inner_;
    UniqueFd ended_;  // an eventfd that ends the watcher
    std::thread watcher_;
    std::vector<std::thread> threads_;
};

}  // namespace sg
