/* SPDX-License-Identifier: BSD-3-Clause */
/* definition.h: the host's reading of definition files, table "definition" 1. */
#ifndef SINGULARITY_DEFINITION_H
#define SINGULARITY_DEFINITION_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Any thread. What is read is a JSON document:
 *
 *     {"definition": TEXT,                     base64 of the whole text, each {{ NAME }} replaced
 *      "stages": [{"name": TEXT, "bootstrap": TEXT, "from": TEXT,
 *                  "files": [{"stage": TEXT, "source": TEXT, "destination": TEXT}]}]}
 *
 * "files" holds what %files and the %appfiles of apps copy: "stage" is "" for files of the host, "source" may hold * ? and
 * [ ], and "destination" is "" where it is the source. More members may come.
 */
typedef struct sg_host_definition_v1 {
    /* Reads the file at `path`. Of `options` (ended by key NULL, may be NULL) those count that `build` has for the values of
     * placeholders: "build-arg", "build-arg-file", "warn-unused-build-args". Others are passed over, so that a command that
     * takes over `build` hands on what it was given. SG_EINVALID: the text is no definition, with file, line and column. */
    int32_t (*read)(const char *path, const sg_pair *options, sg_slice *out, sg_error *err);
} sg_host_definition_v1;

#ifdef __cplusplus
}
#endif
#endif
