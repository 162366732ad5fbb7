/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_SELECT_H
#define VB_KERNELS_SELECT_H

/* Arguments of the kernels that choose: the largest, the owners of claims, and where numbers go.
 * C and CUDA. VB_OP_TOP_K takes a struct vb_line_call. */

#include "kernels/lines.h"

/* A result is a line: its candidates are its elements. */
struct vb_argmax {
    struct vb_axes axes;
    struct vb_lying x, y;
    uint32_t length, step; /* of what goes */
    struct vb_seats seats;
};

/* Over the places; y goes along their lines, and `step` from an element of its own line of `length`
 * to the next. */
struct vb_scatter {
    struct vb_axes axes;
    struct vb_lying places, z, y;
    uint32_t step, length;
    struct vb_kernel_scratch *scratch;
    uint32_t adds;      /* else z is not there */
    uint32_t in_floats; /* else in int64 */
    float a;
    int64_t whole_a;
};

/* Over the places that are claimed, `n_boxes` times each. */
struct vb_resolve_claims {
    struct vb_axes axes;
    struct vb_lying overlaps, claims;
    uint32_t n_boxes, overlaps_step, claims_step;
};

#endif
