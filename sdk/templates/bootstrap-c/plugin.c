/* @NAME@://WHO: a root file system that the plugin fills itself. Other answers: sg_source_kind in singularity/bootstrap.h. */
#include <singularity/bootstrap.h>
#include <singularity/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The image comes first: the host's pointer is ours. */
typedef struct greeting { sg_image base; char who[256]; } greeting;

static const sg_host_call_v1 *calls; /* cancel and progress; host.h has all that the host does for a plugin */

static int32_t fail(sg_error *err, int32_t code, const char *message, const char *hint) {
    if (!err) return code;
    *err = (sg_error){.code = code};
    snprintf(err->message, sizeof err->message, "%s", message); /* one line, without control characters */
    snprintf(err->hint, sizeof err->hint, "%s", hint);
    return code;
}

static int32_t check(const sg_source_spec *spec, sg_error *err) {
    if (!*spec->reference) return fail(err, SG_EINVALID, "there is nobody to greet", "name somebody: @NAME@://world");
    if (strlen(spec->reference) >= sizeof((greeting *)0)->who) return fail(err, SG_EINVALID, "the name is too long", "");
    return SG_OK;
}

static int32_t fill(sg_image *self, const char *rootfs, const sg_call *call, sg_error *err) {
    if (calls && call && calls->cancelled(call)) return fail(err, SG_ECANCELLED, "interrupted", ""); /* in each long loop */
    char path[4096];
    if (snprintf(path, sizeof path, "%s/greeting", rootfs) >= (int)sizeof path) return fail(err, SG_ELIMIT, "the path is too long", "");
    FILE *file = fopen(path, "we");
    const int written = file ? fprintf(file, "hello %s\n", ((greeting *)self)->who) : -1;
    if (!file || fclose(file) != 0 || written < 0) return fail(err, SG_EIO, "cannot write /greeting", "");
    return SG_OK;
}

static void close_image(sg_image *self) { free(self); }

/* What can be said without work. The empty key: the host does not cache it. */
static int32_t resolve(const sg_source_spec *spec, const sg_call *call, sg_identity *out, sg_error *err) {
    (void)call;
    *out = (sg_identity){.name = "@NAME@.sif"};
    return check(spec, err);
}

static int32_t open_image(const sg_source_spec *spec, const sg_call *call, sg_image **out, sg_error *err) {
    (void)call;
    const int32_t wrong = check(spec, err);
    if (wrong) return wrong;
    greeting *g = calloc(1, sizeof *g);
    if (!g) return fail(err, SG_ELIMIT, "out of memory", "");
    g->base = (sg_image){.kind = SG_RECIPE, .recipe = fill, .close = close_image};
    strcpy(g->who, spec->reference);
    *out = &g->base;
    return SG_OK;
}

static int32_t start(const sg_host *host, sg_error *err) {
    (void)err;
    calls = host->table(host, "call", 1); /* NULL when the host has no such table */
    return SG_OK;
}

static const void *table(const char *capability, const char *name, uint32_t version) {
    static const sg_bootstrap_v1 bootstrap = {resolve, open_image};
    (void)capability;
    return strcmp(name, "bootstrap") == 0 && version == 1 ? &bootstrap : NULL;
}

const sg_plugin *singularity_plugin(void) {
    static const sg_plugin plugin = {SG_PLUGIN_MAGIC, SG_ABI_VERSION, "@NAME@", "1.0.0", start, table};
    return &plugin;
}
