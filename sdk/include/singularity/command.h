/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command.h: a plugin that adds verbs, or an option that takes over a verb
 * (`provides: - command: {verb: NAME, ...}`), table "command" 1. Options and help text stand in the
 * manifest; the host parses the command line.
 */
#ifndef SINGULARITY_COMMAND_H
#define SINGULARITY_COMMAND_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sg_invocation {
    const char *verb;              /* as "sign"; for a sub-verb "key list" */
    const sg_pair *options;        /* given options by long name, in order; flags have the value "true" */
    const char *const *arguments;  /* positional, NULL-ended */
    const char *directory;         /* absolute: where the user stands */
    const sg_call *call;
} sg_invocation;

/* Table "command" 1. run: *exit_code is the process's when SG_OK. */
typedef struct sg_command_v1 {
    int32_t (*run)(const sg_invocation *invocation, int32_t *exit_code, sg_error *err);
} sg_command_v1;

#ifdef __cplusplus
}
#endif
#endif
