#include "build/cached_image.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/announce_file.hpp"
#include "build/convert.hpp"
#include "fetch/download.hpp"
#include "fetch/waiting.hpp"
#include "lookup/image_lookup.hpp"
#include "lookup/source_request.hpp"
#include "lookup/source_uri.hpp"
#include "store/lease.hpp"
#include "store/new_file.hpp"
#include "store/output.hpp"
#include "store/private_directory.hpp"
#include "store/records.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {

constexpr const char* converted_note = "converted\n";

class CachedImage {
public:
    CachedImage(PluginHost& plugins, const SourceRequest& request, const std::string& shown, const sg_call* call)
        : plugins_(plugins),
          request_(request),
          call_(call),
          settings_(plugins.settings()),
          lookup_(plugins, request, shown) {}

    RunnableImage run() {
        std::unique_ptr<Lease> asking;
        if (lookup_.is_first()) {
            asking = ask_or_follow();
            // Also with the lease in hand: a network file system may have shown the one before us for too long.
            if (const auto id = lookup_.answer_of_another())
                if (auto found = lookup_.find(*id)) return in_cache(*found);
        }
        std::optional<LeaseProgress> progress;
        if (asking) progress.emplace(*asking, call_->progress);
        const sg_call told{call_->cancel, asking ? &*progress : call_->progress};
        const sg_call* const call = std::exchange(call_, &told);
        const SourceIdentity id = lookup_.identify(call_);
        RunnableImage image;
        if (auto found = lookup_.find(id))
            image = in_cache(*found);
        else
            image = make(id);
        call_ = call;
        return image;
    }

    // What `lookup_` has not found.
    RunnableImage make(const SourceIdentity& id) {
        if (!ImageLookup::has_place(id) || !lookup_.cache().enabled()) return make_temporary(id);
        std::optional<std::string> found;
        std::unique_ptr<Lease> lease;
        try {
            make_cache_root(lookup_.places().own);
            remove_left_over(lookup_.places().own);
            Waiting waiting(call_);
            const auto made = [&] { return (found = lookup_.find(id)).has_value(); };
            lease = Lease::acquire(
                lookup_.places().own,
                Records::name_of("image-", id.cache_area + "\n" + id.key + "\n" + ImageLookup::file_name(id)), made,
                std::ref(waiting), call_);
        } catch (const Error& e) {
            return without_cache(id, e);
        }
        if (found) return in_cache(*found);
        LeaseProgress progress(*lease, call_->progress);
        const sg_call told{call_->cancel, &progress};
        const sg_call* const call = std::exchange(call_, &told);
        RunnableImage image = make_cached(id);
        call_ = call;
        return image;
    }

private:
    enum class Keeping { all, nothing };  // of the layers

    RunnableImage in_cache(const std::string& path) const { return {path, false, lookup_.cache().note_of(path) == converted_note}; }

    // Of all that come while nobody knows what the reference means, one asks and goes on to make the image; the others
    // wait for it and take its answer. Null: there was such a one, or the cache cannot be written to.
    std::unique_ptr<Lease> ask_or_follow() {
        // The lease of the image itself is what a dead owner is told by; this one only saves a question.
        LeasePatience patience;
        patience.other_host = 2 * patience.same_host;
        try {
            Waiting waiting(call_);
            return Lease::take_or_follow(lookup_.places().own, lookup_.lease_name(), std::ref(waiting), call_,
                                         patience);
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            log::verbose("a server is asked by each process: " + e.message());
            return nullptr;
        }
    }

    RunnableImage make_cached(const SourceIdentity& id) {
        try {
            return make_in_cache(id);
        } catch (const Error& e) {
            // It may be another directory that is full.
            if (e.code() != Code::no_space || e.message().find(lookup_.places().own) == std::string::npos) throw;
            return without_cache(id, e);
        }
    }

    RunnableImage make_in_cache(const SourceIdentity& id) {
        OpenedSource source(plugins_.bootstrap(request_.scheme), request_, call_);
        std::string key = id.key;
        if (source.kind() == SG_LAYERS)
            if (const std::string& manifest = source.manifest(); !manifest.empty())
                key = "sha256:" + sha256_hex(manifest);
        std::string place;
        try {
            if (key != id.key) lookup_.known().remember_key(id.key, key);
            key = lookup_.with_options(key);
            if (auto found = lookup_.cache().find(id.cache_area, key, ImageLookup::file_name(id)))
                return in_cache(*found);
            place = lookup_.cache().place(id.cache_area, key, ImageLookup::file_name(id));
        } catch (const Error& e) {
            return without_cache(id, e);
        }
        make(source, id, place, Keeping::all);
        const bool converted = source.kind() == SG_LAYERS;
        lookup_.cache().stored(place, converted ? converted_note : "");
        log::info("Image cached as " + shown_name(plugins_.default_format()) + " at " + place);
        return {place, false, converted};
    }

