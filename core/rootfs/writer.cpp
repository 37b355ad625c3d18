#include "rootfs/writer.hpp"

#include "base/error.hpp"
#include "rootfs/tree.hpp"

namespace sg {

using singularity::check;
using singularity::Slice;
using singularity::Stream;

ImageWriter::ImageWriter(const sg_writer_v1* table, sg_writer* writer, const sg_call* call)
    : table_(table), writer_(writer), call_(call) {}

ImageWriter ImageWriter::create(const sg_format_v1& format, const sg_create& what, const sg_call* call) {
    if (!format.create) throw Error(Code::unsupported, "this image format can only be read");
    const sg_writer_v1* table = nullptr;
    sg_writer* writer = nullptr;
    check([&](sg_error* e) { return format.create(&what, call, &table, &writer, e); });
    return {table, writer, call};
}

ImageWriter::ImageWriter(ImageWriter&& o) noexcept
    : table_(o.table_), writer_(std::exchange(o.writer_, nullptr)), layers_(o.layers_), call_(o.call_) {}
ImageWriter& ImageWriter::operator=(ImageWriter&& o) noexcept {
    std::swap(table_, o.table_);
    std::swap(writer_, o.writer_);
    std::swap(layers_, o.layers_);
    std::swap(call_, o.call_);
    return *this;
}
ImageWriter::~ImageWriter() {
    if (writer_) table_->close(writer_);
}

bool ImageWriter::part(std::string_view type, std::string_view name, std::string_view bytes) {
    if (!table_->part) return false;
    const std::string t(type), n(name);
    sg_error err{};
    const int32_t rc = table_->part(writer_, t.c_str(), n.c_str(), bytes.data(), bytes.size(), &err);
    if (rc == SG_EUNSUPPORTED) return false;
    check([&](sg_error* e) {
        *e = err;
        return rc;
    });
    return true;
}

namespace {
// A stream of ours as the writer sees it, on the caller's stack; keeps what it throws.
struct Lent : sg_stream {
    Stream& stream;
    std::exception_ptr failure;

    explicit Lent(Stream& s) : stream(s) {
        next = [](sg_stream* self, sg_slice* out, sg_error* err) -> int32_t {
            auto& lent = *static_cast<Lent*>(self);
            return singularity::guard(err, [&] {
                try {
                    *out = lent.stream.next().release();
                } catch (...) {
                    lent.failure = std::current_exception();
                    throw;
                }
            });
        };
        close = [](sg_stream*) {};
    }
};
}  // namespace

uint64_t ImageWriter::content(const std::string& hint, uint64_t size, std::unique_ptr<Stream> data) {
    return content(hint, size, *data);
}

namespace {
// Calls a function of the writer that reads `data`; what that throws comes out unchanged.
template <class F>
void reading(Stream& data, F&& f) {
    Lent lent(data);
    sg_error err;
    err.message[0] = err.hint[0] = err.detail[0] = '\0';
    const int32_t rc = f(&lent, &err);
    if (lent.failure) std::rethrow_exception(lent.failure);
    if (rc != SG_OK)
        throw Error(static_cast<Code>(rc), err.message[0] ? err.message : "cannot write the image", err.hint,
                    err.detail);
}
}  // namespace

uint64_t ImageWriter::content(const std::string& hint, uint64_t size, Stream& data) {
    uint64_t id = SG_NO_CONTENT;
    reading(data,
            [&](sg_stream* s, sg_error* e) { return table_->content(writer_, hint.c_str(), size, s, call_, &id, e); });
    return id;
}

std::string ImageWriter::layer_family() const { return knows_layers() ? layers_.layers->family(writer_) : ""; }

void ImageWriter::begin_layer(int segment) {
    if (!knows_layers()) return;
    check([&](sg_error* e) {
        return layers_.in_image ? layers_.in_image->begin(writer_, segment, e)
                                : layers_.layers->begin(writer_, segment, e);
    });
}

void ImageWriter::begin_layer(sg_segment* stored) {
    check([&](sg_error* e) { return layers_.layers->begin_stored(writer_, stored, e); });
}

void ImageWriter::hidden(const std::string& path, uint64_t size, Stream* data) {
    if (!knows_layers()) return;
    if (data)
        reading(*data, [&](sg_stream* s, sg_error* e) {
            return layers_.layers->hidden(writer_, path.c_str(), size, s, call_, e);
        });
    else
        check([&](sg_error* e) { return layers_.layers->hidden(writer_, path.c_str(), size, nullptr, call_, e); });
}

uint64_t ImageWriter::stored(const std::string& path) {
    uint64_t id = SG_NO_CONTENT;
    check([&](sg_error* e) { return layers_.layers->stored(writer_, path.c_str(), 0, call_, &id, e); });
    return id;
}

void ImageWriter::hidden_stored(const std::string& path) {
    uint64_t id = SG_NO_CONTENT;
    check([&](sg_error* e) { return layers_.layers->stored(writer_, path.c_str(), 1, call_, &id, e); });
}

ImageWriter::Segment ImageWriter::end_layer() {
    Segment out;
    if (!knows_layers()) return out;
    const char* why = "";
    check([&](sg_error* e) { return layers_.layers->end(writer_, call_, &out.data_size, &out.size, &why, e); });
    if (why) out.why = why;
    return out;
}

std::optional<uint64_t> ImageWriter::adopt(const singularity::ForeignRoot& from, uint64_t node) {
    if (!table_->adopt) return std::nullopt;
    uint64_t id = SG_NO_CONTENT;
    bool taken = true;
    check([&](sg_error* e) -> int32_t {
        const int32_t rc = table_->adopt(writer_, from.table(), from.handle(), node, &id, e);
        if (rc != SG_EUNSUPPORTED) return rc;
        taken = false;
        return SG_OK;
    });
    if (!taken) return std::nullopt;
    return id;
}

void ImageWriter::finish(Tree& tree) {
    sg_root* handle = tree.handle();
    check([&](sg_error* e) { return table_->finish(writer_, Tree::table(), handle, call_, e); });
}

}  // namespace sg
