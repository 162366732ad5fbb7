/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_ROWS_H
#define VB_KERNELS_ROWS_H

/* Arguments of the kernels that read and write rows that an index names. C and CUDA. */

#include "kernels/scratch.h"
#include "kernels/walk.h"

/* Rows of `whole` and as many rows of `other`, one for each pick. */
struct vb_picked_rows {
    struct vb_axes picks, row;
    struct vb_lying indices[VB_AXES];        /* along picks */
    struct vb_lying other_of_pick;           /* along picks */
    struct vb_lying whole, other;            /* along the row */
    uint32_t sizes[VB_AXES], steps[VB_AXES]; /* of whole's axes that the indices go along */
    uint32_t n_indices;
    uint32_t in_floats; /* where they are added; else in int64 */
    struct vb_kernel_scratch *scratch;
};

#endif
