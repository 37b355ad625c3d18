#include "build/segments.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <singularity/digest.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/segment_image.hpp"
#include "rootfs/layer_stream.hpp"
#include "store/cache_file.hpp"
#include "store/segment_area.hpp"

namespace sg {

namespace {

constexpr uint64_t smallest_layer = 4096;  // stored bytes; below a page its blob is read as fast

void say_damaged(const std::string& layer) {
    log::warning("the cached segment of " + layer + " is damaged, it is made again");
}

}  // namespace

void Segments::prepare(std::vector<LayerInput>& layers, const ImageWriter& writer) {
    made_.clear();
    taken_.clear();
    in_image_ = writer.layer_tables().in_image != nullptr;
    if (!places_.used || !writer.knows_layers() || (places_.own.empty() && places_.shared.empty())) return;
    for (size_t i = 0; i < layers.size(); ++i) {
        LayerInput& layer = layers[i];
        const auto diff_id = singularity::Digest::try_parse(layer.diff_id);
        if (!diff_id || layer.size < smallest_layer) continue;
        const std::string key = "segment 2\n" + diff_id->text() + "\n" +
                                (layer.drop_stargz ? "without eStargz\n" : "\n") + writer.layer_family();
        const std::string name = diff_id->hex().substr(0, 24);
        find(layer, key, name, writer.layer_tables());
        if (!layer.stored && i + 1 < layers.size()) make(layer, key, name);
    }
}

bool Segments::is_there(const std::string& key, const std::string& name) const {
    return cache_.enabled() && cache_.present(segment_area, key, name);
}

void Segments::find(LayerInput& layer, const std::string& key, const std::string& name, const LayerTables& tables) {
    const std::string shown = layer_name(layer);
    try {
        auto path = cache_.find(segment_area, key, name);
        // One that another process gave its name a moment ago gets its stamp now.
        for (int tries = 0; !path && tries < 20 && is_there(key, name); ++tries) {
            usleep(10'000);
            path = cache_.find(segment_area, key, name);
        }
        if (!path) {
            // What has its name and is not used was changed by somebody, or torn.
            if (!is_there(key, name)) return;
            say_damaged(shown);
            remove_tree(cache_.place(segment_area, key, name));
            return;
        }
        uint64_t size = 0;
        UniqueFd fd = open_cache_file(*path, size);
        if (!fd) return;
        try {
            Taken taken{
                *path, shown, UniqueFd(), {}, !places_.shared.empty() && path->starts_with(places_.shared + "/")};
            layer.stored = std::make_shared<StoredLayer>(std::move(fd), tables, [&](const std::string& described) {
                taken.described = described;
                taken.image =
                    SegmentImage::open(described, taken.is_shared ? places_.shared : places_.own, taken.is_shared);
                return UniqueFd(fcntl(taken.image.get(), F_DUPFD_CLOEXEC, 3));
            });
            taken_.push_back(std::move(taken));
            log::verbose(shown + " is taken as it was converted before");
            // The cache is cleaned by the time of the last use, and many file systems do not record reading.
            const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
            (void)utimensat(AT_FDCWD, path->c_str(), now, AT_SYMLINK_NOFOLLOW);
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            log::verbose(*path + ": " + e.message());
            // Without its image it is of no use, and nobody's fault.
            if (e.code() != Code::not_found) say_damaged(shown);
            unlink(path->c_str());  // of a site's cache it stays, and the user's own is found first
        }
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        log::verbose("segments of the cache are not used: " + e.message());
    }
}

void Segments::make(LayerInput& layer, const std::string& key, const std::string& name) {
    if (!cache_.enabled() || !writable_) return;
    try {
        auto file = std::make_unique<OutputFile>(cache_.place(segment_area, key, name), 0600);
        layer.segment = std::make_shared<NewLayer>(file->fd());
        made_.push_back({std::move(file), layer.segment, layer_name(layer), key, name});
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        writable_ = false;
        log::verbose("no segments are kept: " + e.message());
    }
}

void Segments::check_images() const {
    for (const Taken& t : taken_)
        if (t.image && !SegmentImage::is_unchanged(t.image.get(), t.described, t.is_shared))
            throw Error(Code::corrupt, "an image that " + t.name + " was taken from was changed meanwhile",
                        "Try again.");
}

void Segments::keep(const std::string& path) {
    const std::string described =
        made_.empty() || !in_image_ ? std::string() : SegmentImage::describe(path, places_.own);
    for (Made& m : made_) {
        if (!m.layer->whole()) {
            if (!m.layer->why_not().empty())
                log::verbose("no segment of " + m.name + " is kept: " + m.layer->why_not());
            continue;
        }
        try {
            if (cache_.find(segment_area, m.key, m.file_name)) continue;  // another process was faster
            if (in_image_ && described.empty()) continue;
            if (in_image_) m.layer->refer_to(described);
            // Nothing waits for the disk where a checksum covers all that a crash of the machine may leave.
            m.file->commit(!in_image_);
            cache_.stored(m.file->target(), {}, !in_image_);
        } catch (const Error& e) {
            log::verbose("no segment of " + m.name + " is kept: " + e.message());
        }
    }
    made_.clear();
}

bool Segments::discard() {
    if (taken_.empty()) return false;
    for (const Taken& t : taken_) {
        say_damaged(t.name);
        unlink(t.path.c_str());
    }
    taken_.clear();
    return true;
}

bool Segments::stop_making() {
    if (made_.empty()) return false;
    made_.clear();
    writable_ = false;
    log::verbose("there is no room to keep converted layers");
    return true;
}

LayerTables layers_of(PluginHost& plugins, const FormatEntry& format) {
    const auto capability = plugins.index().find(CapabilityKind::format, format.name);
    if (!capability) return {};
    return {static_cast<const sg_layers_v1*>(plugins.find_table(*capability, "layers", 1)),
            static_cast<const sg_image_layers_v1*>(plugins.find_table(*capability, "image_layers", 1))};
}

}  // namespace sg
