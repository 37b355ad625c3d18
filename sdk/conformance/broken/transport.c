/* A transport that forgets to close what it was given to send. */
#include <singularity/transport.h>
#include <string.h>

static int32_t send(const sg_request* request, const sg_call* call, sg_response** out, sg_error* err) {
    (void)request, (void)call, (void)out;
    if (err) {
        memset(err, 0, sizeof *err);
        err->code = SG_ENOTFOUND;
        strcpy(err->message, "there is nothing here");
    }
    return SG_ENOTFOUND;
}
static uint32_t status(const sg_response* r) { return (void)r, 200; }
static const char* header(const sg_response* r, const char* name, uint64_t i) {
    return (void)r, (void)name, (void)i, NULL;
}
static const char* url(const sg_response* r) { return (void)r, ""; }
static uint64_t size(const sg_response* r) { return (void)r, 0; }
static int32_t body(sg_response* r, sg_stream** out, sg_error* err) {
    return (void)r, (void)out, (void)err, SG_EINTERNAL;
}
static void close_response(sg_response* r) { (void)r; }

static const void* table(const char* capability, const char* name, uint32_t version) {
    static const sg_transport_v1 transport = {send, status, header, url, size, body, close_response};
    (void)capability;
    return strcmp(name, "transport") == 0 && version == 1 ? &transport : NULL;
}

SG_EXPORT const sg_plugin* singularity_plugin(void) {
    static const sg_plugin plugin = {SG_PLUGIN_MAGIC, SG_ABI_VERSION, PLUGIN_NAME, "1.0.0", NULL, table};
    return &plugin;
}
