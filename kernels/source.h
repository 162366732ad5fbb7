/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_SOURCE_H
#define VB_KERNELS_SOURCE_H

/* Arguments of the kernels that make numbers. C and CUDA. */

#include "kernels/walk.h"

/* y in order: an element's number makes its value. */
struct vb_source {
    struct vb_axes axes;
    struct vb_lying y;
    double a, b;        /* the operator's numbers */
    uint64_t seed;      /* of a sequence of random numbers */
    uint32_t in_floats; /* else in int64 */
};

#endif
