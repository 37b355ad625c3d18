/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h: what a plugin finds again in a later process, host table "state" 1.
 *
 * A state is one small text of a plugin under a key of its own: how far a long transfer had come when its process was
 * killed. It is a help and nothing to rely on: it vanishes when its time is over, with `cache clean`, or when there are
 * many; without a cache there is none. The user alone can read it, but it lies on a disk: no passwords.
 */
#ifndef SINGULARITY_STATE_H
#define SINGULARITY_STATE_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SG_STATE_MAX 65536u              /* bytes of a text, with the NUL */
#define SG_STATE_SECONDS_MAX 2592000u    /* thirty days */

/* One key of a plugin, held by this process until `close`. */
typedef struct sg_state sg_state;

/* Any thread; one handle by one thread at a time. Since 1. */
typedef struct sg_host_state_v1 {
    /*
     * Takes the key, so that no two processes work from the same text. `plugin`: the caller's own name; `key`: any text;
     * a text that is put lives for `seconds`. Does not wait. SG_EEXISTS: another process that lives holds it;
     * SG_EUNSUPPORTED: nothing is kept here (no cache); SG_EPERMISSION, SG_ENOSPACE: the cache cannot be written to.
     */
    int32_t (*take)(const char *plugin, const char *key, uint64_t seconds, sg_state **out, sg_error *err);
    /* Copies the text that was put last, by whichever process, to out (capacity bytes with the NUL). SG_ENOTFOUND: there
     * is none (any more); SG_ELIMIT: capacity is too small. */
    int32_t (*get)(sg_state *state, char *out, uint64_t capacity, sg_error *err);
    /* Keeps a text in place of the last one. SG_ELIMIT: it is longer than SG_STATE_MAX. */
    int32_t (*put)(sg_state *state, const char *text, sg_error *err);
    /* Forgets the text. */
    int32_t (*forget)(sg_state *state, sg_error *err);
    /* Others may take the key then; what was put stays. So it does when the process is killed. */
    void (*close)(sg_state *state);
} sg_host_state_v1;

#ifdef __cplusplus
}
#endif
#endif
