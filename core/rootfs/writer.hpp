// A format's writer (format.h, "sg_writer_v1") as a value with one owner.
//
// Two phases: parts and contents first, then one `finish` with the merged tree. One thread at a time.
// A writer that is destroyed without `finish` leaves nothing of use in its file.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <singularity/format.hpp>
#include <string>
#include <string_view>

#include "rootfs/layer_tables.hpp"

namespace sg {

class Tree;

class ImageWriter {
public:
    // Takes `writer`, which `table`'s create gave. `call` may be NULL and must outlive the writer.
    ImageWriter(const sg_writer_v1* table, sg_writer* writer, const sg_call* call);
    // Begins an image of `format`. Throws what its `create` answers; Code::unsupported when it only reads.
    static ImageWriter create(const sg_format_v1& format, const sg_create& what, const sg_call* call);
    ImageWriter(ImageWriter&& other) noexcept;
    ImageWriter& operator=(ImageWriter&& other) noexcept;
    ~ImageWriter();

    // Adds a part beside the root file system. False: this format has no place for it.
    bool part(std::string_view type, std::string_view name, std::string_view bytes);

    // Stores the bytes of one regular file; `hint` is the path that it will probably have, `size` may be
    // SG_SIZE_UNKNOWN. What `data` throws comes out of here unchanged.
    uint64_t content(const std::string& hint, uint64_t size, std::unique_ptr<singularity::Stream> data);
    // The same with a stream that stays the caller's.
    uint64_t content(const std::string& hint, uint64_t size, singularity::Stream& data);

    // Takes a file of an open reader as it is stored; nothing when this writer cannot.
    std::optional<uint64_t> adopt(const singularity::ForeignRoot& from, uint64_t node);

    // ---- Layers (layers.h). A format without that table takes contents alone: nothing happens here then.
    void use_layers(const LayerTables& tables) { layers_ = tables; }
    const LayerTables& layer_tables() const { return layers_; }
    bool knows_layers() const { return layers_.layers != nullptr; }
    // What segments of this writer's depend on besides the layer; "" without layers.
    std::string layer_family() const;
    // `segment`: an empty file for the layer's; -1: none is made.
    void begin_layer(int segment);
    void begin_layer(sg_segment* stored);
    // The next file of the layer is not shown. `data` null: no segment is made, or not any more.
    void hidden(const std::string& path, uint64_t size, singularity::Stream* data);
    uint64_t stored(const std::string& path);
    void hidden_stored(const std::string& path);
    struct Segment {
        uint64_t data_size = 0, size = 0;  // 0: there is none
        std::string why;
    };
    Segment end_layer();

    // Writes the tree; the image is complete afterwards, but not synced to disk.
    void finish(Tree& tree);

private:
    const sg_writer_v1* table_ = nullptr;
    sg_writer* writer_ = nullptr;
    LayerTables layers_;
    const sg_call* call_ = nullptr;
    std::string name_;  // of the image, for messages; may be empty
};

}  // namespace sg
