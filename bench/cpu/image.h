/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_IMAGE_H
#define VB_CPU_IMAGE_H

/* Operands [N,C,H,W] as pixels that have channels, read and written as fp32 whatever their type.
 * Where the channels follow each other as fp32 nothing is copied. */

#include "cpu/array.h"

/* Channels that a kernel takes of a pixel at a time, from its stack. */
enum { VB_CHANNELS_AT_ONCE = 512 };

struct vb_image {
    char *data; /* of channel 0 of the first pixel */
    enum vb_dtype dtype;
    size_t n, c, h, w;
    size_t stride_n, stride_c, stride_h, stride_w; /* in elements */
};

/* The call's operands, `n` arrays of which the operator's numbers `images` are images of
 * floating-point numbers, with elements; a shape [N,C] is an image of one pixel each. VB_E_DEVICE:
 * they are not. */
VB_CHECKED enum vb_status vb_images_of(const struct vb_cpu_work *work, uint32_t n,
                                       struct vb_array *arrays, uint32_t images,
                                       struct vb_error *err);
struct vb_image vb_image_of(const struct vb_array *array);

static inline char *vb_pixel(const struct vb_image *image, size_t n, size_t h, size_t w, size_t c)
{
    return image->data +
           (n * image->stride_n + c * image->stride_c + h * image->stride_h + w * image->stride_w) *
               vb_dtype_bytes[image->dtype];
}

static inline bool vb_is_direct(const struct vb_image *image)
{
    return image->dtype == VB_FLOAT32 && image->stride_c == 1;
}

/* `n` channels of a pixel, from one on, to fp32 and back. */
static inline void vb_load_channels(const struct vb_image *image, char *pixel, size_t n, float *to)
{
    const struct vb_strip from = { pixel, image->dtype, image->stride_c };
    vb_strip_copy(&from, &(struct vb_strip){ (char *)to, VB_FLOAT32, 1 }, n);
}

static inline void vb_store_channels(const struct vb_image *image, char *pixel, size_t n,
                                     float *from)
{
    const struct vb_strip to = { pixel, image->dtype, image->stride_c };
    vb_strip_copy(&(struct vb_strip){ (char *)from, VB_FLOAT32, 1 }, &to, n);
}

/* Where they lie, or in `room`. */
static inline const float *vb_read_channels(const struct vb_image *image, char *pixel, size_t n,
                                            float *room)
{
    if (vb_is_direct(image))
        return (const float *)(const void *)pixel;
    vb_load_channels(image, pixel, n, room);
    return room;
}

#endif
