/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_POOL_H
#define VB_KERNELS_POOL_H

/* Arguments of the pooling kernels. C and CUDA. */

#include "kernels/image.h"
#include "model/op.h"

/* x and y, or their gradients; the walk is that of what is written. */
struct vb_pool {
    struct vb_image_walk walk;
    struct vb_image_lying x, y, places;
    struct vb_window window;
};

/* Of each of `planes` channels the average of its plane; a block has VB_AVERAGED_LAST of them side
 * by side where channels are neighbours, else VB_AVERAGED. */
enum { VB_AVERAGED = 8, VB_AVERAGED_LAST = 32 };
struct vb_average {
    struct vb_image_lying x, y;
    uint64_t planes;
    uint32_t is_channels_last;
};

#endif
