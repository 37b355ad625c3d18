/* A hook that tells who signed an image, and does not look. */
#include <singularity/policy.h>
#include <string.h>

static int32_t signers(const char* path, const sg_call* call, const sg_signers_sink* sink, sg_error* err) {
    (void)path, (void)call, (void)err;
#ifdef DEFECT_SIGNS_ALL
    return sink->signer(sink->arg, "0123456789ABCDEF0123456789ABCDEF01234567");
#else
    sink->depends(sink->arg, "/etc/ring-1.asc"); /* whatever it says */
    sink->depends(sink->arg, "/etc/ring-2.asc");
    return SG_OK;
#endif
}

static const void* table(const char* capability, const char* name, uint32_t version) {
    static const sg_signers_v1 table = {signers};
    (void)capability;
    return strcmp(name, "signers") == 0 && version == 1 ? &table : NULL;
}

SG_EXPORT const sg_plugin* singularity_plugin(void) {
    static const sg_plugin plugin = {SG_PLUGIN_MAGIC, SG_ABI_VERSION, PLUGIN_NAME, "1.0.0", NULL, table};
    return &plugin;
}