    // One goes on without a cache that cannot be written to, as Singularity does, or has no room left.
    RunnableImage without_cache(const SourceIdentity& id, const Error& why) {
        if (why.code() == Code::no_space) return without_room(id, why);
        if (why.code() != Code::permission && why.code() != Code::invalid) throw why;
        log::warning("nothing is cached: " + why.message());
        return make_temporary(id);
    }

    RunnableImage without_room(const SourceIdentity& id, const Error& why) {
        const std::string& root = lookup_.places().own;
        const std::string temporary = convert_options(settings_).temporary;
        const std::string full = "the file system of the cache " + root + " is full";
        struct stat cache {}, other {};
        // Where both are one, a second try ends as the first one did.
        if (stat(root.c_str(), &cache) != 0 || stat(temporary.c_str(), &other) != 0 || cache.st_dev == other.st_dev)
            throw Error(why.code(), full, cache_is_full_hint, why.message());
        log::warning(full + ": the image is made in " + temporary + " for this run alone. " + cache_is_full_hint);
        return make_temporary(id, Keeping::nothing);
    }

    RunnableImage make_temporary(const SourceIdentity& id, Keeping keeping = Keeping::all) {
        std::string directory = convert_options(settings_).temporary + "/singularity-image-XXXXXX";
        if (!mkdtemp(directory.data())) throw_errno("cannot write to", directory);
        const std::string path = directory + "/" + ImageLookup::file_name(id);
        bool converted = false;
        try {
            OpenedSource source(plugins_.bootstrap(request_.scheme), request_, call_);
            converted = source.kind() == SG_LAYERS;
            make(source, id, path, keeping);
        } catch (...) {
            rmdir(directory.c_str());
            throw;
        }
        return {path, true, converted};
    }

    void make(OpenedSource& source, const SourceIdentity& id, const std::string& place, Keeping keeping) {
        const FormatEntry format = plugins_.default_format();
        if (source.kind() == SG_BLOB) return download_image(source, id, place);
        log::info("Converting OCI blobs to " + shown_name(format) + " format");
        ConvertOptions how = convert_options(settings_);
        if (keeping == Keeping::nothing) {
            how.keep_blobs = false;
            how.segments.used = false;
        }
        convert(plugins_, source, request_, place, format, how, call_);
        log::info("Build complete: " + place);
    }

    // Kept as it comes: whatever can be run needs no conversion.
    void download_image(OpenedSource& source, const SourceIdentity& id, const std::string& place) {
        log::info("Downloading " + lookup_.shown());
        OutputFile file(place);
        download(source, file.fd(), place.substr(0, place.rfind('/')));
        const std::string written = "/proc/self/fd/" + std::to_string(file.fd());
        announce_file(plugins_, request_, id.key, place, written, call_);
        bool runnable = false;
        std::string why;
        try {
            OpenedImage image = plugins_.open_image(written);
            runnable = image.info().runnable != 0;
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            why = e.message();
        }
        if (!runnable)
            throw Error(Code::invalid, lookup_.shown() + " is no image that can be run",
                        "'singularity pull' keeps any file as it is.", why);
        file.commit();
    }

    PluginHost& plugins_;
    const SourceRequest& request_;
    const sg_call* call_;
    const Settings& settings_;
    ImageLookup lookup_;
};

}  // namespace

std::optional<std::string> find_cached(PluginHost& plugins, const SourceRequest& request, const sg_call* call) {
    ImageLookup lookup(plugins, request, request.reference);
    return lookup.find(lookup.identify(call));
}

RunnableImage cached_image(PluginHost& plugins, const std::string& uri, Pairs options, const sg_call* call,
                           const SourceIdentity* known) {
    const std::string arch = take_option(options, "arch");
    const SourceRequest request = source_request(plugins, uri, arch, std::move(options));
    CachedImage image(plugins, request, without_secret(uri), call);
    return known ? image.make(*known) : image.run();
}

RunnableImage cached_image(PluginHost& plugins, const SourceRequest& request, const std::string& shown,
                           const sg_call* call) {
    return CachedImage(plugins, request, shown, call).run();
}

}  // namespace sg
