/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launcher.h: who turns a LaunchSpec into a process (`provides: - launcher: {name: NAME}`), table
 * "launcher" 1. A LaunchSpec is a JSON document, versioned by its member "launchSpecVersion": the OCI
 * runtime-spec configuration plus "images" and the origin of each setting (docs/launch-spec.md).
 */
#ifndef SINGULARITY_LAUNCHER_H
#define SINGULARITY_LAUNCHER_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sg_root;
struct sg_root_v1;

/* An opened root file system that entry `index` of the LaunchSpec's "images" refers to. */
typedef struct sg_launch_image {
    const struct sg_root_v1 *table; /* NULL: only the mount plan in the JSON can be used */
    struct sg_root *root;
} sg_launch_image;

typedef struct sg_launch {
    const char *spec;              /* the LaunchSpec, JSON */
    const sg_launch_image *images; /* one for each entry of "images", in its order */
    uint64_t image_count;
    const sg_call *call;
} sg_launch;

/* Table "launcher" 1. */
typedef struct sg_launcher_v1 {
    /* Turns the calling process, which must have one thread, into the container's process. Returns
     * only on failure. */
    int32_t (*become)(const sg_launch *launch, sg_error *err);
    /* Runs it as a child, waits, gives the wait(2) status. */
    int32_t (*run)(const sg_launch *launch, int32_t *wait_status, sg_error *err);
    /* Containers under a name. `name` is the absolute path of a directory, which the host made for this
     * container alone and takes away after it; its last part is the name that people use. The launcher may
     * keep files of its own there, but none that is called lock or LAST-PART.json. */
    /* Starts it detached: *pid is its first process as seen by the caller. The host holds the name. Its
     * standard streams are what the LaunchSpec's container.instance says. */
    int32_t (*start)(const sg_launch *launch, const char *name, int32_t *pid, sg_error *err);
    /* Becomes another process in the running container `name`; the LaunchSpec gives its process part. */
    int32_t (*join)(const sg_launch *launch, const char *name, sg_error *err);
    int32_t (*signal)(const char *name, int32_t signal, sg_error *err);
    /* The state as an OCI runtime-spec state JSON document, copied to out. */
    int32_t (*state)(const char *name, char *out, uint64_t capacity, sg_error *err);
    int32_t (*remove)(const char *name, sg_error *err);
} sg_launcher_v1;

#ifdef __cplusplus
}
#endif
#endif
