/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format.h: how an image lies on disk (`provides: - format: {name: NAME}`). Table "format" 1 opens,
 * reads and writes images; table "parts" 1 (optional) lists and edits the objects beside the root
 * file system, as SIF has them.
 */
#ifndef SINGULARITY_FORMAT_H
#define SINGULARITY_FORMAT_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- A root file system that can be read at random ------------------------------------------ */

#define SG_NO_CONTENT UINT64_MAX
#define SG_NO_NODE UINT64_MAX

/* Attributes of a node. Since 1. */
typedef struct sg_attr {
    uint32_t mode;    /* type and permission bits, as st_mode */
    uint32_t uid, gid;
    uint32_t nlink;
    int64_t mtime;    /* seconds; formats clamp to what they can hold */
    uint64_t size;    /* regular file: bytes; symbolic link: length of its target; else 0 */
    uint32_t major, minor; /* of a device */
    uint64_t inode;   /* the same for all names of one file, unique in the image otherwise; >= 1 */
    uint64_t content; /* in a tree for `finish`: what `content` or `adopt` gave, SG_NO_CONTENT for an
                         empty file and everything that is no regular file; readers set SG_NO_CONTENT */
} sg_attr;

/* Return 0 to go on, anything else to stop. `cursor` continues after this entry. */
typedef int32_t (*sg_visit_entry)(void *arg, const char *name, uint64_t length, uint64_t node, uint32_t type,
                                  uint64_t cursor);
typedef int32_t (*sg_visit_xattr)(void *arg, const char *name, const void *value, uint64_t size);

/* Where small files share one stored block, so that a server can hand over neighbours. */
typedef struct sg_placement {
    uint64_t shared;        /* number of the shared block, or UINT64_MAX when the file has none */
    uint64_t shared_offset; /* of the file's tail in the decompressed block */
    uint64_t tail_size;     /* bytes of the tail; equals the file's size when it lies there wholly */
} sg_placement;

/* Blocks as stored, for `adopt`. Offsets are absolute in the descriptor of `fd`. */
typedef struct sg_stored_block {
    uint64_t offset;
    uint32_t size; /* 0: a hole of one block */
    uint32_t raw;  /* 1: not compressed */
} sg_stored_block;

typedef struct sg_root sg_root;

/* Optional part of a reader whose blocks another writer of the same family can take as they are. Any thread. */
typedef struct sg_stored_v1 {
    const char *(*family)(sg_root *self); /* equal text = blocks are interchangeable: "squashfs zstd 131072" */
    int32_t (*fd)(sg_root *self);         /* stays the reader's */
    /* Fills at most `capacity` blocks, *count is how many the file has; *shared.size 0: no shared tail. */
    int32_t (*blocks)(sg_root *self, uint64_t node, sg_stored_block *out, uint64_t capacity, uint64_t *count,
                      sg_stored_block *shared, uint64_t *shared_offset, sg_error *err);
} sg_stored_v1;

/*
 * A root file system as nodes. All functions from any thread, several at once. Nodes are numbers that
 * stay valid until the image is closed; an unknown one gives SG_ENOTFOUND and damaged data
 * SG_ECORRUPT, never a crash. In a tree given to `finish`, `read`, `block`, `placement` and `stored`
 * are NULL. Since 1.
 */
