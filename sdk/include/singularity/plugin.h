/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plugin.h: the boundary between the host and a plugin, in plain C.
 *
 * A plugin is one shared object that exports one symbol, `singularity_plugin`, and one YAML manifest
 * that tells the host everything it must know before the object is loaded. The host asks the object
 * for tables of functions by name and version. A published table never changes; growth is a new table
 * (or a higher version of it, under a new struct name).
 *
 * Rules that hold for every function of every table:
 *  - Strings are UTF-8 where a person reads them and raw bytes where they are file names; all end in NUL.
 *    A `const char *` argument belongs to the caller and lives until the call returns; copy to keep.
 *  - No C++ exception, longjmp or signal handler crosses the boundary. Memory is freed by the side
 *    that allocated it, through the function that the table names for it.
 *  - Functions that return int32_t return SG_OK or an SG_E* code; on failure they fill *err when err
 *    is not NULL. On success *err is untouched and out arguments are set; on failure out arguments are
 *    unspecified unless the comment says otherwise.
 *  - Unless a comment says "any thread", one handle is used by one thread at a time, but not always by
 *    the same one. Different handles may be used at the same time.
 *  - Sizes and offsets are bytes, times are seconds since 1970-01-01 UTC.
 */
#ifndef SINGULARITY_PLUGIN_H
#define SINGULARITY_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SG_PLUGIN_MAGIC 0x31504753u /* "SGP1", little-endian */
#define SG_ABI_VERSION 1u           /* grows only when this header's rules change */
#define SG_SIZE_UNKNOWN UINT64_MAX

#if defined(__GNUC__)
#define SG_EXPORT __attribute__((visibility("default")))
#else
#define SG_EXPORT
#endif

/* ---- Errors --------------------------------------------------------------------------------- */

/* What went wrong, for the host's decisions and exit code. Since 1. */
typedef enum sg_code {
    SG_OK = 0,
    SG_EINTERNAL = 1,      /* a defect in our own code or in the plugin */
    SG_EINVALID = 2,       /* the user's input or an option is wrong */
    SG_ENOTFOUND = 3,      /* the thing named does not exist */
    SG_EEXISTS = 4,        /* it exists already and must not be replaced */
    SG_EPERMISSION = 5,    /* the system refused for lack of rights */
    SG_EUNAUTHORIZED = 6,  /* a server wants (other) credentials */
    SG_EIO = 7,            /* reading or writing failed */
    SG_ENOSPACE = 8,       /* disk full or quota */
    SG_ECORRUPT = 9,       /* data is damaged, truncated or does not match its digest */
    SG_EUNSUPPORTED = 10,  /* valid, but not something that this code can do */
    SG_ELIMIT = 11,        /* a configured limit was passed */
    SG_ENETWORK = 12,      /* host unknown, refused, reset */
    SG_ETIMEOUT = 13,      /* took too long */
    SG_ECANCELLED = 14,    /* the cancel token was set */
    SG_EVETO = 15,         /* a hook or policy said no */
    SG_EUSAGE = 16         /* the command line is wrong: exit code 1 instead of 255 */
} sg_code;

/* Filled by the callee, owned by the caller; every text ends in NUL and is cut to fit. Since 1. */
typedef struct sg_error {
    int32_t code;       /* an sg_code */
    int32_t sys_errno;  /* errno behind it, or 0 */
    char message[1536]; /* one line for the user: what, which file or URL, why */
    char hint[768];     /* one line that helps, or "" */
    char detail[1024];  /* for --debug, may hold several lines, or "" */
} sg_error;

/* ---- Bytes that travel ---------------------------------------------------------------------- */

/*
 * A piece of memory with a counted owner. `retain` and `release` may be NULL when `owner` is NULL:
 * then the bytes live until the callee of the function that gave the slice is called again (stated
 * there). Both are callable from any thread. data == NULL with size > 0 is a hole: that many zero
 * bytes. size == 0 is the end of a stream. Since 1.
 */
typedef struct sg_slice {
    const uint8_t *data;
    uint64_t size;
    void *owner;
    void (*retain)(void *owner);
    void (*release)(void *owner);
} sg_slice;

/*
 * A stream of bytes that is pulled. Since 1.
 * next:  gives the next slice; its bytes live until the next call of next or close, or, when the
 *        slice has an owner, as long as it is retained (next returns it with one reference that the
 *        caller must release). Slices of 64 KiB to 1 MiB are best. Polls the cancel token of the
 *        call that opened the stream.
 * close: frees the stream; always called exactly once by who got the stream, also after an error.
 */
typedef struct sg_stream sg_stream;
struct sg_stream {
    int32_t (*next)(sg_stream *self, sg_slice *out, sg_error *err);
    void (*close)(sg_stream *self);
};

/* A key and its text. Arrays of pairs end with key == NULL. Since 1. */
typedef struct sg_pair {
    const char *key;
    const char *value;
} sg_pair;

/* ---- What the host gives a plugin ----------------------------------------------------------- */

/*
 * The host, as a plugin sees it: valid from `start` until the process ends; any thread. Tables are
 * declared in host.h; an unknown name or a version that this host lacks gives NULL. Since 1.
 */
typedef struct sg_host sg_host;
struct sg_host {
    uint32_t abi;        /* SG_ABI_VERSION of the host */
    const char *version; /* of the product, as "4.0.0" */
    const void *(*table)(const sg_host *self, const char *name, uint32_t version);
};

/*
 * One long call, given by the host: carries the cancel token and where progress goes (table "call"
 * of host.h). NULL is allowed and means: cannot be cancelled, nobody watches. Any thread, until the
 * function it was given to returns and every stream or object opened under it is closed. Since 1.
 */
typedef struct sg_call sg_call;

/* ---- The entry ------------------------------------------------------------------------------ */

/*
 * What `singularity_plugin()` returns: static memory, the same at each call. Since 1.
 * start: may be NULL. Called once, before any table is used; keep `host`. Must not start threads.
 * table: gives the function table named `table` (as "bootstrap", see each header) in `version` for
 *        the capability `capability` (the scheme, format, launcher, verb or hook name of the
 *        manifest); NULL when the plugin has none. Any thread. Tables are static memory.
 */
typedef struct sg_plugin {
    uint32_t magic; /* SG_PLUGIN_MAGIC */
    uint32_t abi;   /* SG_ABI_VERSION that it was built with */
    const char *name;
    const char *version;
    int32_t (*start)(const sg_host *host, sg_error *err);
    const void *(*table)(const char *capability, const char *table, uint32_t version);
} sg_plugin;

/* The one symbol that an object exports. */
SG_EXPORT const sg_plugin *singularity_plugin(void);

#ifdef __cplusplus
}
#endif
#endif
