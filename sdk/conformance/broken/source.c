/* A bootstrap source with one layer, right but for one defect, which the build chooses. `none` has none. */
#include <fcntl.h>
#include <pthread.h>
#include <singularity/bootstrap.h>
#include <singularity/host.h>
#include <singularity/policy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const sg_host_call_v1* calls;

static int32_t fail(sg_error* err, int32_t code, const char* message) {
#ifdef DEFECT_NULL_ERROR
    memset(err, 0, sizeof *err);
#endif
#ifdef DEFECT_SILENT_ERROR
    (void)message;
    return code;
#endif
    if (!err) return code;
    memset(err, 0, sizeof *err);
    err->code = code;
#ifdef DEFECT_WRONG_CODE
    err->code = code + 1;
#endif
#ifdef DEFECT_TWO_LINES
    snprintf(err->message, sizeof err->message, "%s\nand more of it", message);
#elif defined(DEFECT_SHORT_TEXT)
    memset(err->message, 'x', sizeof err->message); /* no end */
#else
    snprintf(err->message, sizeof err->message, "%s", message);
#endif
    return code;
}

/* ---- The layer: a tar archive of nothing, 10240 zeros ---------------------------------------- */

static const char digest[] = "sha256:84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652";
static const char config_text[] =
    "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:"
    "84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652\"]}}";

struct stream {
    sg_stream base;
    uint64_t left;
    const sg_call* call;
};

static uint8_t zeros[10240];
#ifdef DEFECT_THREADS_SHARE
static uint64_t shared_left; /* of whoever reads: as if there were one reader at a time */
#endif

static int32_t next(sg_stream* self, sg_slice* out, sg_error* err) {
    struct stream* s = (struct stream*)self;
    if (s->call && calls->cancelled(s->call)) {
#ifdef DEFECT_NEVER_CANCELS
        usleep(300000);
#endif
        return fail(err, SG_ECANCELLED, "interrupted");
    }
    memset(out, 0, sizeof *out);
#ifdef DEFECT_THREADS_SHARE
    uint64_t n = shared_left < 512 ? shared_left : 512;
    usleep(100);
    shared_left -= n < shared_left ? n : shared_left;
#else
    uint64_t n = s->left < 512 ? s->left : 512;
    s->left -= n;
#endif
    out->data = n ? zeros : NULL;
    out->size = n;
    return SG_OK;
}

static void close_stream(sg_stream* self) { free(self); }

static int32_t manifest(sg_image* self, sg_slice* bytes, const char** type, sg_error* err) {
    (void)self, (void)err;
    memset(bytes, 0, sizeof *bytes);
    *type = "";
    return SG_OK;
}

static int32_t config(sg_image* self, sg_slice* bytes, const char** digest_of, sg_error* err) {
    (void)self, (void)err;
    memset(bytes, 0, sizeof *bytes);
    bytes->data = (const uint8_t*)config_text;
    bytes->size = sizeof config_text - 1;
    *digest_of = "";
    return SG_OK;
}

static uint64_t count(sg_image* self) {
    (void)self;
    return 1;
}

static int32_t describe(sg_image* self, uint64_t index, sg_blob* out, sg_error* err) {
    (void)self;
    if (index > 0) return fail(err, SG_ENOTFOUND, "there is one layer");
    memset(out, 0, sizeof *out);
    out->media_type = "application/vnd.oci.image.layer.v1.tar";
#ifdef DEFECT_WRONG_DIGEST
    out->digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
#else
    out->digest = digest;
#endif
    out->diff_id = digest;
    out->size = sizeof zeros;
    return SG_OK;
}

static int32_t layer(sg_image* self, uint64_t index, const sg_call* call, sg_stream** out, sg_error* err) {
    (void)self;
    if (index > 0) return fail(err, SG_ENOTFOUND, "there is one layer");
    struct stream* s = calloc(1, sizeof *s);
    s->base.next = next;
    s->base.close = close_stream;
    s->left = sizeof zeros;
    s->call = call;
#ifdef DEFECT_THREADS_SHARE
    shared_left = sizeof zeros;
#endif
#ifdef DEFECT_OPEN_TASK
    if (call) calls->begin(call, "Copying", sizeof zeros);
#endif
    *out = &s->base;
    return SG_OK;
}

static const sg_layers layers = {0, manifest, config, count, describe, layer, NULL, NULL};

/* ---- The source ------------------------------------------------------------------------------ */

static void close_image(sg_image* image) { free(image); }

