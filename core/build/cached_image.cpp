#include "build/cached_image.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/cache_places.hpp"
#include "build/convert.hpp"
#include "build/source_request.hpp"
#include "fetch/download.hpp"
#include "fetch/source_uri.hpp"
#include "fetch/waiting.hpp"
#include "store/image_cache.hpp"
#include "store/known_images.hpp"
#include "store/lease.hpp"
#include "store/new_file.hpp"
#include "store/output.hpp"
#include "store/private_directory.hpp"
#include "store/records.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {

// `options` without --arch, which is core's.
std::string take_option(Pairs& options, std::string_view name) {
    std::string value;
    for (auto it = options.begin(); it != options.end();) {
        if (it->first == name) {
            value = it->second;
            it = options.erase(it);
        } else {
            ++it;
        }
    }
    return value;
}

class CachedImage {
public:
    CachedImage(PluginHost& plugins, const SourceRequest& request, const std::string& shown, const sg_call* call)
        : plugins_(plugins),
          request_(request),
          shown_(shown_uri(shown)),
          call_(call),
          settings_(plugins.settings()),
          places_(cache_places(settings_)),
          cache_(places_.own, places_.shared),
          known_(places_.own),
          remote_(plugins.index().find(CapabilityKind::bootstrap, request.scheme)->remote) {}

    RunnableImage run() {
        const SourceIdentity id = identify();
        if (id.key.empty() || id.cache_area.empty()) return make_temporary(id);
        if (auto found = find(id)) return {*found, false};
        if (!cache_.enabled()) return make_temporary(id);
        std::optional<std::string> found;
        std::unique_ptr<Lease> lease;
        try {
            make_cache_root(places_.own);
            remove_left_over(places_.own);
            Waiting waiting(call_);
            const auto made = [&] { return (found = find(id)).has_value(); };
            lease = Lease::acquire(places_.own, Records::name_of("image-", id.cache_area + "\n" + id.key + "\n" + file_name(id)), made, std::ref(waiting), call_);
        } catch (const Error& e) {
            return without_cache(id, e);
        }
        if (found) return {*found, false};
        LeaseProgress progress(*lease, call_->progress);
        const sg_call told{call_->cancel, &progress};
        const sg_call* const call = std::exchange(call_, &told);
        RunnableImage image = make_cached(id);
        call_ = call;
        return image;
    }

    // What is there already.
    std::optional<std::string> look() {
        const SourceIdentity id = identify();
        return id.key.empty() || id.cache_area.empty() ? std::nullopt : find(id);
    }

private:
    // ---- What is asked for ------------------------------------------------------------------------

    std::string reference_text() const {
        return request_.scheme + "\n" + request_.reference + "\n" + request_.arch + "\n" + request_.variant;
    }

    SourceIdentity identify() {
        const sg_bootstrap_v1& source = plugins_.bootstrap(request_.scheme);
        if (remote_ && settings_.boolean("fetch.offline")) {
            if (auto id = last_known()) return *id;
            throw Error(Code::not_found, "no image of " + shown_ + " is in the cache, and no server may be asked (offline)",
                        "Run it once without --offline.");
        }
        try {
            SourceIdentity id = resolve_source(source, request_, call_);
            if (remote_ && cache_.enabled() && !id.key.empty() && !id.cache_area.empty()) known_.remember(reference_text(), {id.key, id.name, id.cache_area});
            return id;
        } catch (const Error& e) {
            if (!remote_ || (e.code() != Code::network && e.code() != Code::timeout)) throw;
            auto id = last_known();
            if (!id) throw;
            log::warning("the image from the cache is used, which may not be the newest: " + e.message());
            return *id;
        }
    }

    // The newest image of this reference that the cache has.
    std::optional<SourceIdentity> last_known() {
        const auto id = known_.last(reference_text());
        if (!id) return std::nullopt;
        SourceIdentity out{id->key, id->name, id->area};
        if (!find(out)) return std::nullopt;
        return out;
    }

    std::optional<std::string> find(const SourceIdentity& id) { return cache_.find(id.cache_area, with_options(known_.image_key(id.key)), file_name(id)); }

