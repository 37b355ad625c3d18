/* The line between the executable and its internal modules (libexec/singularity/build.so and lookup.so): plain data
 * only, no C++ object and no exception crosses. All are built together; `abi` guards against a mix. */
#ifndef SG_CLI_MODULE_H
#define SG_CLI_MODULE_H

#include <singularity/bootstrap.h>
#include <singularity/definition.h>
#include <singularity/host.h>
#include <singularity/state.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SG_MODULE_ABI 5u

typedef struct sg_module_context {
    uint32_t abi;
    const char *executable;      /* absolute; the rest of the installation follows from it */
    const void *index;           /* the compiled index in use; lives as long as the process */
    uint64_t index_size;
    const char *const *settings; /* "KEY=VALUE" of --set before the verb, NULL-ended */
    const sg_host_mount_v2 *mount; /* may be NULL */
    int32_t log_threshold;
    int32_t colour;              /* 0: --nocolor */
    int32_t json;
} sg_module_context;

/* Runs a heavy verb: argv[0] is the verb, global flags are gone. Returns the exit code. */
typedef int32_t (*sg_module_main_fn)(int argc, char **argv, const sg_module_context *context);
SG_EXPORT int32_t sg_module_main(int argc, char **argv, const sg_module_context *context);

/* lookup.so. From a URI to the absolute path of its image in the cache, "" when it would have to be made; *known receives
 * what its source said, for sg_module_fetch in the same process. *asked 0: the source was not asked, as the cache has no
 * image of that name and sg_module_fetch lets one of many processes do it; *known is empty. */
typedef int32_t (*sg_module_look_fn)(const sg_module_context *context, const char *uri, const sg_pair *options,
                                     sg_identity *known, int32_t *asked, char *path_out, uint64_t capacity,
                                     sg_error *err);
SG_EXPORT int32_t sg_module_look(const sg_module_context *context, const char *uri, const sg_pair *options,
                                 sg_identity *known, int32_t *asked, char *path_out, uint64_t capacity, sg_error *err);

/* build.so, which has a library for it. The digest ("sha256:...") of a file. */
typedef int32_t (*sg_module_digest_fn)(const char* file, char* digest_out, uint64_t capacity, sg_error* err);
SG_EXPORT int32_t sg_module_digest(const char* file, char* digest_out, uint64_t capacity, sg_error* err);

/* From a URI to the absolute path of a local image; SIGINT and SIGTERM cancel. `known`: of sg_module_look when that has
 * not found the image, else NULL. *temporary 1: nothing keeps the image, it and the directory around it are the caller's
 * to remove. */
typedef int32_t (*sg_module_fetch_fn)(const sg_module_context *context, const char *uri, const sg_pair *options,
                                      const sg_identity *known, char *path_out, uint64_t capacity, int32_t *temporary,
                                      sg_error *err);
SG_EXPORT int32_t sg_module_fetch(const sg_module_context *context, const char *uri, const sg_pair *options,
                                  const sg_identity *known, char *path_out, uint64_t capacity, int32_t *temporary,
                                  sg_error *err);

/* From the path of an image file to a directory in the cache that holds its root file system. */
typedef int32_t (*sg_module_unpack_fn)(const sg_module_context *context, const char *image, char *path_out,
                                       uint64_t capacity, sg_error *err);
SG_EXPORT int32_t sg_module_unpack(const sg_module_context *context, const char *image, char *path_out,
                                   uint64_t capacity, sg_error *err);
/* Unpacks the archive of a plugin into the empty directory `into`. */
typedef int32_t (*sg_module_unpack_plugin_fn)(const char *archive, const char *into, sg_error *err);
SG_EXPORT int32_t sg_module_unpack_plugin(const char *archive, const char *into, sg_error *err);

/* The table "credentials" 2 for plugins that the executable has loaded; lines are logged as the context says. The
 * command ends when cancel_fd becomes readable. NULL: this build has none. */
typedef const sg_host_credentials_v2 *(*sg_module_credentials_fn)(const sg_module_context *context, int32_t cancel_fd);
SG_EXPORT const sg_host_credentials_v2 *sg_module_credentials(const sg_module_context *context, int32_t cancel_fd);
/* The table "definition" 1 likewise. NULL: this build has none, or is of another version. */
typedef const sg_host_definition_v1 *(*sg_module_definitions_fn)(const sg_module_context *context);
SG_EXPORT const sg_host_definition_v1 *sg_module_definitions(const sg_module_context *context);
/* The table "state" 1 likewise. */
typedef const sg_host_state_v1 *(*sg_module_state_fn)(const sg_module_context *context);
SG_EXPORT const sg_host_state_v1 *sg_module_state(const sg_module_context *context);

#ifdef __cplusplus
}
#endif
#endif
