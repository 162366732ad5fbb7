/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_IMAGE_H
#define VB_KERNELS_IMAGE_H

/* Images [N,C,H,W] as kernels take them. C and CUDA. */

#include "kernels/walk.h"

struct vb_image_lying {
    void *data;     /* of element 0,..,0 */
    uint32_t dtype; /* enum vb_dtype */
    uint32_t c, h, w;
    uint32_t stride_n, stride_c, stride_h, stride_w; /* in elements */
};

/* The elements of an image, or what lies eight (or more) to a pack of them, in the order in which
 * they lie: the channels innermost, or between rows and images. */
struct vb_image_walk {
    struct vb_axes axes; /* c, w, h, n or w, h, c, n */
    uint32_t is_channels_last;
};

#endif
