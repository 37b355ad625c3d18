// A URI as an image file that can be run: converted once, then taken from the cache.
#pragma once
#include <optional>
#include <string>

#include "fetch/opened_source.hpp"
#include "plugin/host.hpp"

namespace sg {

// The absolute path of an image in the default format. Without a cache, or when the source gives no key, the
// image is made in `temporary` and stays the caller's to remove.
struct RunnableImage {
    std::string path;
    bool temporary = false;
    bool converted = false;  // of layers, which nobody signs; else it is a file that somebody made
};
// `known`: what an ImageLookup found out in this process, when the cache has it not; its source is not asked again.
RunnableImage cached_image(PluginHost& plugins, const std::string& uri, Pairs options, const sg_call* call,
                           const SourceIdentity* known = nullptr);
// `shown` is how messages call it.
RunnableImage cached_image(PluginHost& plugins, const SourceRequest& request, const std::string& shown,
                           const sg_call* call);

// The path of the image that the cache has for it; nothing when it would have to be made.
std::optional<std::string> find_cached(PluginHost& plugins, const SourceRequest& request, const sg_call* call);

}  // namespace sg