    // Under an image's digest lies what the options that everybody has make of it; with others it is another file.
    std::string with_options(const std::string& key) const {
        std::string more;
        if (const std::string compress = settings_.text("build.compress"); !compress.empty()) more += "+compress=" + compress;
        if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch && *epoch) more += std::string("+epoch=") + epoch;
        return key + more;
    }

    static std::string file_name(const SourceIdentity& id) { return id.name.empty() ? "image" : id.name; }

    // ---- Making it ----------------------------------------------------------------------------------

    RunnableImage make_cached(const SourceIdentity& id) {
        OpenedSource source(plugins_.bootstrap(request_.scheme), request_, call_);
        std::string key = id.key;
        if (source.kind() == SG_LAYERS)
            if (const std::string& manifest = source.manifest(); !manifest.empty()) key = "sha256:" + sha256_hex(manifest);
        std::string place;
        try {
            if (key != id.key) known_.remember_key(id.key, key);
            key = with_options(key);
            if (auto found = cache_.find(id.cache_area, key, file_name(id))) return {*found, false};
            place = cache_.place(id.cache_area, key, file_name(id));
        } catch (const Error& e) {
            return without_cache(id, e);
        }
        make(source, place);
        cache_.stored(place);
        log::info("Image cached as " + shown_name(plugins_.default_format()) + " at " + place);
        return {place, false};
    }

    // One goes on without a cache that cannot be written to, as the seed's tools do.
    RunnableImage without_cache(const SourceIdentity& id, const Error& why) {
        if (why.code() != Code::permission && why.code() != Code::invalid) throw why;
        log::warning("nothing is cached: " + why.message());
        return make_temporary(id);
    }

    RunnableImage make_temporary(const SourceIdentity& id) {
        std::string directory = convert_options(settings_).temporary + "/singularity-image-XXXXXX";
        if (!mkdtemp(directory.data())) throw_errno("cannot write to", directory);
        const std::string path = directory + "/" + file_name(id);
        try {
            OpenedSource source(plugins_.bootstrap(request_.scheme), request_, call_);
            make(source, path);
        } catch (...) {
            rmdir(directory.c_str());
            throw;
        }
        return {path, true};
    }

    void make(OpenedSource& source, const std::string& place) {
        const FormatEntry format = plugins_.default_format();
        if (source.kind() == SG_BLOB) return download_image(source, place);
        log::info("Converting OCI blobs to " + shown_name(format) + " format");
        ConvertOptions how = convert_options(settings_);
        convert(plugins_, source, request_, place, format, how, call_);
        log::info("Build complete: " + place);
    }

    // Kept as it comes: whatever can be run needs no conversion.
    void download_image(OpenedSource& source, const std::string& place) {
        log::info("Downloading " + shown_);
        OutputFile file(place);
        download(source, file.fd(), place.substr(0, place.rfind('/')));
        bool runnable = false;
        std::string why;
        try {
            OpenedImage image = plugins_.open_image("/proc/self/fd/" + std::to_string(file.fd()));
            runnable = image.info().runnable != 0;
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            why = e.message();
        }
        if (!runnable)
            throw Error(Code::invalid, shown_ + " is no image that can be run", "'singularity pull' keeps any file as it is.", why);
        file.commit();
    }

    PluginHost& plugins_;
    const SourceRequest& request_;
    const std::string shown_;
    const sg_call* call_;
    const Settings& settings_;
    const CachePlaces places_;
    const ImageCache cache_;
    const KnownImages known_;
    const bool remote_;
};

}  // namespace

std::optional<std::string> find_cached(PluginHost& plugins, const SourceRequest& request, const sg_call* call) {
    return CachedImage(plugins, request, request.reference, call).look();
}

RunnableImage cached_image(PluginHost& plugins, const std::string& uri, Pairs options, const sg_call* call) {
    const std::string arch = take_option(options, "arch");
    return cached_image(plugins, source_request(plugins, uri, arch, std::move(options)), without_secret(uri), call);
}

RunnableImage cached_image(PluginHost& plugins, const SourceRequest& request, const std::string& shown, const sg_call* call) {
    return CachedImage(plugins, request, shown, call).run();
}

}  // namespace sg
