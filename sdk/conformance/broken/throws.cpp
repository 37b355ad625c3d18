// An exception crosses the boundary.
#include <singularity/bootstrap.h>

#include <stdexcept>
#include <string_view>

static int32_t resolve(const sg_source_spec*, const sg_call*, sg_identity*, sg_error*) {
    throw std::runtime_error("nobody catches this");
}
static int32_t open_image(const sg_source_spec*, const sg_call*, sg_image**, sg_error*) {
    throw std::runtime_error("nor this");
}

extern "C" SG_EXPORT const sg_plugin* singularity_plugin(void) {
    static const sg_bootstrap_v1 bootstrap = {resolve, open_image};
    static const sg_plugin plugin = {SG_PLUGIN_MAGIC,
                                     SG_ABI_VERSION,
                                     PLUGIN_NAME,
                                     "1.0.0",
                                     nullptr,
                                     [](const char*, const char* name, uint32_t version) -> const void* {
                                         return std::string_view(name) == "bootstrap" && version == 1 ? &bootstrap
                                                                                                      : nullptr;
                                     }};
    return &plugin;
}
