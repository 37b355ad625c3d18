/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transport.h: how bytes travel. Registered for one or more URL schemes
 * (`provides: - transport: {scheme: https}`), table "transport" 1.
 *
 * HTTP over a local socket has URLs of the form "unix://SOCKET/path?query", SOCKET being the socket's path
 * with '/' and all that is not unreserved percent-encoded ("unix://%2Fvar%2Frun%2Fdocker.sock/version").
 */
#ifndef SINGULARITY_TRANSPORT_H
#define SINGULARITY_TRANSPORT_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sg_header {
    const char *name;  /* NULL ends an array */
    const char *value;
    int32_t secret;    /* 1: dropped on a redirect to another scheme, host or port; never logged */
} sg_header;

/* Texts are "" or NULL for the default. Since 1. */
typedef struct sg_tls {
    int32_t verify;          /* 1 unless the user asked for an insecure connection */
    const char *ca_file;     /* PEM file or directory that is trusted besides the system's */
    const char *client_cert; /* PEM files */
    const char *client_key;
} sg_tls;

typedef struct sg_request {
    const char *method; /* "GET", "HEAD", "PUT", ... */
    const char *url;
    const sg_header *headers; /* ended by name == NULL; may be NULL */
    sg_stream *body;          /* or NULL; closed by the transport */
    uint64_t body_size;       /* or SG_SIZE_UNKNOWN */
    uint64_t range_begin;     /* bytes [begin, end) of the object; end SG_SIZE_UNKNOWN = to its end */
    uint64_t range_end;       /* begin 0 and end SG_SIZE_UNKNOWN: the whole */
    uint32_t max_redirects;   /* 0: give the redirect back as an answer */
    sg_tls tls;
    uint32_t connect_timeout_ms; /* 0: the configured value, for each of the three */
    uint32_t idle_timeout_ms;    /* no byte for so long */
    uint32_t total_timeout_ms;
} sg_request;

typedef struct sg_response sg_response;

/* Table "transport" 1. Any thread. */
typedef struct sg_transport_v1 {
    /* Sends and reads the answer's head. An HTTP status of 4xx or 5xx is an answer, not an error. */
    int32_t (*send)(const sg_request *request, const sg_call *call, sg_response **out, sg_error *err);
    uint32_t (*status)(const sg_response *r);                         /* HTTP status; 200 or 206 for a file */
    const char *(*header)(const sg_response *r, const char *name, uint64_t i); /* i-th of that name (any case), or NULL */
    const char *(*url)(const sg_response *r);                         /* after redirects */
    uint64_t (*size)(const sg_response *r);                           /* of the body, or SG_SIZE_UNKNOWN */
    /* The body; the caller closes it before the response. Called at most once. */
    int32_t (*body)(sg_response *r, sg_stream **out, sg_error *err);
    void (*close)(sg_response *r);
} sg_transport_v1;

/* Table "upgrade" 1, optional: a two-way stream after an HTTP Upgrade (WebSocket). */
typedef struct sg_duplex sg_duplex;
typedef struct sg_upgrade_v1 {
    int32_t (*open)(const sg_request *request, const char *protocol, const sg_call *call, sg_duplex **out,
                    sg_error *err);
    /* Blocks for at least one byte; *got 0 is the end. */
    int32_t (*read)(sg_duplex *d, void *data, uint64_t capacity, uint64_t *got, sg_error *err);
    int32_t (*write)(sg_duplex *d, const void *data, uint64_t size, sg_error *err); /* all of it */
    void (*close)(sg_duplex *d);
} sg_upgrade_v1;

#ifdef __cplusplus
}
#endif
#endif
