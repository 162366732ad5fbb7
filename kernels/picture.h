/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_PICTURE_H
#define VB_KERNELS_PICTURE_H

/* Arguments of the kernels that draw and compose pictures. C and CUDA. */

#include "kernels/image.h"

/* Pixels of a row that lie in one pack. */
enum { VB_SIXTEEN = 16 };

/* The walk is y's, or that of packs: of one picture, on which `blocks` blocks work at a time. */
struct vb_pictures_drawn {
    struct vb_image_walk walk;
    struct vb_image_lying x, z, y;
    uint64_t seed;
    uint32_t pictures, blocks;
};

/* The walk is that of the left half of each row of y, what is in the middle too. */
struct vb_flip {
    struct vb_image_walk walk;
    struct vb_image_lying x, y;
};

#endif
