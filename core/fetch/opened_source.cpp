#include "fetch/opened_source.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "fetch/progress_stream.hpp"
#include "fetch/resuming_stream.hpp"
#include "rootfs/digest_stream.hpp"

namespace sg {

namespace {

constexpr uint64_t kMaxConfig = 4 << 20;  // containers/image's limit

std::string text_of(const char* text) { return text ? text : ""; }

bool has_annotation(const sg_pair* pairs, std::string_view key) {
    for (; pairs && pairs->key; ++pairs)
        if (key == pairs->key) return true;
    return false;
}

// What was converted before is not read.
void say_stored(const LayerInput& layer) {
    if (layer.stored) log::plain("Skipping fetch of repeat blob " + layer.name);
}

}  // namespace

std::string publish_image(const sg_publish_v1& target, const SourceRequest& request, const std::string& path,
                          const sg_call* call) {
    const SourceSpec spec(request);
    char where[1024] = "";
    singularity::check(
        [&](sg_error* e) { return target.publish(&spec.c, path.c_str(), call, where, sizeof where, e); });
    return where;
}

OpenedSource::OpenedSource(const sg_bootstrap_v1& source, const SourceRequest& request, const sg_call* call)
    : call_(call) {
    const SourceSpec spec(request);
    singularity::check([&](sg_error* e) { return source.open(&spec.c, call, &image_, e); });
    const bool whole =
        image_ &&
        ((kind() == SG_LAYERS && image_->layers) || (kind() == SG_BLOB && image_->blob && image_->fetch) ||
         (kind() == SG_PATH && image_->path) || (kind() == SG_RECIPE && image_->recipe) || kind() == SG_EMPTY);
    if (whole) return;
    if (image_) image_->close(image_);
    throw Error(Code::internal, "the source '" + request.scheme + "' gave an image of no known kind",
                "This is a defect of its plugin.");
}

OpenedSource::~OpenedSource() {
    fetch_.reset();
    image_->close(image_);
}

std::string OpenedSource::path() const { return image_->path; }

void OpenedSource::fill(const std::string& rootfs) {
    singularity::check([&](sg_error* e) { return image_->recipe(image_, rootfs.c_str(), call_, e); });
}

std::unique_ptr<singularity::Stream> OpenedSource::blob() {
    sg_blob b{};
    singularity::check([&](sg_error* e) { return image_->blob(image_, &b, e); });
    const std::string digest = text_of(b.digest);
    const uint64_t size = b.size;
    auto stream = resuming(
        [this](uint64_t offset) -> std::unique_ptr<singularity::Stream> {
            sg_stream* raw = nullptr;
            singularity::check([&](sg_error* e) { return image_->fetch(image_, offset, call_, &raw, e); });
            return std::make_unique<singularity::ForeignStream>(raw);
        },
        call_);
    stream = std::make_unique<ProgressStream>(std::move(stream), call_, "", size);
    return verify(std::move(stream), Expected{digest, size, "the image"}, true);
}

uint64_t OpenedSource::blob_size() {
    sg_blob b{};
    singularity::check([&](sg_error* e) { return image_->blob(image_, &b, e); });
    return b.size;
}

void OpenedSource::read_config(Layers& out) {
    sg_slice slice{};
    const char* digest = "";
    singularity::check([&](sg_error* e) { return image_->layers->config(image_, &slice, &digest, e); });
    const singularity::Slice bytes(slice);
    if (bytes.size() > kMaxConfig) throw Error(Code::limit, "the image's config is larger than 4 MiB");
    out.config = bytes.text();
    if (digest && *digest) {
        Hasher hasher(digest);
        hasher.update(out.config.data(), out.config.size());
        const std::string got = hasher.finish();
        if (got != digest)
            throw Error(
                Code::corrupt,
                "the image's config does not match its digest: it should be " + std::string(digest) + " and is " + got,
                "The image is damaged; fetch or export it again.");
    }
    read_manifest();
    out.manifest = manifest_;
    out.manifest_type = manifest_type_;
}

void OpenedSource::read_manifest() {
    if (manifest_read_) return;
    sg_slice slice{};
    const char* type = "";
    singularity::check([&](sg_error* e) { return image_->layers->manifest(image_, &slice, &type, e); });
    const singularity::Slice bytes(slice);
    if (bytes.size() > kMaxConfig) throw Error(Code::limit, "the image's manifest is larger than 4 MiB");
    manifest_ = bytes.text();
    manifest_type_ = text_of(type);
    manifest_read_ = true;
}

const std::string& OpenedSource::manifest() {
    if (!image_->layers->sequential) read_manifest();
    return manifest_;
}

LayerInput OpenedSource::describe(uint64_t index) {
    sg_blob b{};
    singularity::check([&](sg_error* e) { return image_->layers->describe(image_, index, &b, e); });
    LayerInput in;
    in.digest = text_of(b.digest);
    in.diff_id = text_of(b.diff_id);
    in.size = b.size;
    in.name = in.digest.empty() ? in.diff_id : in.digest;
    in.drop_stargz = has_annotation(b.annotations, "containerd.io/snapshot/stargz/toc.digest");
    if (in.diff_id.empty())
        throw Error(Code::corrupt, "layer " + std::to_string(index) + " has no diff ID in the image's config",
                    "The archive was made by a broken tool, or is not an image.");
    return in;
}

Layers OpenedSource::parallel_layers(const Described& described) {
    Layers out;
    read_config(out);
    const uint64_t count = image_->layers->count(image_);
    for (uint64_t i = 0; i < count; ++i) {
        LayerInput in = describe(i);
        // The second opening of a layer (hidden hard links) is no news for the user.
        auto shown = std::make_shared<bool>(false);
        in.open = [this, i, shown, name = in.name, size = in.size]() -> std::unique_ptr<singularity::Stream> {
            sg_stream* raw = nullptr;
            singularity::check([&](sg_error* e) { return image_->layers->layer(image_, i, call_, &raw, e); });
            auto stream = std::make_unique<singularity::ForeignStream>(raw);
            if (std::exchange(*shown, true)) return stream;
            return std::make_unique<ProgressStream>(std::move(stream), call_, "Copying blob " + name, size);
        };
        out.inputs.push_back(std::move(in));
    }
    if (described) described(out);
    for (const LayerInput& in : out.inputs) say_stored(in);
    return out;
}

Layers OpenedSource::sequential_layers(const std::string& spool_directory, const Described& described) {
    spool_ = std::make_unique<Spool>(spool_directory);
    for (;;) {
        const char* key = nullptr;
        uint64_t size = SG_SIZE_UNKNOWN;
        sg_stream* raw = nullptr;
        singularity::check([&](sg_error* e) { return image_->layers->next_part(image_, call_, &key, &size, &raw, e); });
        if (!key) break;
        ProgressStream stream(std::make_unique<singularity::ForeignStream>(raw), call_, "Copying " + std::string(key),
                              size);
        spool_->add(stream);
    }
    Layers out;
    read_config(out);
    const uint64_t count = image_->layers->count(image_);
    for (uint64_t i = 0; i < count; ++i) {
        LayerInput in = describe(i);
        uint64_t number = 0;
        singularity::check([&](sg_error* e) { return image_->layers->part(image_, i, &number, e); });
        if (number >= spool_->count())
            throw Error(Code::internal, "the source names a part that it never gave",
                        "This is a defect of its plugin.");
        in.open = [this, number] { return spool_->open(number); };
        if (in.size == SG_SIZE_UNKNOWN) in.size = spool_->size(number);
        out.inputs.push_back(std::move(in));
    }
    if (described) described(out);
    return out;
}

Layers OpenedSource::remote_layers(const FetchPlan& plan, const Described& described) {
    Layers out;
    read_config(out);
    const uint64_t count = image_->layers->count(image_);
    for (uint64_t i = 0; i < count; ++i) out.inputs.push_back(describe(i));
    if (described) described(out);
    std::vector<RemoteLayer> remote;
    std::vector<size_t> fetched;  // layers, in the order of `remote`
    for (uint64_t i = 0; i < count; ++i) {
        LayerInput& in = out.inputs[i];
        say_stored(in);
        const auto from_server = [this, i](const sg_call* call) -> std::unique_ptr<singularity::Stream> {
            sg_stream* raw = nullptr;
            singularity::check([&](sg_error* e) { return image_->layers->layer(image_, i, call, &raw, e); });
            return std::make_unique<singularity::ForeignStream>(raw);
        };
        if (in.stored) {
            // Seldom: this image shows a file that was not kept. The blob is read, and not stored.
            in.open = [this, from_server, store = plan.store, digest = Digest::try_parse(in.digest), size = in.size] {
                return store && digest && store->find(*digest, size) ? store->open(*digest, size) : from_server(call_);
            };
            continue;
        }
        fetched.push_back(i);
        remote.push_back({in.digest, in.name, in.size, from_server});
    }
    fetch_.reset();
    fetch_ = std::make_unique<LayerFetch>(std::move(remote), plan, call_);
    for (size_t i = 0; i < fetched.size(); ++i) {
        LayerInput& in = out.inputs[fetched[i]];
        in.open = [this, i] { return fetch_->read(i); };
        if (!fetch_->cached(i)) in.digest.clear();  // compared while it is fetched
    }
    return out;
}

Layers OpenedSource::layers(const FetchPlan& plan, bool remote, const Described& described) {
    if (image_->layers->sequential) return sequential_layers(plan.temporary, described);
    return remote ? remote_layers(plan, described) : parallel_layers(described);
}

}  // namespace sg
