/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_NORM_PATCH_H
#define VB_CPU_NORM_PATCH_H

/* What batch normalisation's kernels share. An image is cut into patches, stretches of a line's
 * pixels that stay in the cache; for sums the patches are divided into a fixed number of parts, so
 * that they do not depend on the number of threads. */

#include "cpu/image.h"
#include "cpu/kernel.h"

enum { VB_NORM_PATCH = 8192, VB_NORM_PARTS = 32, VB_NORM_VECTORS = 5 };

struct vb_norm {
    const struct vb_array *arrays; /* the call's operands */
    struct vb_image x, y, gradient;
    size_t patch_w, patches_a_line, n_patches;
    double *parts;                   /* two sums of each channel, of each part */
    float *vectors[VB_NORM_VECTORS]; /* of each channel: what the kernel likes */
    size_t counts[VB_NORM_PARTS];    /* pixels of each part */
};

struct vb_patch {
    size_t n, h, w, n_w;
};

/* Which of the call's operands are images, cut alike, of one shape [N,C,H,W]; the others are [C].
 */
struct vb_norm_images {
    uint32_t x, y, gradient; /* VB_NONE: there is none */
};

/* The call's `n` operands. VB_E_DEVICE: they do not go together. */
VB_CHECKED enum vb_status vb_norm_arrays_of(const struct vb_cpu_work *work, uint32_t n,
                                            const struct vb_norm_images *images,
                                            struct vb_array *arrays, struct vb_error *err);
/* The same, and how they are cut. */
VB_CHECKED enum vb_status vb_norm_open(const struct vb_cpu_work *work, uint32_t n,
                                       const struct vb_norm_images *images, struct vb_array *arrays,
                                       struct vb_norm *out, struct vb_error *err);

struct vb_patch vb_norm_patch(const struct vb_norm *norm, size_t patch);
size_t vb_norm_pixels(const struct vb_norm *norm);

/* `n` channels of a patch's pixels: where they lie, or in `room`. `*stride`: from pixel to pixel.
 */
const float *vb_read_patch(const struct vb_image *image, const struct vb_patch *patch, size_t c,
                           size_t n, float *room, size_t *stride);
/* Where to write them; vb_write_patch() then brings them there. */
float *vb_patch_to_write(const struct vb_image *image, const struct vb_patch *patch, size_t c,
                         size_t n, float *room, size_t *stride);
void vb_write_patch(const struct vb_image *image, const struct vb_patch *patch, size_t c, size_t n,
                    float *room);

/* The first sums of a part; the second follow them. */
static inline double *vb_norm_part(const struct vb_norm *norm, size_t part)
{
    return norm->parts + part * 2 * norm->x.c;
}

/* Which patches a part has. */
static inline size_t vb_norm_part_begin(const struct vb_norm *norm, size_t part)
{
    return norm->n_patches * part / VB_NORM_PARTS;
}

/* An operand [C]. */
void vb_read_vector(const struct vb_norm *norm, uint32_t operand, float *to);
void vb_write_vector(const struct vb_norm *norm, uint32_t operand, float *from);

#endif
