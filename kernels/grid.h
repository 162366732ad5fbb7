/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_GRID_H
#define VB_KERNELS_GRID_H

/* The grid that a kernel runs on: a GPU's, where nvcc compiles it, or with VB_HOST_GRID one thread
 * of the host that plays all threads of a block, block after block. So that both are the same
 * source, what threads do between two barriers stands in VB_THREADS(t) {..}; what a thread wants to
 * know after a barrier it leaves in VB_SHARED(type, name, [n]), or what it alone wants to know in
 * VB_KEEP(type, name), which VB_KEPT(name, t) is then. A kernel that needs no barrier walks over
 * its elements with VB_STRIDE(i, n) {..}. VB_UNROLL(n) before a loop that indexes what is to be in
 * registers makes n rounds one.
 *
 * The host runs VB_THREADS for each thread in turn, and so comes to no barrier too early. To find
 * one that is missing it can also run the kernel for one thread alone, until that waits at a
 * barrier, then for the next one (tests/kernels/host_grid.h).
 *
 * No VB_THREADS or VB_STRIDE stands in another, and nothing returns out of one. A kernel takes one
 * struct, called `a`.
 */

#include <stdint.h>

#include "kernels/walk.h"

#ifdef VB_HOST_GRID

#include <stddef.h>

#define VB_DEVICE static inline

/* The block that runs, and those of its threads whose turn it is. */
struct vb_grid {
    uint32_t x, y;     /* the block's place */
    uint32_t blocks_x; /* of the grid */
    uint32_t block;    /* threads */
    const uint32_t *first, *last;
    const uint32_t *next; /* of them, on a VB_STRIDE that has come to this row of elements: */
    uint64_t row;
};
extern struct vb_grid vb_grid;

/* What the grid does where a block declares shared memory, and where it comes to a barrier. */
void vb_begin_shared(void *shared, size_t bytes);
void vb_wait(const char *file, uint32_t line);

/* What VB_THREADS goes over. */
struct vb_turns {
};
VB_DEVICE const uint32_t *begin(const struct vb_turns &)
{
    return vb_grid.first;
}
VB_DEVICE const uint32_t *end(const struct vb_turns &)
{
    return vb_grid.last;
}

/* The next element below n of a thread whose turn it is; n or more: none is left. */
VB_DEVICE uint64_t vb_next_element(uint64_t n)
{
    while (vb_grid.row < n) {
        if (vb_grid.next == vb_grid.last) {
            vb_grid.row += (uint64_t)vb_grid.blocks_x * vb_grid.block;
            vb_grid.next = vb_grid.first;
            continue;
        }
        const uint64_t i = vb_grid.row + *vb_grid.next++;
        if (i < n)
            return i;
    }
    return n;
}

VB_DEVICE uint64_t vb_first_element(uint64_t n)
{
    vb_grid.row = (uint64_t)vb_grid.x * vb_grid.block;
    vb_grid.next = vb_grid.first;
    return vb_next_element(n);
}

#define VB_KERNEL(name, type) extern "C" void name(const type &a)
#define VB_SHARED(type, name, ...)                                                                 \
    static type name __VA_ARGS__;                                                                  \
    vb_begin_shared(&name, sizeof name)
#define VB_BARRIER() vb_wait(__FILE__, __LINE__)
#define VB_THREADS(t) for (const uint32_t t : vb_turns())
#define VB_KEEP(type, name) static type name##_of_all[VB_BLOCK]
#define VB_KEPT(name, t) name##_of_all[t]
#define VB_UNROLL(n)
#define VB_STRIDE(i, n) for (uint64_t i = vb_first_element(n); i < (n); i = vb_next_element(n))
#define VB_BLOCK_X vb_grid.x
#define VB_BLOCK_Y vb_grid.y
#define VB_BLOCKS_X vb_grid.blocks_x

/* Where it is `was` it becomes `next`, at once for all threads; gives what it was. */
template <class Word> static inline Word vb_swap_if(Word *at, Word was, Word next)
{
    const Word before = *at;
    *at = before == was ? next : before;
    return before;
}
/* Added at once for all threads. */
VB_DEVICE void vb_add_at(float *at, float x)
{
    *at += x;
}
VB_DEVICE void vb_add_at(uint64_t *at, uint64_t x)
{
    *at += x;
}

#else

/* As many of a kernel's blocks find room on a multiprocessor: 80 registers a thread. Not told so,
 * ptxas spills where it would come to a little more than its idea of a good number. */
enum { VB_BLOCKS_AT_ONCE = 3 };

#define VB_KERNEL(name, type)                                                                      \
    extern "C" __global__ void __launch_bounds__(VB_BLOCK, VB_BLOCKS_AT_ONCE)                      \
        name(const __grid_constant__ type a)
#define VB_DEVICE static __device__ __forceinline__
#define VB_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
#define VB_BARRIER() __syncthreads()
#define VB_THREADS(t) for (uint32_t t = threadIdx.x, vb_once = 0; vb_once == 0; vb_once = 1)
#define VB_KEEP(type, name) type name##_of_mine[1]
#define VB_KEPT(name, t) name##_of_mine[0 * (t)]
#define VB_PRAGMA(text) _Pragma(#text)
#define VB_UNROLL(n) VB_PRAGMA(unroll n)
#define VB_STRIDE(i, n)                                                                            \
    for (uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n);                    \
         i += (uint64_t)gridDim.x * blockDim.x)
#define VB_BLOCK_X blockIdx.x
#define VB_BLOCK_Y blockIdx.y
#define VB_BLOCKS_X gridDim.x

VB_DEVICE uint32_t vb_swap_if(uint32_t *at, uint32_t was, uint32_t next)
{
    return atomicCAS(at, was, next);
}
VB_DEVICE uint16_t vb_swap_if(uint16_t *at, uint16_t was, uint16_t next)
{
    return atomicCAS(at, was, next);
}
VB_DEVICE uint64_t vb_swap_if(uint64_t *at, uint64_t was, uint64_t next)
{
    return atomicCAS((unsigned long long *)at, was, next);
}
/* By its word of 32 bits, all of which is memory: allocations are multiples of that. */
VB_DEVICE uint8_t vb_swap_if(uint8_t *at, uint8_t was, uint8_t next)
{
    const uint32_t shift = (uint32_t)((uintptr_t)at % 4) * 8;
    uint32_t *word = (uint32_t *)((uintptr_t)at & ~(uintptr_t)3);
    for (;;) {
        const uint32_t before = *(volatile uint32_t *)word;
        const uint8_t seen = (uint8_t)(before >> shift);
        const uint32_t after = (before & ~(0xffU << shift)) | (uint32_t)next << shift;
        if (seen != was || atomicCAS(word, before, after) == before)
            return seen;
    }
}
VB_DEVICE void vb_add_at(float *at, float x)
{
    atomicAdd(at, x);
}
VB_DEVICE void vb_add_at(uint64_t *at, uint64_t x)
{
    atomicAdd((unsigned long long *)at, x);
}

#endif

/* What moves at once. */
struct alignas(VB_PACK_BYTES) vb_pack {
    uint32_t words[4];
};

#endif
