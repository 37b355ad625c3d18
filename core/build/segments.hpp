// Layers that were converted before, kept in the cache: an image that has them too takes their stored files from there,
// or from the image that they were converted for, and does not open their blobs (layers.h; docs/adr/0008-segments.md).
//
// ROOT/segment/HASH/NAME, HASH of all that the bytes depend on: diff ID, what is left out of the layer, the format's
// family (compressor, level, library, block size, rules). Entries are made and found as the cache's images are: whole
// by rename, with a stamp; one that does not fit its stamp, or its own checksum, is made again, and so is one whose
// image went away or was changed (segment_image.hpp). Any number of processes may make the same one: each is right.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "plugin/host.hpp"
#include "rootfs/merge.hpp"
#include "store/image_cache.hpp"
#include "store/output.hpp"

namespace sg {

struct SegmentPlaces {
    bool used = false;        // cache.segments
    std::string own, shared;  // roots of caches; "" = none
};

// The segments of one image. One thread.
class Segments {
public:
    explicit Segments(const SegmentPlaces& places) : places_(places), cache_(places.own, places.shared) {}

    // Before `layers` (base first) are merged into `writer`: each gets its segment, or a file to be filled with one. Of
    // the newest layer none is made: what other images share lies below. A writer without layers gets nothing.
    void prepare(std::vector<LayerInput>& layers, const ImageWriter& writer);
    // After that: throws Code::corrupt when an image that was read has changed meanwhile.
    void check_images() const;
    // The image has its name, `path`: what was made gets its own. Failing to is no failure of the image.
    void keep(const std::string& path);
    // Something in a segment that was taken made no sense: they all go. False: there were none.
    bool discard();

    // None is made any more: the disk is full, and images come first. False: none was being made.
    bool stop_making();

private:
    struct Made {
        std::unique_ptr<OutputFile> file;
        std::shared_ptr<NewLayer> layer;
        std::string name, key, file_name;
    };
    struct Taken {
        std::string path, name;
        UniqueFd image;  // none: it has all files itself
        std::string described;
        bool is_shared;
    };
    bool is_there(const std::string& key, const std::string& name) const;
    void find(LayerInput& layer, const std::string& key, const std::string& name, const LayerTables& tables);
    void make(LayerInput& layer, const std::string& key, const std::string& name);

    const SegmentPlaces places_;
    ImageCache cache_;
    std::vector<Made> made_;
    std::vector<Taken> taken_;
    bool writable_ = true;
    bool in_image_ = false;  // segments refer to the image that they were made with
};

// The format's tables of layers.
LayerTables layers_of(PluginHost& plugins, const FormatEntry& format);

}  // namespace sg
