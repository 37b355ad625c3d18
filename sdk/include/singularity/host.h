/* SPDX-License-Identifier: BSD-3-Clause */
/* host.h: services that the host hands to plugins. Ask `sg_host.table(host, NAME, VERSION)`. */
#ifndef SINGULARITY_HOST_H
#define SINGULARITY_HOST_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- "log" 1: lines on stderr, with the product's prefixes. Any thread. ---------------------- */
typedef enum sg_level { SG_ERROR = -3, SG_WARNING = -2, SG_INFO = 1, SG_VERBOSE = 4, SG_DEBUG = 5 } sg_level;

typedef struct sg_host_log_v1 {
    int32_t (*enabled)(int32_t level);             /* 1 if a line of this level would be shown */
    void (*line)(int32_t level, const char *text); /* one line, without prefix and newline */
} sg_host_log_v1;

/* ---- "call" 1: cancel and progress. Any thread. ---------------------------------------------- */
typedef struct sg_task sg_task; /* one progress bar, or one line in a log */

typedef struct sg_host_call_v1 {
    /* 1 once the user or the host wants the call to end: return SG_ECANCELLED within 100 ms. */
    int32_t (*cancelled)(const sg_call *call);
    /* A descriptor that becomes readable then, for poll(2); -1 for a NULL call. Never read or close it. */
    int32_t (*cancel_fd)(const sg_call *call);
    /* Begins a bar with a label such as "Copying blob sha256:…"; total in bytes or SG_SIZE_UNKNOWN.
     * NULL (allowed below) when nobody watches. */
    sg_task *(*begin)(const sg_call *call, const char *label, uint64_t total);
    void (*advance)(sg_task *task, uint64_t bytes); /* that many more are done */
    void (*end)(sg_task *task, int32_t code);       /* an sg_code; frees the task */
} sg_host_call_v1;

/* ---- "config" 1: effective values. Any thread; texts live as long as the process. ------------ */
typedef struct sg_host_config_v1 {
    const char *(*text)(const char *key);                     /* NULL: no such key or not set */
    int32_t (*integer)(const char *key, int64_t *out);        /* SG_ENOTFOUND, SG_EINVALID (another type) */
    int32_t (*boolean)(const char *key, int32_t *out);        /* the same */
    const char *(*item)(const char *key, uint64_t i);         /* i-th of a list, NULL past its end */
} sg_host_config_v1;

/* ---- "temporary" 1: files that vanish. Any thread. -------------------------------------------- */
typedef struct sg_host_temporary_v1 {
    /* A new read-write unnamed file (O_TMPFILE, O_CLOEXEC) in the configured temporary directory; the
     * caller closes it. */
    int32_t (*file)(int32_t *fd, sg_error *err);
    /* A new empty directory, mode 0700, removed by the host at the end of the command; path is copied
     * to out (capacity bytes with the NUL). */
    int32_t (*directory)(char *out, uint64_t capacity, sg_error *err);
} sg_host_temporary_v1;

/* ---- "executor" 1: the one thread budget of the process. Any thread. ------------------------- */
typedef struct sg_host_executor_v1 {
    uint32_t (*width)(void); /* worker threads, at least 1 */
    /* Queues fn(arg) for a worker. Jobs may run in any order; a job must not wait for a later one.
     * SG_ELIMIT when the process is ending. */
    int32_t (*submit)(void (*fn)(void *arg), void *arg);
} sg_host_executor_v1;

/* ---- "memory" 1: the process's budget for large buffers. Any thread. -------------------------- */
typedef struct sg_host_memory_v1 {
    /* Blocks until that much is free, or at once when nothing is held at all; SG_ECANCELLED. */
    int32_t (*reserve)(uint64_t bytes, const sg_call *call);
    void (*release)(uint64_t bytes);
} sg_host_memory_v1;

/* ---- "credentials" 1: who to be towards a server. Any thread. ---------------------------------- */
typedef struct sg_credentials {
    char user[512];
    char secret[8192];   /* password or token: never log it, overwrite it after use */
    char identity[8192]; /* a refresh ("identity") token, or "" */
    char origin[256];    /* where it was found, for messages */
} sg_credentials;

typedef struct sg_host_credentials_v1 {
    /* For a server key such as "https://index.docker.io/v1/" or "host:port". SG_ENOTFOUND: be anonymous. */
    int32_t (*find)(const char *server, sg_credentials *out, sg_error *err);
    /* Asks at the terminal ("Enter Docker Username:"), when one is there; SG_ENOTFOUND when not. */
    int32_t (*ask)(const char *server, const char *user_prompt, const char *secret_prompt, sg_credentials *out,
                   sg_error *err);
} sg_host_credentials_v1;

/* ---- "credentials" 2: also a file of the user's choice, and keeping them. Any thread. ----------- */
/*
 * `server` is "host", "host:port" or "https://index.docker.io/v1/", with or without "/namespace/repository"
 * behind it: the longest key that matches wins. `file` NULL or "": the usual places (docker-config.json of the
 * user's directory, else Docker's, else Podman's, helper programs included); a path: that file alone.
 * user "" with a secret: the secret is a registry token, sent as it is ("Authorization: Bearer").
 */
