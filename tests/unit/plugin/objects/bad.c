/* Objects that must be refused; which one is chosen by a macro. */
#include <singularity/plugin.h>
#include <stdlib.h>
#include <string.h>

static int32_t start(const sg_host *host, sg_error *err) {
    (void)host;
#if defined(CRASH_START)
    static volatile int *volatile nowhere;
    (void)err;
    *nowhere = 1;
#elif defined(FAIL_START)
    strcpy(err->message, "the licence has run out");
    err->code = SG_EPERMISSION;
    return SG_EPERMISSION;
#else
    (void)err;
#endif
    return SG_OK;
}

static const void *table(const char *capability, const char *name, uint32_t version) {
    (void)capability, (void)name;
#if defined(NEWER_TABLE)
    static const int some = 0;
    return version == 2 ? &some : NULL;
#else
    (void)version;
    return NULL;
#endif
}

#if defined(WRONG_MAGIC)
#define MAGIC 0x12345678u
#else
#define MAGIC SG_PLUGIN_MAGIC
#endif
#if defined(NEWER_ABI)
#define ABI 99u
#else
#define ABI SG_ABI_VERSION
#endif
#if defined(OTHER_NAME)
#define NAME "somebody"
#else
#define NAME "bad"
#endif

static const sg_plugin plugin = {MAGIC, ABI, NAME, "1.0.0", start, table};
#if defined(NO_ENTRY)
SG_EXPORT const sg_plugin *another_symbol(void);
SG_EXPORT const sg_plugin *another_symbol(void) { return &plugin; }
#elif defined(CRASH_ENTRY)
SG_EXPORT const sg_plugin *singularity_plugin(void) {
    if (plugin.abi == ABI) abort();
    return &plugin;
}
#else
SG_EXPORT const sg_plugin *singularity_plugin(void) { return &plugin; }
#endif
