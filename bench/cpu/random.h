/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_RANDOM_H
#define VB_CPU_RANDOM_H

/* Random numbers by their place in a sequence, so that threads draw what one alone would: the
 * generator splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
 * 2014), jumped to where it is. C and CUDA. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/both.h"

/* A sequence for each number. */
VB_BOTH uint64_t vb_seed_of(double number)
{
    uint64_t seed;
    memcpy(&seed, &number, sizeof seed);
    return seed;
}

VB_BOTH uint64_t vb_random(uint64_t seed, uint64_t place)
{
    uint64_t z = seed + (place + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* 0 to `n` - 1; `n` is below 2^32 and not 0. */
VB_BOTH size_t vb_random_below(uint64_t seed, uint64_t place, size_t n)
{
    return (size_t)((vb_random(seed, place) >> 32) * n >> 32);
}

#endif