static int32_t check(const sg_source_spec* spec, const sg_call* call, sg_error* err) {
#ifdef DEFECT_OVERRUNS
    char copy[64];
    volatile char* to = copy; /* one by one, so that no checked function of libc looks */
    for (size_t i = 0; spec->reference[i]; ++i) to[i] = spec->reference[i];
#endif
#ifdef DEFECT_SAYS_HELLO
    printf("asked for %s\n", spec->reference);
    fflush(stdout);
#endif
#ifdef DEFECT_LEAKS
    volatile char* lost = malloc(64);
    lost[0] = 1;
#endif
#ifdef DEFECT_LEAKS_FILES
    open("/dev/null", O_RDONLY);
#endif
#ifdef DEFECT_HANGS
    while (spec->reference[0] == '\0') pause();
#endif
#ifdef DEFECT_EXITS
    if (spec->reference[0] == '\0') exit(0);
#endif
#ifdef DEFECT_NEVER_CANCELS
    if (call && calls->cancelled(call)) usleep(300000);
#endif
    if (call && calls->cancelled(call)) return fail(err, SG_ECANCELLED, "interrupted");
    if (strcmp(spec->reference, "thing") != 0) return fail(err, SG_ENOTFOUND, "there is one thing, called 'thing'");
    return SG_OK;
}

static int32_t resolve(const sg_source_spec* spec, const sg_call* call, sg_identity* out, sg_error* err) {
    int32_t rc = check(spec, call, err);
    if (rc != SG_OK) return rc;
    memset(out, 0, sizeof *out);
    strcpy(out->name, "thing.sif");
    return SG_OK;
}

static int32_t open_image(const sg_source_spec* spec, const sg_call* call, sg_image** out, sg_error* err) {
    int32_t rc = check(spec, call, err);
    if (rc != SG_OK) return rc;
    sg_image* image = calloc(1, sizeof *image);
    image->kind = SG_LAYERS;
    image->layers = &layers;
    image->close = close_image;
    *out = image;
    return SG_OK;
}

static const sg_bootstrap_v1 bootstrap = {resolve, open_image};

#ifdef DEFECT_STARTS_THREADS
static void* wait_for_ever(void* arg) {
    for (;;) pause();
    return arg;
}
#endif

static int32_t start(const sg_host* host, sg_error* err) {
    (void)err;
    calls = host->table(host, "call", 1);
#ifdef DEFECT_STARTS_THREADS
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, NULL);
#endif
    return SG_OK;
}

/* HOST/NAME, without whoever stands in front of an '@'. */
static int32_t full_name(const sg_source_spec* spec, char* out, uint64_t capacity, sg_error* err) {
    const char* name = spec->reference;
    size_t length = strcspn(name, "\n");
#ifndef DEFECT_KEEPS_SECRET
    const size_t slash = strcspn(name, "/\n");
    for (size_t i = 0; i < slash; ++i)
        if (spec->reference[i] == '@') name = spec->reference + i + 1;
    length -= (size_t)(name - spec->reference);
#endif
    if (length == 0) return fail(err, SG_EINVALID, "the reference names nothing");
#ifdef DEFECT_CUT_NAME
    if (capacity == 0) return fail(err, SG_EINVALID, "there is no room");
    if (length >= capacity) length = capacity - 1;
#else
    if (length >= capacity) return fail(err, SG_ELIMIT, "the name of the image is too long");
#endif
    memcpy(out, name, length);
    out[length] = '\0';
    return SG_OK;
}

static const void* table(const char* capability, const char* name, uint32_t version) {
    (void)capability;
    static const sg_full_name_v1 names = {full_name};
#if defined(DEFECT_ANY_TABLE) || defined(DEFECT_NO_TABLE)
    (void)names;
#endif
#ifdef DEFECT_ANY_TABLE
    (void)name, (void)version;
    return &bootstrap;
#elif defined(DEFECT_NO_TABLE)
    (void)name, (void)version, (void)bootstrap;
    return NULL;
#else
    if (strcmp(name, "full_name") == 0 && version == 1) return &names;
    return strcmp(name, "bootstrap") == 0 && version == 1 ? &bootstrap : NULL;
#endif
}

#ifdef DEFECT_MORE_SYMBOLS
SG_EXPORT int helper_that_others_may_take(void) { return 0; }
#endif

#ifdef DEFECT_CRASH_AT_END
__attribute__((destructor)) static void end(void) { abort(); }
#endif

SG_EXPORT const sg_plugin* singularity_plugin(void) {
    static const sg_plugin plugin = {SG_PLUGIN_MAGIC, SG_ABI_VERSION,
#ifdef DEFECT_WRONG_NAME
                                     "another",
#else
                                     PLUGIN_NAME,
#endif
                                     "1.0.0",         start,          table};
    return &plugin;
}
