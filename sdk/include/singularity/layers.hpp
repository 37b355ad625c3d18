// SPDX-License-Identifier: BSD-3-Clause
// layers.hpp: segments of layers in C++ (contracts: layers.h). A plugin names its SegmentsOf<...> beside its format:
//
//     struct MySegments : singularity::SegmentsOf<MySegments> {
//         static std::unique_ptr<singularity::Segment> open_segment(int fd, uint64_t data_size, uint64_t size);
//     };
//     SINGULARITY_PLUGIN(mine, MyFormat, MySegments)
//
// and every writer of that format is a LayeredWriter. With
//
//         static std::unique_ptr<singularity::Segment> open_image_segment(int fd, int image, uint64_t data_size,
//         uint64_t size);
//
// beside it, segments may leave in the image what the image has (table "image_layers").
#pragma once
#include <singularity/layers.h>

#include <singularity/format.hpp>

namespace singularity {

// An open segment. Any thread.
class Segment {
public:
    virtual ~Segment() = default;
    virtual uint64_t count() const = 0;
    virtual uint64_t size(uint64_t number) const = 0;
    virtual std::unique_ptr<Stream> read(uint64_t number) = 0;
    virtual bool has(uint64_t) const { return true; }
};

// What `end` tells of a segment; size 0: there is none.
struct SegmentEnd {
    uint64_t data_size = 0, size = 0;
    std::string why;
};

class LayeredWriter : public Writer {
public:
    virtual const std::string& family() = 0;
    virtual void begin_layer(int segment) = 0;
    // A segment that leaves in the image what the image has.
    virtual void begin_image_layer(int) {
        throw Error(Code::unsupported, "this writer knows no segments that refer to an image");
    }
    // `data` may be null when no segment is made.
    virtual void hidden(const char* path, uint64_t size, Stream* data, const Host& host) = 0;
    virtual SegmentEnd end_layer(const Host& host) = 0;
    virtual void begin_stored(Segment& segment) = 0;
    virtual uint64_t stored(const char* path, bool hidden, const Host& host) = 0;

private:
    friend struct LayersTable;
    std::string why_;
};

struct LayersTable {
    static LayeredWriter& of(sg_writer* w) {
        auto* layered = dynamic_cast<LayeredWriter*>(reinterpret_cast<Writer*>(w));
        if (!layered) throw Error(Code::internal, "this writer knows no layers");
        return *layered;
    }
    static std::string& why(LayeredWriter& w) { return w.why_; }
};

template <class T>
struct SegmentsOf {
    static bool serves(std::string_view) { return true; }
    static const void* table(std::string_view name, uint32_t version) {
        if (name == "layers" && version == 1) return layers_table();
        if constexpr (requires { T::open_image_segment(0, 0, uint64_t{}, uint64_t{}); })
            if (name == "image_layers" && version == 1) return image_layers_table();
        return nullptr;
    }

private:
    static Segment& of(sg_segment* s) { return *reinterpret_cast<Segment*>(s); }
    static const sg_image_layers_v1* image_layers_table() {
        static const sg_image_layers_v1 made = {
            [](sg_writer* w, int32_t segment, sg_error* err) {
                return guard(err, [&] { LayersTable::of(w).begin_image_layer(segment); });
            },
            [](int32_t fd, int32_t image, uint64_t data_size, uint64_t size, sg_segment** out, sg_error* err) {
                return guard(err, [&] {
                    *out = reinterpret_cast<sg_segment*>(T::open_image_segment(fd, image, data_size, size).release());
                });
            },
            [](sg_segment* s, uint64_t number) -> int32_t { return of(s).has(number) ? 1 : 0; }};
        return &made;
    }
    static const sg_layers_v1* layers_table() {
        static const sg_layers_v1 made = {
            [](sg_writer* w) -> const char* {
                const char* text = "";
                guard(nullptr, [&] { text = LayersTable::of(w).family().c_str(); });
                return text;
            },
            [](sg_writer* w, int32_t segment, sg_error* err) {
                return guard(err, [&] { LayersTable::of(w).begin_layer(segment); });
            },
            [](sg_writer* w, const char* path, uint64_t size, sg_stream* data, const sg_call* call, sg_error* err) {
                ForeignStream stream(data);
                return guard(err, [&] { LayersTable::of(w).hidden(path, size, data ? &stream : nullptr, Host(call)); });
            },
            [](sg_writer* w, const sg_call* call, uint64_t* data_size, uint64_t* size, const char** why,
               sg_error* err) {
                return guard(err, [&] {
                    LayeredWriter& writer = LayersTable::of(w);
                    SegmentEnd end = writer.end_layer(Host(call));
                    *data_size = end.data_size;
                    *size = end.size;
                    LayersTable::why(writer) = std::move(end.why);
                    *why = LayersTable::why(writer).c_str();
                });
            },
            [](int32_t fd, uint64_t data_size, uint64_t size, sg_segment** out, sg_error* err) {
                return guard(
                    err, [&] { *out = reinterpret_cast<sg_segment*>(T::open_segment(fd, data_size, size).release()); });
            },
            [](sg_segment* s) { delete &of(s); },
            [](sg_segment* s) -> uint64_t { return of(s).count(); },
            [](sg_segment* s, uint64_t number, sg_stream** out, sg_error* err) {
                return guard(err, [&] { *out = to_c(of(s).read(number)); });
            },
            [](sg_writer* w, sg_segment* s, sg_error* err) {
                return guard(err, [&] { LayersTable::of(w).begin_stored(of(s)); });
            },
            [](sg_writer* w, const char* path, int32_t hidden, const sg_call* call, uint64_t* id, sg_error* err) {
                return guard(err, [&] { *id = LayersTable::of(w).stored(path, hidden != 0, Host(call)); });
            }};
        return &made;
    }
};

}  // namespace singularity