typedef struct sg_host_credentials_v2 {
    int32_t (*find)(const char *server, const char *file, sg_credentials *out, sg_error *err);
    int32_t (*ask)(const char *server, const char *user_prompt, const char *secret_prompt, sg_credentials *out,
                   sg_error *err);
    /* Keeps them; `where` (capacity bytes) receives the file or helper that has them now. */
    int32_t (*store)(const char *server, const char *file, const sg_credentials *what, char *where,
                     uint64_t capacity, sg_error *err);
    int32_t (*erase)(const char *server, const char *file, sg_error *err); /* SG_ENOTFOUND */
    /* `visit` returns 0 to go on; texts live during the callback. */
    int32_t (*list)(const char *file, int32_t (*visit)(void *arg, const char *server, const char *user), void *arg,
                    sg_error *err);
} sg_host_credentials_v2;

/* ---- "transport" 1: a transport by URL scheme (transport.h). Any thread. ----------------------- */
struct sg_transport_v1;
typedef struct sg_host_transport_v1 {
    /* The transport registered for `scheme` ("https", "file"): table and handle live as long as the process. */
    int32_t (*find)(const char *scheme, const struct sg_transport_v1 **out, sg_error *err);
} sg_host_transport_v1;

/* ---- "transport" 2: any table of it, and of the one that it stands in front of. Any thread. ------ */
typedef struct sg_host_transport_v2 {
    /* Table `table` ("transport", "upgrade") in `version` of the transport registered for `scheme`. It lives as long as
     * the process. SG_ENOTFOUND: no such transport; SG_EUNSUPPORTED: it has no such table. */
    int32_t (*find)(const char *scheme, const char *table, uint32_t version, const void **out, sg_error *err);
    /* The same of the transport that was registered for `scheme` before the plugin named `plugin` (the caller's own
     * name), and which that one hides: how a transport that watches, caches or rewrites hands requests on. */
    int32_t (*find_below)(const char *scheme, const char *plugin, const char *table, uint32_t version, const void **out,
                          sg_error *err);
} sg_host_transport_v2;

/* ---- "image" 1: open an image file or directory with whichever format knows it (format.h). ----- */
struct sg_format_v1;
struct sg_image_file;
typedef struct sg_host_image_v1 {
    /* Probes all registered formats. The caller closes *image through (*format)->close. */
    int32_t (*open)(const char *path, const struct sg_format_v1 **format, struct sg_image_file **image,
                    sg_error *err);
} sg_host_image_v1;

/* ---- "image" 2: also to change its parts. Any thread. -------------------------------------------- */
struct sg_parts_v1;
typedef struct sg_host_image_v2 {
    /* As in version 1; `writable` 1: parts will be changed. *parts: the format's table "parts", NULL when it has none. */
    int32_t (*open)(const char *path, int32_t writable, const struct sg_format_v1 **format,
                    const struct sg_parts_v1 **parts, struct sg_image_file **image, sg_error *err);
} sg_host_image_v2;

/* ---- "mount" 1: for launchers. ------------------------------------------------------------------ */
struct sg_root;
struct sg_root_v1;
typedef struct sg_mount_view { /* how ids and missing places are shown by the host's FUSE server */
    uint32_t uid, gid;           /* owner that every node is shown with when map_ids is not 0 */
    int32_t map_ids;             /* 0: owners as stored */
    const char *const *places;   /* NULL-ended: absolute paths to show as empty directories when the
                                    image lacks them; a path ending in '/' asks for a directory, one
                                    without for an empty file; parents are made */
} sg_mount_view;

typedef struct sg_host_mount_v1 {
    /*
     * Serves the root file system of image number `image` of the LaunchSpec (its "images" array) on
     * the absolute directory `target`, in the caller's mount and user namespace, by the host's FUSE
     * server, which runs detached outside of that mount namespace and ends with the mount. Call it
     * in a process of one thread, after unshare(CLONE_NEWUSER) and before unshare(CLONE_NEWNS): it
     * prepares the server and returns a handle; `attach`, called after CLONE_NEWNS, mounts.
     */
    int32_t (*prepare)(const struct sg_root_v1 *table, struct sg_root *root, const sg_mount_view *view,
                       void **server, sg_error *err);
    int32_t (*attach)(void *server, const char *target, sg_error *err);
} sg_host_mount_v1;

/* ---- "mount" 2: also one server for all containers of a user that run the same image. -------------- */
typedef struct sg_mount_share {
    uint64_t offset; /* where the file system begins in the image's file */
    int32_t lives;   /* process whose end ends this use: the caller, or a parent that waits for the container */
    uint32_t linger; /* seconds that the server waits for another user after the last one */
} sg_mount_share;

typedef struct sg_host_mount_v2 {
    int32_t (*prepare)(const struct sg_root_v1 *table, struct sg_root *root, const sg_mount_view *view,
                       void **server, sg_error *err);
    int32_t (*attach)(void *server, const char *target, sg_error *err);
    /*
     * In place of both: joins the server that serves this image to other processes of the same user, or starts
     * one. The calling process, of one thread, is then in the server's user namespace, which has the caller's uid and
     * gid under their own numbers and nothing else; *mount is a descriptor of the image's root as a detached mount,
     * read-only, nosuid, nodev, for move_mount(2) after unshare(CLONE_NEWNS). SG_EUNSUPPORTED: it cannot
     * be shared here, and nothing has changed.
     */
    int32_t (*join)(const struct sg_root_v1 *table, struct sg_root *root, const sg_mount_view *view,
                    const sg_mount_share *share, int32_t *mount, sg_error *err);
} sg_host_mount_v2;

#ifdef __cplusplus
}
#endif
#endif
