#include "build/announce_file.hpp"

#include "image/file_digest.hpp"
#include "lookup/announce.hpp"
#include "runtime/told_image.hpp"

namespace sg {

void announce_file(PluginHost& plugins, const SourceRequest& request, const std::string& key, const std::string& path,
                   const std::string& file, const sg_call* call) {
    if (!plugins.listens("fetched")) return;
    runtime::ToldImage told{told_reference(request), file, told_digest(key)};
    runtime::find_out_for_hooks(
        plugins, {"fetched"}, told, [&](const std::string& f) { return file_digest(f, call); }, call);
    told.path = path;
    runtime::tell_hooks(plugins, "fetched", told);
}

void announce_built(PluginHost& plugins, const std::string& reference, const std::string& digest,
                    const std::string& path, const sg_call* call) {
    if (!plugins.listens("built")) return;
    runtime::ToldImage told{reference, path, digest};
    runtime::find_out_for_hooks(
        plugins, {"built"}, told, [&](const std::string& f) { return file_digest(f, call); }, call);
    runtime::tell_hooks(plugins, "built", told);
}

}  // namespace sg
