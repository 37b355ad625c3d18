/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layers.h: images of layers that other images have too (tables "layers" 1 and "image_layers" 1 of a format, optional).
 *
 * A layer that was stored once is kept by the host as a *segment*: a file with the stored bytes of all of the layer's
 * regular files, which any writer of the same family takes without decompressing. The bytes of an image are the same
 * whether its layers came as segments or as streams: so a writer lays out a layer by what the layer holds, files that
 * the image does not show included.
 */
#ifndef SINGULARITY_LAYERS_H
#define SINGULARITY_LAYERS_H

#include <singularity/format.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open segment. */
typedef struct sg_segment sg_segment;

/*
 * A layer's files are its regular files that have bytes, numbered from 0 in the order of its archive. Between `begin`
 * or `begin_stored` and `end` the host names each of them once, in this order: by sg_writer_v1.content (with its exact
 * size) or `hidden`, or by `stored`. Calls of sg_writer_v1 outside of layers, and `adopt`, are as ever. Since 1.
 */
typedef struct sg_layers_v1 {
    /* All that the bytes of a segment depend on besides the layer: equal text = segments are interchangeable. Lives as
     * long as the writer. */
    const char *(*family)(sg_writer *self);
    /* A layer's contents come now. `segment`: an empty file, open for reading and writing, that is filled with the
     * layer's segment and stays the caller's; -1: none is made. */
    int32_t (*begin)(sg_writer *self, int32_t segment, sg_error *err);
    /* A file that the image does not show. `data` (closed in any case) may be NULL when no segment is made. */
    int32_t (*hidden)(sg_writer *self, const char *path, uint64_t size, sg_stream *data, const sg_call *call,
                      sg_error *err);
    /* The layer ends. *size: bytes of the whole segment, of which *data_size are before its index; 0: there is none,
     * and *why (lives until the next call) says why when one was wanted: a full disk is no failure of the image. */
    int32_t (*end)(sg_writer *self, const sg_call *call, uint64_t *data_size, uint64_t *size, const char **why,
                   sg_error *err);

    /* Opens a segment that `end` completed; the file's descriptor stays the caller's. The host has compared the index
     * with its checksum. SG_ECORRUPT: it is damaged. */
    int32_t (*open)(int32_t fd, uint64_t data_size, uint64_t size, sg_segment **out, sg_error *err);
    void (*close)(sg_segment *segment);
    uint64_t (*count)(sg_segment *segment);
    /* Bytes of file `number`, decompressed. Any thread. */
    int32_t (*read)(sg_segment *segment, uint64_t number, sg_stream **out, sg_error *err);

    /* A layer comes from `segment`, which must stay open until `end`. */
    int32_t (*begin_stored)(sg_writer *self, sg_segment *segment, sg_error *err);
    /* The next file; *id as `content` gives it when `hidden` is 0. */
    int32_t (*stored)(sg_writer *self, const char *path, int32_t hidden, const sg_call *call, uint64_t *id,
                      sg_error *err);
} sg_layers_v1;

/*
 * Beside "layers": segments that leave in the image what the image has. Such a segment holds what the image does not show,
 * or as much of it as is worth the room, and says where in the image's file the rest lies; so a layer's bytes are stored
 * once. The host uses these functions in place of those of the same name, and sees to it that the file is still the one
 * that was written. Since 1.
 */
typedef struct sg_image_layers_v1 {
    /* As sg_layers_v1.begin. `end` then gives a segment that can be opened once the image is finished. */
    int32_t (*begin)(sg_writer *self, int32_t segment, sg_error *err);
    /* As sg_layers_v1.open; `image` is the finished image's file and stays the caller's. */
    int32_t (*open)(int32_t fd, int32_t image, uint64_t data_size, uint64_t size, sg_segment **out, sg_error *err);
    /* Whether the bytes of file `number` were kept: not 0, or 0. An image that shows a file without must take the layer
     * as a stream; `read` and `stored` answer SG_ECORRUPT for it. */
    int32_t (*has)(sg_segment *segment, uint64_t number);
} sg_image_layers_v1;

#ifdef __cplusplus
}
#endif
#endif
