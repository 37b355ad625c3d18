#include "rootfs/writer.hpp"

#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "rootfs/tree.hpp"

namespace sg {

using singularity::Slice;
using singularity::Stream;

namespace {
// A format knows its file as a descriptor: a full disk, and a file that may not grow, is told by the name that the user
// gave.
template <class F>
void checked(const std::string& name, F&& f) {
    try {
        singularity::check(f);
    } catch (const Error& e) {
        if (name.empty() || !e.hint().empty()) throw;
        const auto is = [&](int reason) { return e.message().ends_with(strerrordesc_np(reason)); };
        const auto told = [&](int reason, const char* hint) {
            return Error(e.code(), "cannot write " + name + ": " + strerrordesc_np(reason), hint, e.message());
        };
        if (e.code() == Code::limit && is(EFBIG))
            throw told(EFBIG,
                       "Raise the limit of this account (ulimit -f), or name a place on a file system that takes large "
                       "files.");
        if (e.code() == Code::no_space)
            throw told(is(EDQUOT) ? EDQUOT : ENOSPC, "Make room there, or name a place on another file system.");
        throw;
    }
}
}  // namespace

ImageWriter::ImageWriter(const sg_writer_v1* table, sg_writer* writer, const sg_call* call)
    : table_(table), writer_(writer), call_(call) {}

ImageWriter ImageWriter::create(const sg_format_v1& format, const sg_create& what, const sg_call* call) {
    if (!format.create) throw Error(Code::unsupported, "this image format can only be read");
    const sg_writer_v1* table = nullptr;
    sg_writer* writer = nullptr;
    checked(what.path, [&](sg_error* e) { return format.create(&what, call, &table, &writer, e); });
    ImageWriter made(table, writer, call);
    made.name_ = what.path;
    return made;
}

ImageWriter::ImageWriter(ImageWriter&& o) noexcept
    : table_(o.table_),
      writer_(std::exchange(o.writer_, nullptr)),
      layers_(o.layers_),
      call_(o.call_),
      name_(std::move(o.name_)) {}
ImageWriter& ImageWriter::operator=(ImageWriter&& o) noexcept {
    std::swap(table_, o.table_);
    std::swap(writer_, o.writer_);
    std::swap(layers_, o.layers_);
    std::swap(call_, o.call_);
    std::swap(name_, o.name_);
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
    checked(name_, [&](sg_error* e) {
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
void reading(const std::string& name, Stream& data, F&& f) {
    Lent lent(data);
    checked(name, [&](sg_error* err) {
        const int32_t rc = f(&lent, err);
        return lent.failure ? SG_OK : rc;
    });
    if (lent.failure) std::rethrow_exception(lent.failure);
}
}  // namespace

uint64_t ImageWriter::content(const std::string& hint, uint64_t size, Stream& data) {
    uint64_t id = SG_NO_CONTENT;
    reading(name_, data,
            [&](sg_stream* s, sg_error* e) { return table_->content(writer_, hint.c_str(), size, s, call_, &id, e); });
    return id;
}

std::string ImageWriter::layer_family() const { return knows_layers() ? layers_.layers->family(writer_) : ""; }

void ImageWriter::begin_layer(int segment) {
    if (!knows_layers()) return;
    checked(name_, [&](sg_error* e) {
        return layers_.in_image ? layers_.in_image->begin(writer_, segment, e)
                                : layers_.layers->begin(writer_, segment, e);
    });
}

void ImageWriter::begin_layer(sg_segment* stored) {
    checked(name_, [&](sg_error* e) { return layers_.layers->begin_stored(writer_, stored, e); });
}

void ImageWriter::hidden(const std::string& path, uint64_t size, Stream* data) {
    if (!knows_layers()) return;
    if (data)
        reading(name_, *data, [&](sg_stream* s, sg_error* e) {
            return layers_.layers->hidden(writer_, path.c_str(), size, s, call_, e);
        });
    else
        checked(name_,
                [&](sg_error* e) { return layers_.layers->hidden(writer_, path.c_str(), size, nullptr, call_, e); });
}

uint64_t ImageWriter::stored(const std::string& path) {
    uint64_t id = SG_NO_CONTENT;
    checked(name_, [&](sg_error* e) { return layers_.layers->stored(writer_, path.c_str(), 0, call_, &id, e); });
    return id;
}

void ImageWriter::hidden_stored(const std::string& path) {
    uint64_t id = SG_NO_CONTENT;
    checked(name_, [&](sg_error* e) { return layers_.layers->stored(writer_, path.c_str(), 1, call_, &id, e); });
}

ImageWriter::Segment ImageWriter::end_layer() {
    Segment out;
    if (!knows_layers()) return out;
    const char* why = "";
    checked(name_,
            [&](sg_error* e) { return layers_.layers->end(writer_, call_, &out.data_size, &out.size, &why, e); });
    if (why) out.why = why;
    return out;
}

std::optional<uint64_t> ImageWriter::adopt(const singularity::ForeignRoot& from, uint64_t node) {
    if (!table_->adopt) return std::nullopt;
    uint64_t id = SG_NO_CONTENT;
    bool taken = true;
    checked(name_, [&](sg_error* e) -> int32_t {
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
    checked(name_, [&](sg_error* e) { return table_->finish(writer_, Tree::table(), handle, call_, e); });
}

}  // namespace sg
