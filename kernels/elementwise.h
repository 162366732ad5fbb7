/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_ELEMENTWISE_H
#define VB_KERNELS_ELEMENTWISE_H

/* Arguments of the elementwise kernels. C and CUDA. */

#include "kernels/walk.h"

/* The operator's numbers, as fp32 arithmetic and as int64's has them. */
struct vb_numbers_of_call {
    float a, b;
    double exact_a; /* for comparisons of whole numbers */
    int64_t whole_a, whole_b;
};

/* Any types and strides. x, z and mask stand as the operator has them, y is the last. */
struct vb_elementwise {
    struct vb_axes axes;
    struct vb_lying operands[4];
    struct vb_numbers_of_call numbers;
    uint32_t op; /* enum vb_operator */
    uint32_t n_operands;
    uint32_t in_floats; /* else in int64 */
};

/* Operands of one floating-point type that lie alike, without gaps, from addresses that are
 * multiples of 16 bytes on; z may be missing (the same as x). */
struct vb_dense {
    const void *x, *z;
    void *y;
    uint64_t n;
    struct vb_numbers_of_call numbers;
    uint32_t op;
};

#endif
