/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hook.h: a plugin that watches, or forbids (`provides: - hook: {name: NAME, events: [...]}`), table
 * "hook" 1. Events: resolved, fetched, before_build, built, before_run, ended, before_push.
 */
#ifndef SINGULARITY_HOOK_H
#define SINGULARITY_HOOK_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Members that an event does not have are "". */
typedef struct sg_event {
    const char *name;      /* of the event */
    const char *reference; /* as the user typed it */
    const char *digest;    /* of the manifest or image, when known */
    const char *path;      /* of the image file */
    const char *const *signers; /* fingerprints, NULL-ended; NULL when nobody looked */
    int32_t exit_status;   /* only for "ended" */
} sg_event;

/* Table "hook" 1. SG_EVETO stops what would come next (before_*, resolved, fetched); its message is
 * shown to the user. Any other failure is a warning. */
typedef struct sg_hook_v1 {
    int32_t (*notify)(const sg_event *event, sg_error *err);
} sg_hook_v1;

#ifdef __cplusplus
}
#endif
#endif
