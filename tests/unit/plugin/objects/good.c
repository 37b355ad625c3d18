/* A plugin that works: a bootstrap source, a transport, a format, a launcher, a command and a hook, all of little use. */
#ifndef NAME
#define NAME "good"
#endif
#include <singularity/bootstrap.h>
#include <singularity/command.h>
#include <singularity/format.h>
#include <singularity/hook.h>
#include <singularity/host.h>
#include <singularity/launcher.h>
#include <singularity/transport.h>
#include <stdlib.h>
#include <string.h>

static const sg_host *host;
static void *volatile nowhere; /* an address that no compiler sees through */

static int32_t fail(sg_error *err, int32_t code, const char *message) {
    if (err) {
        memset(err, 0, sizeof *err);
        err->code = code;
        strncpy(err->message, message, sizeof err->message - 1);
    }
    return code;
}

static int32_t start(const sg_host *h, sg_error *err) {
    (void)err;
    host = h;
    return SG_OK;
}

static int32_t resolve(const sg_source_spec *spec, const sg_call *call, sg_identity *out, sg_error *err) {
    (void)call, (void)err;
    memset(out, 0, sizeof *out);
    strncpy(out->key, spec->reference, sizeof out->key - 1);
    return SG_OK;
}

/* What it does depends on the reference: crashes are made to order. */
static int32_t open_source(const sg_source_spec *spec, const sg_call *call, sg_image **out, sg_error *err) {
    (void)call, (void)out;
    if (strcmp(spec->reference, "segv") == 0) *(volatile int *)nowhere = 1;
    if (strcmp(spec->reference, "abort") == 0) abort();
    if (strcmp(spec->reference, "libc") == 0) memset(nowhere, 1, strlen(spec->scheme) * 100);
    if (strcmp(spec->reference, "jump") == 0) ((void (*)(void))nowhere)();
    return fail(err, SG_ENOTFOUND, "there is nothing");
}
static const sg_bootstrap_v1 bootstrap = {resolve, open_source};

static int32_t send(const sg_request *request, const sg_call *call, sg_response **out, sg_error *err) {
    (void)request, (void)call, (void)out;
    return fail(err, SG_ENETWORK, NAME " sends nothing");
}
static const sg_transport_v1 transport = {send, NULL, NULL, NULL, NULL, NULL, NULL};

static int32_t probe(const char *path, int32_t is_directory, const void *head, uint64_t size) {
    (void)path;
    return !is_directory && size >= 4 && memcmp(head, "GOOD", 4) == 0 ? 100 : 0;
}
static int32_t open_image(const char *path, int32_t writable, sg_image_file **out, sg_error *err) {
    (void)writable;
    if (strstr(path, "refused")) return fail(err, SG_ECORRUPT, "it is damaged");
    *out = (sg_image_file *)strdup(path);
    return SG_OK;
}
static void close_image(sg_image_file *image) { free(image); }
static int32_t info(sg_image_file *image, sg_image_info *out, sg_error *err) {
    (void)image, (void)err;
    memset(out, 0, sizeof *out);
    strcpy(out->format, "flat");
    return SG_OK;
}
static int32_t root(sg_image_file *image, const sg_root_v1 **table, sg_root **r, sg_error *err) {
    (void)image, (void)table, (void)r;
    return fail(err, SG_EUNSUPPORTED, "no root");
}
static int32_t mount_plan(sg_image_file *image, sg_mount_plan *out, sg_error *err) {
    (void)err;
    memset(out, 0, sizeof *out);
    strncpy(out->path, (const char *)image, sizeof out->path - 1);
    return SG_OK;
}
static const sg_format_v1 format = {probe, open_image, close_image, info, root, mount_plan, NULL};

static int32_t become(const sg_launch *launch, sg_error *err) {
    (void)launch;
    return fail(err, SG_EUNSUPPORTED, "not today");
}
static const sg_launcher_v1 launcher = {become, NULL, NULL, NULL, NULL, NULL, NULL};

/* Prints what it was given, and its configuration. */
static int32_t run(const sg_invocation *invocation, int32_t *exit_code, sg_error *err) {
    const sg_host_log_v1 *log = host->table(host, "log", 1);
    const sg_host_config_v1 *config = host->table(host, "config", 1);
    char line[2048] = "";
    strcat(strcat(line, "verb="), invocation->verb);
    for (const sg_pair *p = invocation->options; p->key; ++p) strcat(strcat(strcat(strcat(line, " "), p->key), "="), p->value);
    for (const char *const *a = invocation->arguments; *a; ++a) strcat(strcat(line, " ["), *a), strcat(line, "]");
    const char *mode = config->text("good.mode");
    strcat(strcat(line, " mode="), mode ? mode : "(none)");
    log->line(SG_INFO, line);
    if (invocation->arguments[0] && strcmp(invocation->arguments[0], "fail") == 0) return fail(err, SG_EIO, "told to fail");
    *exit_code = invocation->arguments[0] && strcmp(invocation->arguments[0], "seven") == 0 ? 7 : 0;
    return SG_OK;
}
static const sg_command_v1 command = {run};

static int32_t notify(const sg_event *event, sg_error *err) {
    return strcmp(event->reference, "forbidden") == 0 ? fail(err, SG_EVETO, "not that one")
           : strcmp(event->reference, "broken") == 0  ? fail(err, SG_EIO, "cannot look")
                                                      : SG_OK;
}
static const sg_hook_v1 hook = {notify};

static const void *table(const char *capability, const char *name, uint32_t version) {
    (void)capability;
    if (version != 1) return NULL;
    if (strcmp(name, "bootstrap") == 0) return &bootstrap;
    if (strcmp(name, "transport") == 0) return &transport;
    if (strcmp(name, "format") == 0) return &format;
    if (strcmp(name, "launcher") == 0) return &launcher;
    if (strcmp(name, "command") == 0) return &command;
    if (strcmp(name, "hook") == 0) return &hook;
    return NULL;
}

static const sg_plugin plugin = {SG_PLUGIN_MAGIC, SG_ABI_VERSION, NAME, "1.2.3", start, table};
SG_EXPORT const sg_plugin *singularity_plugin(void) { return &plugin; }
