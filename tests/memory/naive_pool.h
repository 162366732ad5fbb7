/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_NAIVE_POOL_H
#define VB_TESTS_NAIVE_POOL_H

/* PyTorch's allocator by brute force: arrays and scans, written from the specification alone. It
 * shares no code with the pool and is slow on purpose. Segment addresses come from a function of
 * the test's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAIVE_BLOCKS = 4096 };

struct naive_block {
    uint64_t segment, address, bytes, stream; /* segment: the first address of its segment */
    bool is_small, is_free;
};

struct naive_pool {
    struct naive_block blocks[NAIVE_BLOCKS];
    size_t n;
    uint64_t capacity, reserved, allocated, lowest;
    uint64_t max_split;
    uint32_t divisions;
    uint64_t n_retries, n_ooms;
};

/* The address; 0: out of memory. */
uint64_t naive_alloc(struct naive_pool *pool, uint64_t bytes, uint64_t stream);
void naive_free(struct naive_pool *pool, uint64_t address);
void naive_empty_cache(struct naive_pool *pool);

#endif
