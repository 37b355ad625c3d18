/* A hook that takes for granted that somebody looked for signers. */
#include <singularity/hook.h>
#include <string.h>

static int32_t notify(const sg_event* event, sg_error* err) {
    (void)err;
    return event->signers[0] && strcmp(event->signers[0], "nobody") == 0 ? SG_EVETO : SG_OK;
}

static const void* table(const char* capability, const char* name, uint32_t version) {
    static const sg_hook_v1 hook = {notify};
    (void)capability;
    return strcmp(name, "hook") == 0 && version == 1 ? &hook : NULL;
}

SG_EXPORT const sg_plugin* singularity_plugin(void) {
    static const sg_plugin plugin = {SG_PLUGIN_MAGIC, SG_ABI_VERSION, PLUGIN_NAME, "1.0.0", NULL, table};
    return &plugin;
}