typedef struct sg_root_v1 {
    uint64_t (*root)(sg_root *self);
    int32_t (*stat)(sg_root *self, uint64_t node, sg_attr *out, sg_error *err);
    /* SG_ENOTFOUND without filling err when there is no such name. */
    int32_t (*lookup)(sg_root *self, uint64_t dir, const char *name, uint64_t length, uint64_t *node, sg_error *err);
    /* Visits in byte order of names; `cursor` 0 is the start. No "." and "..". */
    int32_t (*list)(sg_root *self, uint64_t dir, uint64_t cursor, sg_visit_entry visit, void *arg, sg_error *err);
    /* Copies the target without NUL; *length is its whole length. */
    int32_t (*link_target)(sg_root *self, uint64_t node, char *out, uint64_t capacity, uint64_t *length, sg_error *err);
    /* Full names, as "security.capability", in a stable order. Of SG_NO_NODE it may give SG_OK, having visited
     * nothing: then no node of the image has any (host since 4.0.0; SG_ENOTFOUND: some may have). */
    int32_t (*xattrs)(sg_root *self, uint64_t node, sg_visit_xattr visit, void *arg, sg_error *err);
    /* Reads into `data`; *got less than `capacity` only at the file's end. */
    int32_t (*read)(sg_root *self, uint64_t node, uint64_t offset, void *data, uint64_t capacity, uint64_t *got,
                    sg_error *err);
    /* The decompressed bytes from `offset` to the end of its block, with one reference for the caller
     * (holes: data NULL, no owner); size 0 at the end of the file. */
    int32_t (*block)(sg_root *self, uint64_t node, uint64_t offset, sg_slice *out, sg_error *err);
    int32_t (*placement)(sg_root *self, uint64_t node, sg_placement *out, sg_error *err);
    /* Bytes of the file systems content and number of inodes, for statfs. */
    void (*totals)(sg_root *self, uint64_t *bytes, uint64_t *inodes, uint32_t *block_size);
    const sg_stored_v1 *stored; /* NULL: none */
} sg_root_v1;

/* ---- An image file ---------------------------------------------------------------------------- */

typedef struct sg_image_file sg_image_file;

/* How the kernel can mount it. Since 1. */
typedef struct sg_mount_plan {
    char type[32];   /* "squashfs", "ext3", or "bind" for a directory */
    char path[4096]; /* absolute file or directory */
    uint64_t offset, size; /* of the file system in the file */
    int32_t writable;      /* 1: the format allows writing */
} sg_mount_plan;

typedef struct sg_image_info {
    char format[32];  /* "sif", "sandbox", "squashfs" */
    char arch[32];    /* Go name, or "" when unknown */
    int32_t runnable; /* 1: it has a root file system */
    int32_t encrypted;
} sg_image_info;

/* What a new image is to be. Since 1. */
typedef struct sg_create {
    int32_t fd;       /* read-write, empty, unnamed or temporary file that the host renames at the end; -1 when
                         the format makes a directory (manifest: `shape: directory`) */
    const char *path; /* of the empty directory, or a name to show in messages */
    const char *arch; /* Go name */
    const char *compress; /* "zstd:3", "gzip", "" = default; a wrong one is SG_EINVALID */
    int64_t time;     /* for every time stamp of the container format; INT64_MIN: unset (deterministic) */
    uint8_t uuid[16]; /* chosen by the host */
    const sg_pair *options; /* configuration keys of the manifest */
} sg_create;

/*
 * A writer in two phases: contents first, then the tree. One thread at a time. Bytes of the result
 * depend only on the order of the calls and their arguments, never on the number of worker threads.
 */
typedef struct sg_writer sg_writer;
typedef struct sg_writer_v1 {
    /* Adds a part beside the root file system (SIF object), laid out in the order of the calls; parts
     * added before the first content lie before the root file system. SG_EUNSUPPORTED: the format has none. */
    int32_t (*part)(sg_writer *self, const char *type, const char *name, const void *data, uint64_t size,
                    sg_error *err);
    /* Stores one regular file's bytes (closes `data` in any case) and gives an id. `hint` is the path it
     * will probably have; `size` may be SG_SIZE_UNKNOWN. Equal contents may give equal ids. */
    int32_t (*content)(sg_writer *self, const char *hint, uint64_t size, sg_stream *data, const sg_call *call,
                       uint64_t *id, sg_error *err);
    /* Takes a file of a reader (open until `finish` returns) as stored. SG_EUNSUPPORTED (err untouched): `content`. */
    int32_t (*adopt)(sg_writer *self, const sg_root_v1 *table, sg_root *from, uint64_t node, uint64_t *id,
                     sg_error *err);
    /* Writes the tree and everything that is left; the image is complete, but not synced to disk. */
    int32_t (*finish)(sg_writer *self, const sg_root_v1 *table, sg_root *tree, const sg_call *call, sg_error *err);
    void (*close)(sg_writer *self); /* always; without finish the file holds nothing of use */
} sg_writer_v1;

