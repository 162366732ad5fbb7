/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_RANDOM_H
#define VB_KERNELS_RANDOM_H

/* Random numbers by their place in a sequence, those of cpu/random.h. For kernels. */

#include "kernels/grid.h"

#ifdef VB_HOST_GRID
#include "cpu/random.h"
#else
VB_DEVICE uint64_t vb_random(uint64_t seed, uint64_t place)
{
    uint64_t z = seed + (place + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}
#endif

#endif
