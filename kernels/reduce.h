/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_REDUCE_H
#define VB_KERNELS_REDUCE_H

/* Arguments of the reductions. C and CUDA. */

#include "kernels/scratch.h"
#include "kernels/walk.h"

/* A result is a line: what goes are its elements. Of more than one part each sums up a share of
 * them, and the sums of all results, part after part, wait in the scratch. */
struct vb_reduce {
    struct vb_axes kept, gone;
    struct vb_lying x, y;   /* along kept */
    struct vb_lying x_gone; /* x along gone */
    struct vb_kernel_scratch *scratch;
    struct vb_seats seats;
    uint32_t op;       /* enum vb_operator */
    uint32_t n_parts;  /* the grid's height */
    uint32_t in_packs; /* a line's elements follow each other, from a multiple of 16 bytes on */
};

#endif
