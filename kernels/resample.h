/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_RESAMPLE_H
#define VB_KERNELS_RESAMPLE_H

/* Arguments of the kernels that make images of other sizes. C and CUDA. */

#include "kernels/image.h"

/* The walk is y's, which is what is written. The smaller of the two is enlarged by the factors. */
struct vb_resample {
    struct vb_image_walk walk;
    struct vb_image_lying x, y;
    uint32_t factor_h, factor_w;
};

#endif
