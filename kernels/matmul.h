/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_MATMUL_H
#define VB_KERNELS_MATMUL_H

/* Arguments of the product of matrices. C and CUDA. */

#include "kernels/walk.h"

/* A block computes a tile of so many rows and columns at a time. */
enum { VB_MATMUL_TILE = 64 };

/* x [m,k], z [k,n], y [m,n]; axis 0 of each is its columns. */
struct vb_matmul {
    struct vb_lying x, z, y;
    uint32_t m, k, n;
};

#endif
