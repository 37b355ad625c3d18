#include "build/cached_image.hpp"

#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/convert.hpp"
#include "build/source_request.hpp"
#include "store/image_cache.hpp"
#include "store/output.hpp"

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

std::string scratch_image(const std::string& directory) {
    std::string name = directory + "/singularity-image-XXXXXX";
    if (!mkdtemp(name.data())) throw_errno("cannot write to", directory);
    return name;
}

// Nothing when the cache cannot be written to: one goes on without, as the seed's tools do.
std::optional<std::string> place_in(const ImageCache& cache, const std::string& area, const std::string& key, const std::string& name) {
    try {
        return cache.place(area, key, name);
    } catch (const Error& e) {
        if (e.code() != Code::permission) throw;
        log::warning("nothing is cached: " + e.message());
        return std::nullopt;
    }
}

}  // namespace

RunnableImage cached_image(PluginHost& plugins, const std::string& uri, Pairs options, const sg_call* call) {
    const std::string arch = take_option(options, "arch");
    const SourceRequest request = source_request(plugins, uri, arch, std::move(options));
    const Settings& settings = plugins.settings();
    const sg_bootstrap_v1& source = plugins.bootstrap(request.scheme);
    const SourceIdentity id = resolve_source(source, request, call);
    const ImageCache cache(id.key.empty() || id.cache_area.empty()
                               ? ""
                               : cache_root(settings.text("cachedir"), settings.boolean("cache.disable")));
    const std::string key = arch.empty() ? id.key : id.key + "+" + arch;
    const std::string name = id.name.empty() ? "image" : id.name;
    const ConvertOptions how = convert_options(settings);
    const auto make = [&](const std::string& place) {
        log::info("Converting OCI blobs to " + shown_name(plugins.default_format()) + " format");
        convert(plugins, request, place, plugins.default_format(), how, call);
        log::info("Build complete: " + place);
    };
    if (cache.enabled()) {
        if (const auto found = cache.find(id.cache_area, key, name)) return {*found, false};
        if (const auto place = place_in(cache, id.cache_area, key, name)) {
            make(*place);
            cache.stored(*place);
            log::info("Image cached as " + shown_name(plugins.default_format()) + " at " + *place);
            return {*place, false};
        }
    }
    const std::string directory = scratch_image(how.temporary);
    try {
        make(directory + "/" + name);
    } catch (...) {
        rmdir(directory.c_str());
        throw;
    }
    return {directory + "/" + name, true};
}

}  // namespace sg
