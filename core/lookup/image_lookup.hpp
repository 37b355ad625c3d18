// Whether the cache has the image that a request means: the half of cached_image.hpp that makes nothing. It stands on
// little, so that a start that finds its image loads neither what unpacks archives nor what converts (docs/adr/0002).
#pragma once
#include <chrono>
#include <optional>
#include <string>

#include "lookup/cache_places.hpp"
#include "lookup/request.hpp"
#include "plugin/host.hpp"
#include "store/image_cache.hpp"
#include "store/known_images.hpp"

namespace sg {

// `options` without `name`, and its value ("" when it is not there).
std::string take_option(Pairs& options, std::string_view name);

class ImageLookup {
public:
    // `shown` is how messages call it. Lives no longer than `plugins` and `request`.
    ImageLookup(PluginHost& plugins, const SourceRequest& request, std::string shown);

    // What the request means: asked of its source (one HEAD request at most), or remembered from the last time where no
    // server can or may be asked. Where the cache has an image, the answer is waited for no longer than `patience`; 0:
    // as long as the source waits. Hooks hear of it ("resolved"). Throws what the source throws, and a veto.
    SourceIdentity identify(const sg_call* call, std::chrono::seconds patience = {});
    // Whether a server would have to be asked and the cache has no image of this reference yet: then many processes may
    // be about to ask the same (core/build/cached_image.cpp lets one of them do it).
    bool is_first();
    // Under this name that one holds its lease.
    std::string lease_name() const;
    // What another process has found out and made since `is_first`. Hooks hear of it ("resolved").
    std::optional<SourceIdentity> answer_of_another();
    // The path of that image in the cache; nothing when it would have to be made, or has no place there.
    std::optional<std::string> find(const SourceIdentity& id);

    static bool has_place(const SourceIdentity& id) { return !id.key.empty() && !id.cache_area.empty(); }
    static std::string file_name(const SourceIdentity& id) { return id.name.empty() ? "image" : id.name; }
    // Under an image's digest lies what the options that everybody has make of it; with others it is another file.
    std::string with_options(const std::string& key) const;

    const CachePlaces& places() const { return places_; }
    const ImageCache& cache() const { return cache_; }
    const KnownImages& known() const { return known_; }
    const std::string& shown() const { return shown_; }

private:
    std::string reference_text() const;
    SourceIdentity asked(const sg_call* call, std::chrono::seconds patience);
    std::optional<SourceIdentity> last_known();

    PluginHost& plugins_;
    const SourceRequest& request_;
    const std::string shown_;
    const Settings& settings_;
    const CachePlaces places_;
    const ImageCache cache_;
    const KnownImages known_;
    const bool remote_;
};

}  // namespace sg
