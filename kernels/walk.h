/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_WALK_H
#define VB_KERNELS_WALK_H

/* Operands as kernels take them: where they lie, how they go along axes that are theirs in common,
 * and how many threads share them. C and CUDA. */

#include <stdint.h>

enum { VB_AXES = 5 };

/* Threads of a block, of all kernels. */
enum { VB_BLOCK_LOG = 8, VB_BLOCK = 1 << VB_BLOCK_LOG };

/* What a thread moves at once where it can, and how many neighbours it then has at once. */
enum { VB_PACK_BYTES = 16, VB_EIGHT = 8 };

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

/* How the threads of a block share lines of elements: 1 << lanes_log threads a line, a power of two
 * and no more than the block has. Threads that follow each other take elements of one line, or, if
 * `across`, of lines that lie beside each other. */
struct vb_seats {
    uint32_t lanes_log, across;
};

#endif
