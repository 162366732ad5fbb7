/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_LINES_H
#define VB_KERNELS_LINES_H

/* Arguments of operators along the last axis. C and CUDA. */

#include "kernels/scratch.h"
#include "kernels/walk.h"

enum { VB_LINED = 3 };

/* Operands as the operator has them: the walk goes over the lines, `steps` from an element of a
 * line to the next. An operand without such an axis has lines of one element. */
struct vb_line_call {
    struct vb_axes axes;
    struct vb_lying operands[VB_LINED];
    uint32_t steps[VB_LINED], lengths[VB_LINED];
    struct vb_seats seats;
    struct vb_kernel_scratch *scratch;
    double a;    /* the operator's number */
    uint32_t op; /* enum vb_operator */
};

#endif
