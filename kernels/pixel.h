/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_PIXEL_H
#define VB_KERNELS_PIXEL_H

/* Where an element of an image lies. For kernels. */

#include "kernels/image.h"
#include "kernels/place.h"

struct vb_pixel {
    uint32_t n, c, h, w;
};

VB_DEVICE struct vb_pixel vb_pixel_of(const struct vb_image_walk &walk, uint64_t i)
{
    const struct vb_coordinates place = vb_coordinates_of(walk.axes, i);
    if (walk.is_channels_last)
        return { place.at[3], place.at[0], place.at[2], place.at[1] };
    return { place.at[3], place.at[2], place.at[1], place.at[0] };
}

VB_DEVICE uint64_t vb_pixel_offset(const struct vb_image_lying &image, const struct vb_pixel &pixel)
{
    return (uint64_t)pixel.n * image.stride_n + (uint64_t)pixel.c * image.stride_c +
           (uint64_t)pixel.h * image.stride_h + (uint64_t)pixel.w * image.stride_w;
}

/* A kernel for one element a thread, `name`, and one for eight channels of a pixel, `name`_eight:
 * both run function<1 or VB_EIGHT>(a, pixel) for each pixel of a.walk. */
#define VB_PIXEL_KERNEL(name, type, function, each)                                                \
    VB_KERNEL(name, type)                                                                          \
    {                                                                                              \
        VB_STRIDE(i, a.walk.axes.n)                                                                \
        {                                                                                          \
            function<each>(a, vb_pixel_of(a.walk, i));                                             \
        }                                                                                          \
    }
#define VB_PIXEL_KERNELS(name, type, function)                                                     \
    VB_PIXEL_KERNEL(name, type, function, 1)                                                       \
    VB_PIXEL_KERNEL(name##_eight, type, function, VB_EIGHT)

#endif
