/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy.h: what the host must know of a source or an image before it can apply a site's policies
 * (docs/admin/policies.md). Both tables of plugins are optional; they are found by asking the object, so a source's
 * manifest says nothing of its table. The host decides, and tells the user which rule it was. Who signed an image a
 * plugin may ask as well, by a table of the host.
 */
#ifndef SINGULARITY_POLICY_H
#define SINGULARITY_POLICY_H

#include <singularity/bootstrap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Table "full_name" 1 of a bootstrap source (`remote: yes`). Any thread. */
typedef struct sg_full_name_v1 {
    /* Copies to `out` (capacity bytes with the NUL) what policy.registries is compared with:
     * "HOST[:PORT]/NAMESPACE/NAME", every default filled in and without tag, digest, user and password. Asks no server.
     * Without this table the host takes the reference as it was typed. SG_EINVALID: the reference names nothing. */
    int32_t (*full_name)(const sg_source_spec* spec, char* out, uint64_t capacity, sg_error* err);
} sg_full_name_v1;

/* What is told of an image's signatures; each returns SG_OK to go on. */
typedef struct sg_signers_sink {
    void* arg;
    /* A key whose signature is right and covers all of the image: its fingerprint, upper-case hexadecimal digits. */
    int32_t (*signer)(void* arg, const char* fingerprint);
    /* What the answer depends on besides the image: a file, as a key ring (absolute; it need not be there), or an
     * environment variable, as "$NAME", that chooses one. */
    int32_t (*depends)(void* arg, const char* path);
} sg_signers_sink;

/* Table "signers" 1 of a hook with the event "signers" (`- hook: {name: NAME, events: [signers]}`). */
typedef struct sg_signers_v1 {
    /* Verifies the image file at `path`, by keys of this machine alone. An image that nobody signed, or whose
     * signatures are broken or by unknown keys, has no signers and is no failure. The host keeps the answer while the
     * image, all that it depends on and the plugin's configuration stay as they are. */
    int32_t (*signers)(const char* path, const sg_call* call, const sg_signers_sink* sink, sg_error* err);
} sg_signers_v1;

/* Host table "signers" 1 (`sg_host.table`): the same question, put to the hook that answers it. Any thread. */
typedef struct sg_host_signers_v1 {
    /* Each key whose signature of the image file at `path` is right and covers all of it, by the keys of this machine.
     * `sink->depends` is not called and may be NULL. SG_EUNSUPPORTED: no registered plugin can tell. */
    int32_t (*find)(const char* path, const sg_call* call, const sg_signers_sink* sink, sg_error* err);
} sg_host_signers_v1;

#ifdef __cplusplus
}
#endif
#endif
