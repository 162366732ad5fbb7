/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_SEARCH_H
#define VB_KERNELS_SEARCH_H

/* Arguments of the kernels that look for what is true and for what is different. C and CUDA. */

#include "kernels/scratch.h"
#include "kernels/walk.h"

/* The mask in order, and the coordinates of what is true in it, or false. It is cut into `n_chunks`
 * of so many tiles; how many are true in each waits in the scratch, then before each, and last in
 * all. */
enum { VB_TILE_RUN = 8, VB_TILE = 2048, VB_MOST_CHUNKS = 8192 };
struct vb_search {
    struct vb_axes axes;
    struct vb_lying mask;
    uint32_t dims[VB_AXES]; /* of the mask's shape, the first axis first */
    uint32_t n_dims;
    int64_t *places; /* [room,n_dims] */
    uint32_t row_step, axis_step;
    uint64_t room, tiles_a_chunk;
    uint32_t n_chunks;
    uint32_t fills; /* what is false follows */
    struct vb_kernel_scratch *scratch;
};

/* Arrays of one axis. */
struct vb_listed {
    void *data; /* NULL: it is not asked for */
    uint32_t dtype, step;
};
struct vb_find_unique {
    struct vb_listed x, values, places, counts;
    uint32_t n, room; /* x's elements, the values' */
    struct vb_kernel_scratch *scratch;
};

#endif
