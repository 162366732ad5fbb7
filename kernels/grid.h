/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_GRID_H
#define VB_KERNELS_GRID_H

/* The grid that a kernel runs on: a GPU's, where nvcc compiles it, or with VB_HOST_GRID one thread
 * of the host that plays all threads of a block, block after block. So that both are the same
 * source, what threads do between two barriers stands in VB_THREADS(t) {..}, which the host runs
 * for each t in turn; what a thread wants to know after a barrier it leaves in shared memory. A
 * kernel that needs no barrier walks over its elements with VB_STRIDE(i, n) {..}.
 *
 * No VB_THREADS or VB_STRIDE stands in another, and nothing returns out of one. A kernel takes one
 * struct, called `a`.
 */

#include <stdint.h>

/* Threads of a block, of all kernels. */
enum { VB_BLOCK = 256 };

#ifdef VB_HOST_GRID

struct vb_grid {
    uint32_t x, y;     /* the block's place */
    uint32_t blocks_x; /* of the grid */
    uint32_t block;    /* threads */
};
extern struct vb_grid vb_grid;

#define VB_KERNEL(name, type) extern "C" void name(const type &a)
#define VB_DEVICE static inline
#define VB_SHARED static
#define VB_BARRIER() ((void)0)
#define VB_THREADS(t) for (uint32_t t = 0; t < vb_grid.block; t++)
#define VB_STRIDE(i, n)                                                                            \
    for (uint64_t i = (uint64_t)vb_grid.x * vb_grid.block; i < (n); i = vb_next_element(i))
#define VB_BLOCK_X vb_grid.x
#define VB_BLOCK_Y vb_grid.y
#define VB_BLOCKS_X vb_grid.blocks_x

VB_DEVICE uint64_t vb_next_element(uint64_t i)
{
    const bool is_last = (i + 1) % vb_grid.block == 0;
    return is_last ? i + 1 + (uint64_t)(vb_grid.blocks_x - 1) * vb_grid.block : i + 1;
}

#else

#define VB_KERNEL(name, type)                                                                      \
    extern "C" __global__ void __launch_bounds__(VB_BLOCK) name(const __grid_constant__ type a)
#define VB_DEVICE static __device__ __forceinline__
#define VB_SHARED __shared__
#define VB_BARRIER() __syncthreads()
#define VB_THREADS(t) for (uint32_t t = threadIdx.x, vb_once = 0; vb_once == 0; vb_once = 1)
#define VB_STRIDE(i, n)                                                                            \
    for (uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n);                    \
         i += (uint64_t)gridDim.x * blockDim.x)
#define VB_BLOCK_X blockIdx.x
#define VB_BLOCK_Y blockIdx.y
#define VB_BLOCKS_X gridDim.x

#endif

/* 16 bytes that move at once. */
struct alignas(16) vb_pack {
    uint32_t words[4];
};

#endif
