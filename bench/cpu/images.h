/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_IMAGES_H
#define VB_CPU_IMAGES_H

/* The images of calls that pool or resample. For kernels. */

#include "cpu/image.h"

/* x and y, or their gradients. */
struct vb_pool_images {
    const struct vb_window *window;
    struct vb_image x, y, places;
};

/* The operands numbered so. VB_E_DEVICE: they do not go together. */
VB_CHECKED enum vb_status vb_pool_images_of(const struct vb_cpu_work *work, uint32_t x, uint32_t y,
                                            uint32_t places, struct vb_pool_images *out,
                                            struct vb_error *err);

/* x is what is read. */
struct vb_resample_images {
    struct vb_image x, y;
};

/* VB_E_DEVICE: they do not go together, or are not of sizes that the operator is for. */
VB_CHECKED enum vb_status vb_resample_images_of(const struct vb_cpu_work *work,
                                                struct vb_resample_images *out,
                                                struct vb_error *err);

#endif
