// A URI as an image file that can be run: converted once, then taken from the cache (seed-behaviour, R2, R15).
#pragma once
#include <string>

#include "fetch/opened_source.hpp"
#include "plugin/host.hpp"

namespace sg {

// The absolute path of an image in the default format. Without a cache, or when the source gives no key, the
// image is made in `temporary` and stays the caller's to remove.
struct RunnableImage {
    std::string path;
    bool temporary = false;
};
RunnableImage cached_image(PluginHost& plugins, const std::string& uri, Pairs options, const sg_call* call);

}  // namespace sg
