// An image as its bootstrap source gives it: one of five kinds.
#pragma once
#include <singularity/bootstrap.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/call.hpp"
#include "fetch/layer_fetch.hpp"
#include "fetch/spool.hpp"
#include "lookup/request.hpp"
#include "rootfs/merge.hpp"

namespace sg {

// Pushes the image file `path` to what `request` names; gives where it went, in the source's words.
std::string publish_image(const sg_publish_v1& target, const SourceRequest& request, const std::string& path,
                          const sg_call* call);

// A layered image whose blobs can be read. Lives no longer than its OpenedSource.
struct Layers {
    std::string manifest, manifest_type;  // "" when the source has none
    std::string config;                   // verified against its digest where that is known
    std::vector<LayerInput> inputs;       // base first
};

// Told what an image consists of before anything is fetched: a layer whose `stored` it sets is not fetched.
using Described = std::function<void(Layers&)>;

class OpenedSource {
public:
    OpenedSource(const sg_bootstrap_v1& source, const SourceRequest& request, const sg_call* call);
    OpenedSource(const OpenedSource&) = delete;
    OpenedSource& operator=(const OpenedSource&) = delete;
    ~OpenedSource();

    sg_source_kind kind() const { return static_cast<sg_source_kind>(image_->kind); }

    // SG_LAYERS. The manifest as the source received it; "" when it has none, or knows it only after all its parts.
    const std::string& manifest();
    // SG_LAYERS. A sequential archive is read here, once, into a temporary file in `plan.temporary`. What comes over a
    // network (`remote`) is fetched by `plan`, beginning now. Each layer's bytes show a progress bar as they are read
    // the first time.
    Layers layers(const FetchPlan& plan, bool remote, const Described& described = {});
    // SG_LAYERS: its parts come once; `layers` cannot be called again.
    bool once() const { return image_->layers->sequential != 0; }
    // What fetches the layers, after `layers`; null when nothing does.
    LayerFetch* fetch() { return fetch_.get(); }
    // SG_PATH: an absolute path.
    std::string path() const;
    // SG_BLOB: its size, or SG_SIZE_UNKNOWN; and all of its bytes, verified against digest and size where these are
    // known. A connection that breaks is taken up again where it broke.
    uint64_t blob_size();
    std::unique_ptr<singularity::Stream> blob();
    // SG_RECIPE.
    void fill(const std::string& rootfs);

private:
    Layers parallel_layers(const Described& described);
    Layers remote_layers(const FetchPlan& plan, const Described& described);
    Layers sequential_layers(const std::string& spool_directory, const Described& described);
    void read_manifest();
    void read_config(Layers& out);
    LayerInput describe(uint64_t index);

    const sg_call* call_;
    sg_image* image_ = nullptr;
    std::unique_ptr<Spool> spool_;
    std::unique_ptr<LayerFetch> fetch_;
    bool manifest_read_ = false;
    std::string manifest_, manifest_type_;
};

}  // namespace sg
