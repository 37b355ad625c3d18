// The entry of lookup.so: see module.h.
#include <cstring>

#include "base/error.hpp"
#include "cli/module_context.hpp"
#include "lookup/image_lookup.hpp"
#include "lookup/source_request.hpp"
#include "lookup/source_uri.hpp"

namespace sg {
namespace {

// Whoever starts what is in the cache already wants to start; "pull" waits for a server as long as it takes.
constexpr std::chrono::seconds patience{5};

template <size_t N>
void put(char (&to)[N], const std::string& text) {
    if (text.size() >= N)
        throw Error(Code::internal, "a source gave a text of " + std::to_string(text.size()) + " bytes for its image");
    std::memcpy(to, text.c_str(), text.size() + 1);
}

}  // namespace
}  // namespace sg

extern "C" int32_t sg_module_look(const sg_module_context* c, const char* uri, const sg_pair* options,
                                  sg_identity* known, int32_t* asked, char* path_out, uint64_t capacity,
                                  sg_error* err) {
    using namespace sg;
    return singularity::guard(err, [&] {
        Context context = context_of(*c);
        with_plugins(context, [&](PluginHost& plugins, const sg_call* call) {
            Pairs pairs = pairs_of(options);
            const std::string arch = take_option(pairs, "arch");
            const SourceRequest request = source_request(plugins, uri, arch, std::move(pairs));
            ImageLookup lookup(plugins, request, without_secret(uri));
            *known = {};
            path_out[0] = 0;
            *asked = 0;
            if (lookup.is_first()) return 0;
            const SourceIdentity id = lookup.identify(call, patience);
            const std::string path = lookup.find(id).value_or("");
            if (path.size() >= capacity) throw Error(Code::limit, "the path of the image is too long: " + path);
            std::memcpy(path_out, path.c_str(), path.size() + 1);
            *asked = 1;
            put(known->key, id.key);
            put(known->name, id.name);
            put(known->cache_area, id.cache_area);
            return 0;
        });
    });
}