/* Table "format" 1. Any thread. */
typedef struct sg_format_v1 {
    /* 0: not mine; 1 to 100: how sure. `head` are the first bytes (at most 4096) of a file. */
    int32_t (*probe)(const char *path, int32_t is_directory, const void *head, uint64_t size);
    /* Opens; reads only what is needed to know what it is. `writable`: parts will be changed. */
    int32_t (*open)(const char *path, int32_t writable, sg_image_file **out, sg_error *err);
    void (*close)(sg_image_file *image);
    int32_t (*info)(sg_image_file *image, sg_image_info *out, sg_error *err);
    /* The reader; lives until `close`. SG_EUNSUPPORTED with a reason when it cannot be read. */
    int32_t (*root)(sg_image_file *image, const sg_root_v1 **table, sg_root **root, sg_error *err);
    int32_t (*mount_plan)(sg_image_file *image, sg_mount_plan *out, sg_error *err);
    int32_t (*create)(const sg_create *what, const sg_call *call, const sg_writer_v1 **table, sg_writer **out,
                      sg_error *err); /* table slot NULL in a format that is only read */
} sg_format_v1;

/* ---- Parts ("parts" 1): the objects of a SIF -------------------------------------------------- */

typedef struct sg_part {
    uint64_t id;    /* >= 1 */
    uint64_t group; /* 0: none */
    uint64_t link;  /* 0: none */
    int32_t link_is_group;
    uint64_t offset, size; /* in the file */
    int64_t created, modified; /* INT64_MIN: not set */
    char type[32];  /* "deffile", "env", "labels", "partition", "signature", "json", "generic", "message",
                       "sbom", "oci-index", "oci-blob", or "unknown" */
    char name[136];
    const sg_pair *attributes; /* of its type, as ("fs", "Squashfs"), ("part", "*System"), ("arch", "amd64");
                                  lives until the image is closed or changed */
} sg_part;

typedef struct sg_part_spec {
    const char *type;
    const char *name;
    uint64_t group;  /* 0: none */
    uint64_t link;
    int32_t link_is_group;
    uint64_t alignment; /* 0: the format's rule */
    const sg_pair *attributes; /* as in sg_part; all of its type are needed */
    int64_t time;    /* INT64_MIN: not set */
} sg_part_spec;

/* What `digests` hands out for a signature (SIF: as its pkg/integrity hashes an object). */
typedef struct sg_part_bytes {
    uint64_t relative_id;
    uint64_t id;
    const void *descriptor; /* covered bytes of the descriptor; live during the callback */
    uint64_t descriptor_size;
} sg_part_bytes;

typedef struct sg_parts_v1 {
    uint64_t (*count)(sg_image_file *image);
    int32_t (*get)(sg_image_file *image, uint64_t index, sg_part *out, sg_error *err);
    int32_t (*read)(sg_image_file *image, uint64_t id, const sg_call *call, sg_stream **out, sg_error *err);
    int32_t (*add)(sg_image_file *image, const sg_part_spec *spec, sg_stream *data, const sg_call *call, uint64_t *id,
                   sg_error *err); /* closes data */
    int32_t (*remove)(sg_image_file *image, uint64_t id, int32_t zero, sg_error *err);
    int32_t (*set_primary)(sg_image_file *image, uint64_t id, sg_error *err);
    /* Members of the container's header, for people: launch script, version, arch, uuid, times, counts. */
    const sg_pair *(*header)(sg_image_file *image);
    /* The covered bytes of the header, then of each object of `group`, in order of ids. */
    int32_t (*covered)(sg_image_file *image, uint64_t group, const void **header, uint64_t *header_size,
                       int32_t (*visit)(void *arg, const sg_part_bytes *part), void *arg, sg_error *err);
    /* A new, empty container file: fd as in sg_create, no root file system. */
    int32_t (*create)(const sg_create *what, sg_error *err);
} sg_parts_v1;

/* ---- Parts that hold a file system ("part_roots" 1, optional): overlay and data partitions of a SIF ---- */

/* For the part `id`, what "format" 1 says of the whole image; SG_EUNSUPPORTED with a reason for a part without a
 * file system, and for `root` one that only the kernel reads. A reader lives until `close`. Any thread. */
typedef struct sg_part_roots_v1 {
    int32_t (*root)(sg_image_file *image, uint64_t id, const sg_root_v1 **table, sg_root **root, sg_error *err);
    int32_t (*mount_plan)(sg_image_file *image, uint64_t id, sg_mount_plan *out, sg_error *err);
} sg_part_roots_v1;

#ifdef __cplusplus
}
#endif
#endif
