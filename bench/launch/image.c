/* SPDX-License-Identifier: Apache-2.0 */
/* Images as kernels take them: parts.h. */

#include "launch/parts.h"

struct vb_image_lying vb_lay_image(const struct vb_image *image)
{
    return (struct vb_image_lying){ .data = image->data,
                                    .dtype = (uint32_t)image->dtype,
                                    .c = (uint32_t)image->c,
                                    .h = (uint32_t)image->h,
                                    .w = (uint32_t)image->w,
                                    .stride_n = (uint32_t)image->stride_n,
                                    .stride_c = (uint32_t)image->stride_c,
                                    .stride_h = (uint32_t)image->stride_h,
                                    .stride_w = (uint32_t)image->stride_w };
}

struct vb_image_walk vb_walk_image(const struct vb_image *image)
{
    const uint32_t n = (uint32_t)image->n, c = (uint32_t)image->c;
    const uint32_t h = (uint32_t)image->h, w = (uint32_t)image->w;
    struct vb_image_walk walk = { .axes = { .n = (uint64_t)n * c * h * w, .n_axes = 4 },
                                  .is_channels_last =
                                      c > 1 && (w == 1 || image->stride_c < image->stride_w) };
    const uint32_t last[] = { c, w, h, n }, in_order[] = { w, h, c, n };
    for (uint32_t i = 0; i < 4; i++)
        walk.axes.sizes[i] = walk.is_channels_last ? last[i] : in_order[i];
    return walk;
}

/* Strides of axes of length 1 are nobody's. */
static bool is_even(size_t size, size_t stride)
{
    return size == 1 || stride % VB_EIGHT == 0;
}

bool vb_has_eights(const struct vb_image *const *images, uint32_t n)
{
    bool has = true;
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_image *of = images[i];
        has = has && of->c % VB_EIGHT == 0 && of->stride_c == 1 && is_even(of->n, of->stride_n) &&
              is_even(of->h, of->stride_h) && is_even(of->w, of->stride_w) &&
              (uintptr_t)of->data % VB_PACK_BYTES == 0;
    }
    return has;
}

struct vb_image_walk vb_walk_eights(const struct vb_image *image)
{
    struct vb_image_walk walk = vb_walk_image(image);
    walk.axes.n /= VB_EIGHT;
    walk.axes.sizes[0] /= VB_EIGHT;
    return walk;
}
