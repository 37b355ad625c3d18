// From an opened source to a finished image: the one way by which `build`, `pull` and the cache make images.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/call.hpp"
#include "build/segments.hpp"
#include "fetch/opened_source.hpp"
#include "plugin/host.hpp"
#include "rootfs/merge.hpp"

namespace sg {

struct ConvertOptions {
    std::string compress;         // as --compress, "" = the format's default
    unsigned threads = 1;
    MergeLimits limits;
    std::string temporary;        // directory for what must be kept while building
    std::shared_ptr<BlobStore> blobs;  // where blobs that came over a network are kept and found; null: no cache
    bool keep_blobs = true;
    SegmentPlaces segments;       // of layers that were converted before
    unsigned jobs = 4;            // layers fetched at a time
    std::string version;          // of the product, for the labels
    Pairs format_options;
};

// Makes `target` in `format` from what `request` names. Nothing is visible at `target` before it is whole.
// Prints the guide's lines (INFO: Starting build... to INFO: Creating ...), not the last one.
// A cached blob, or a segment, that turns out to be damaged is fetched or made again.
void convert(PluginHost& plugins, const SourceRequest& request, const std::string& target, const FormatEntry& format,
             const ConvertOptions& options, const sg_call* call);
// The same for a source that has been opened already.
void convert(PluginHost& plugins, OpenedSource& source, const SourceRequest& request, const std::string& target,
             const FormatEntry& format, const ConvertOptions& options, const sg_call* call);

// What helps when the cache's file system is full.
inline constexpr const char* cache_is_full_hint =
    "Make room: singularity cache clean (--max-size 10G: what was not used for longest); or name another place by SINGULARITY_CACHEDIR.";

// A format's name as messages write it: upper case for a kind of file.
std::string shown_name(const FormatEntry& format);

// The options that the configuration gives.
ConvertOptions convert_options(const Settings& settings);

}  // namespace sg
