/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bootstrap.h: where images come from. A bootstrap source is registered for one scheme
 * (`provides: - bootstrap: {scheme: NAME}`) and gives table "bootstrap" 1; tables "publish" 1,
 * "search" 1 and "delete" 1 are optional and declared in the manifest as well.
 *
 * A source never writes to the cache and never opens a socket itself: the host caches, transports
 * (host.h, "transport") fetch.
 */
#ifndef SINGULARITY_BOOTSTRAP_H
#define SINGULARITY_BOOTSTRAP_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the user asked for. Since 1. */
typedef struct sg_source_spec {
    const char *scheme;     /* as registered, lower case */
    const char *reference;  /* what follows "scheme:" or "scheme://", as typed */
    const char *directory;  /* absolute: relative paths start here */
    const char *arch;       /* Go name ("amd64", "arm64"), never NULL: the user's --arch or the machine's */
    const char *variant;    /* "" or as "v7" */
    int32_t arch_is_wish;   /* 1: the user named it, so another one is an error, not a warning */
    const sg_pair *options; /* definition-file keywords and command-line options of the manifest, lower case */
} sg_source_spec;

/* What `resolve` finds out cheaply. Since 1. */
typedef struct sg_identity {
    char key[256];      /* same key = same bytes; as "sha256:HEX" of the manifest, or another stable text; "" = do not cache */
    char name[256];     /* default file name, as "lolcow_latest.sif"; no '/' */
    char cache_area[64];/* directory below the cache root for the finished SIF, as "oci-tmp", "library"; "" = none */
    char arch[32];      /* what it is for, when known, else "" */
    char variant[32];
} sg_identity;

/* The five kinds of answer. Since 1. */
typedef enum sg_source_kind {
    SG_LAYERS = 1, /* config and blobs: use image->layers */
    SG_BLOB = 2,   /* one image file as a stream: use image->blob */
    SG_PATH = 3,   /* a file or directory used in place: use image->path */
    SG_RECIPE = 4, /* fills a directory: use image->recipe */
    SG_EMPTY = 5   /* nothing */
} sg_source_kind;

/* One blob of a layered image. Texts live as long as the image. Since 1. */
typedef struct sg_blob {
    const char *media_type; /* as the manifest says; the host decides compression by first bytes */
    const char *digest;     /* "sha256:HEX" of the stored bytes, or "" when unknown (docker-archive) */
    const char *diff_id;    /* "sha256:HEX" of the uncompressed tar; required for layers */
    uint64_t size;          /* stored bytes, or SG_SIZE_UNKNOWN */
    const sg_pair *annotations; /* of the descriptor; may be NULL */
} sg_blob;

typedef struct sg_image sg_image;

/*
 * A layered image. Since 1.
 * `sequential` 0: `layer` may be called for any index, in any order, several at a time, from any
 *      thread; each stream is then used by one thread.
 * `sequential` 1: the parts come in their own order. The host calls `next_part` until *key is NULL,
 *      and reads (or closes) each stream before the next call; only after that are `manifest`,
 *      `config`, `count` and `describe` valid; `part` then says which part (by its number in order of
 *      coming) holds layer `index`. The host keeps the bytes of the parts it was given.
 */
typedef struct sg_layers {
    int32_t sequential;
    /* Manifest bytes as received, their media type and digest; size 0 when the source has none (docker-archive). */
    int32_t (*manifest)(sg_image *self, sg_slice *bytes, const char **media_type, sg_error *err);
    /* The image config JSON as stored; its digest ("" when unknown) is verified by the host. */
    int32_t (*config)(sg_image *self, sg_slice *bytes, const char **digest, sg_error *err);
    uint64_t (*count)(sg_image *self);                                                 /* layers, base first */
    int32_t (*describe)(sg_image *self, uint64_t index, sg_blob *out, sg_error *err);  /* any thread */
    int32_t (*layer)(sg_image *self, uint64_t index, const sg_call *call, sg_stream **out, sg_error *err);
    int32_t (*next_part)(sg_image *self, const sg_call *call, const char **key, uint64_t *size, sg_stream **out,
                         sg_error *err);
    int32_t (*part)(sg_image *self, uint64_t index, uint64_t *number, sg_error *err);
} sg_layers;

/* An opened image: made by `open`, freed by `close`. Members not of its kind are NULL. Since 1. */
struct sg_image {
    int32_t kind; /* sg_source_kind */
    const sg_layers *layers;
    /* SG_BLOB: `blob` describes the file (media type, digest or "", size); `fetch` streams it from
     * `offset` on (SG_EUNSUPPORTED when only 0 is possible). */
    int32_t (*blob)(sg_image *self, sg_blob *out, sg_error *err);
    int32_t (*fetch)(sg_image *self, uint64_t offset, const sg_call *call, sg_stream **out, sg_error *err);
    /* SG_PATH: absolute path of an image file or directory; lives as long as the image. */
    const char *path;
    /* SG_RECIPE: fills the empty directory `rootfs`; run by the host inside the build's namespaces. */
    int32_t (*recipe)(sg_image *self, const char *rootfs, const sg_call *call, sg_error *err);
    void (*close)(sg_image *self);
};

/* Table "bootstrap" 1. Any thread. */
typedef struct sg_bootstrap_v1 {
    /* Cheap: no layer is read; at most a HEAD request or a small file. */
    int32_t (*resolve)(const sg_source_spec *spec, const sg_call *call, sg_identity *out, sg_error *err);
    int32_t (*open)(const sg_source_spec *spec, const sg_call *call, sg_image **out, sg_error *err);
} sg_bootstrap_v1;

/* Table "publish" 1: push an image file. Any thread. */
typedef struct sg_publish_v1 {
    /* `location` (capacity bytes) receives where it went, for the user. */
    int32_t (*publish)(const sg_source_spec *to, const char *path, const sg_call *call, char *location,
                       uint64_t capacity, sg_error *err);
} sg_publish_v1;

/* One answer of a search; texts live during the callback. */
typedef struct sg_found {
    const char *reference;
    const char *kind; /* "container", "collection", ... as the service groups them */
    const char *summary;
    const sg_pair *attributes; /* tags, arch, signed, ... */
} sg_found;

/* Table "search" 1. `visit` returns 0 to go on. */
typedef struct sg_search_v1 {
    int32_t (*search)(const char *query, const sg_pair *options, const sg_call *call,
                      int32_t (*visit)(void *arg, const sg_found *found), void *arg, sg_error *err);
} sg_search_v1;

/* Table "delete" 1: removes a published image. */
typedef struct sg_delete_v1 {
    int32_t (*remove)(const sg_source_spec *what, const sg_call *call, sg_error *err);
} sg_delete_v1;

#ifdef __cplusplus
}
#endif
#endif
