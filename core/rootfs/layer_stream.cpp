#include "rootfs/layer_stream.hpp"

#include "base/error.hpp"
#include "rootfs/decompress.hpp"
#include "rootfs/digest_stream.hpp"

namespace sg {

using singularity::Slice;
using singularity::Stream;

namespace {

// Bytes that wait between two stages: what is compressed counts for more of the tar.
constexpr uint64_t stored_window = 4 << 20;
constexpr uint64_t tar_window = 16 << 20;

// Opens at the first use, so that a slow server is waited for in a thread of the pipeline.
class Lazy final : public Stream {
public:
    explicit Lazy(std::function<std::unique_ptr<Stream>()> open) : open_(std::move(open)) {}
    Slice next() override {
        if (!stream_) stream_ = open_();
        return stream_->next();
    }

private:
    std::function<std::unique_ptr<Stream>()> open_;
    std::unique_ptr<Stream> stream_;
};

// Puts the layer's name before messages that lack it, and ends a cancelled call.
class Named final : public Stream {
public:
    Named(std::unique_ptr<Stream> from, std::string name, const sg_call* call)
        : from_(std::move(from)), name_(std::move(name)), call_(call) {}
    Slice next() override {
        if (call_) call_->cancel.poll();
        try {
            return from_->next();
        } catch (const Error& e) {
            if (e.code() == Code::cancelled || e.message().starts_with(name_)) throw;
            throw e.within(name_);
        }
    }

private:
    std::unique_ptr<Stream> from_;
    std::string name_;
    const sg_call* call_;
};

class Limited final : public Stream {
public:
    Limited(std::unique_ptr<Stream> from, uint64_t most) : from_(std::move(from)), most_(most) {}
    Slice next() override {
        Slice s = from_->next();
        if (s.size() > most_ - seen_)
            throw Error(Code::limit, "its tar archive is larger than the limit of " + std::to_string(most_) + " bytes",
                        "the configuration key limits.image_size sets this limit");
        seen_ += s.size();
        return s;
    }

private:
    std::unique_ptr<Stream> from_;
    const uint64_t most_;
    uint64_t seen_ = 0;
};

}  // namespace

std::string layer_name(const LayerInput& layer) {
    return "layer " + (!layer.name.empty() ? layer.name : !layer.digest.empty() ? layer.digest : layer.diff_id);
}

std::unique_ptr<Stream> open_layer(const LayerInput& layer, uint64_t most, unsigned threads,
                                   std::shared_ptr<BufferPool> pool, const sg_call* call) {
    const std::string name = layer_name(layer);
    const bool ahead = threads > 1;
    auto stop = std::make_shared<StopFlag>();

    std::unique_ptr<Stream> s = std::make_unique<Lazy>(layer.open);
    s = owning(std::move(s), pool);
    s = verify(std::move(s), {layer.digest, layer.size, name, "digest"}, ahead);
    if (ahead) s = read_ahead(std::move(s), stored_window, stop, call);
    s = decompress(std::move(s), pool);
    s = std::make_unique<Limited>(std::move(s), most);
    s = verify(std::move(s), {layer.diff_id, SG_SIZE_UNKNOWN, name, "diff ID"}, ahead);
    if (ahead) s = read_ahead(std::move(s), tar_window, stop, call);
    return std::make_unique<Named>(std::move(s), name, call);
}

}  // namespace sg
