/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_WALK_H
#define VB_KERNELS_WALK_H

/* Operands as kernels take them: where they lie and how they go along axes that are theirs in
 * common. C and CUDA. */

#include <stdint.h>

enum { VB_AXES = 5, VB_ALONG = 6 };

/* A tensor or a part of one; element 0,..,0 is at `data`. */
struct vb_lying {
    void *data;
    uint32_t dtype;            /* enum vb_dtype */
    uint32_t strides[VB_AXES]; /* in elements; axis 0 is the innermost */
};

/* `n` elements: the product of the sizes. Axis 0 is the innermost, one axis at least. */
struct vb_axes {
    uint64_t n;
    uint32_t n_axes;
    uint32_t sizes[VB_AXES];
};

#endif
