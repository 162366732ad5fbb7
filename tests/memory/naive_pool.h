/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_NAIVE_POOL_H
#define VB_TESTS_NAIVE_POOL_H

/* PyTorch's allocator by brute force: arrays and scans, written from the specification alone. It
 * shares no code with the pool and is slow on purpose. Segments lie below each other. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAIVE_MIB(n) ((uint64_t)(n) << 20)

enum { NAIVE_BLOCKS = 4096 };

struct naive_block {
    uint64_t segment, address, bytes, stream; /* segment: the first address of its segment */
    uint64_t requested;
    uint64_t since; /* the pool's searches when it became free */
    bool is_small, is_free;
};

struct naive_rules {
    uint64_t max_split;
    uint32_t divisions;
    double fraction, threshold;
};

struct naive_pool {
    struct naive_rules rules;
    struct naive_block blocks[NAIVE_BLOCKS];
    size_t n;
    uint64_t capacity, reserved, allocated, lowest;
    uint64_t searches[2]; /* by is_small */
    uint64_t n_retries, n_ooms, n_collected;
};

static inline uint64_t naive_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static inline uint64_t naive_round(const struct naive_pool *pool, uint64_t bytes)
{
    uint64_t power = 1;
    if (bytes < 512)
        return 512;
    if (pool->rules.divisions <= 1 || bytes <= 512ull * pool->rules.divisions)
        return naive_up(bytes, 512);
    while (power * 2 <= bytes)
        power *= 2;
    if (power == bytes)
        return bytes;
    return naive_up(bytes, power / pool->rules.divisions);
}

static inline void naive_remove(struct naive_pool *pool, size_t i)
{
    pool->blocks[i] = pool->blocks[--pool->n];
}

static inline bool naive_is_whole(const struct naive_pool *pool, size_t i)
{
    for (size_t k = 0; k < pool->n; k++) {
        if (k != i && pool->blocks[k].segment == pool->blocks[i].segment)
            return false;
    }
    return true;
}

static inline long naive_find(struct naive_pool *pool, uint64_t bytes, uint64_t stream,
                              bool is_small)
{
    long best = -1;
    pool->searches[is_small]++;
    for (size_t i = 0; i < pool->n; i++) {
        const struct naive_block *b = &pool->blocks[i];
        if (!b->is_free || b->stream != stream || b->is_small != is_small || b->bytes < bytes)
            continue;
        const struct naive_block *c = best >= 0 ? &pool->blocks[best] : NULL;
        if (c == NULL || b->bytes < c->bytes || (b->bytes == c->bytes && b->address < c->address))
            best = (long)i;
    }
    if (best < 0 || pool->rules.max_split == 0)
        return best;
    uint64_t found = pool->blocks[best].bytes;
    if (bytes < pool->rules.max_split && found >= pool->rules.max_split)
        return -1;
    if (bytes >= pool->rules.max_split && found >= bytes + NAIVE_MIB(20))
        return -1;
    return best;
}

static inline long naive_reserve(struct naive_pool *pool, uint64_t bytes, uint64_t stream,
                                 bool is_small)
{
    uint64_t segment = is_small                ? NAIVE_MIB(2)
                       : bytes < NAIVE_MIB(10) ? NAIVE_MIB(20)
                                               : naive_up(bytes, NAIVE_MIB(2));
    if (pool->reserved + segment > pool->capacity)
        return -1;
    if (pool->rules.fraction > 0 &&
        (double)(pool->reserved + segment) > pool->rules.fraction * (double)pool->capacity)
        return -1;
    pool->reserved += segment;
    pool->lowest -= segment;
    pool->blocks[pool->n] =
        (struct naive_block){ pool->lowest, pool->lowest, segment, stream, 0, 0, is_small, true };
    return (long)pool->n++;
}

static inline void naive_release(struct naive_pool *pool, size_t i)
{
    pool->reserved -= pool->blocks[i].bytes;
    naive_remove(pool, i);
}

static inline void naive_empty_cache(struct naive_pool *pool)
{
    for (size_t i = 0; i < pool->n;) {
        if (pool->blocks[i].is_free && naive_is_whole(pool, i))
            naive_release(pool, i);
        else
            i++;
    }
}

/* Whether garbage collection may take it, and since how many searches it waits. */
static inline bool naive_is_garbage(const struct naive_pool *pool, size_t i, uint64_t *age)
{
    const struct naive_block *b = &pool->blocks[i];
    *age = pool->searches[0] - b->since;
    return b->is_free && !b->is_small && naive_is_whole(pool, i);
}

static inline void naive_collect(struct naive_pool *pool)
{
    uint64_t limit =
        (uint64_t)(pool->rules.threshold * pool->rules.fraction * (double)pool->capacity);
    bool freed = true;
    while (freed && pool->reserved > limit) {
        uint64_t sum = 0, n = 0, age = 0;
        for (size_t i = 0; i < pool->n; i++) {
            if (naive_is_garbage(pool, i, &age)) {
                sum += age;
                n++;
            }
        }
        freed = false;
        for (size_t i = 0; i < pool->n;) {
            /* age >= sum / n, in whole numbers */
            if (naive_is_garbage(pool, i, &age) && age * n >= sum) {
                naive_release(pool, i);
                pool->n_collected++;
                freed = true;
            } else {
                i++;
            }
        }
    }
}

static inline bool naive_release_oversize(struct naive_pool *pool, uint64_t bytes, uint64_t stream,
                                          bool is_small)
{
    uint64_t wanted = bytes < pool->rules.max_split ? pool->rules.max_split : bytes;
    uint64_t released = 0;
    if (pool->rules.max_split == 0)
        return false;
    long best = -1;
    for (size_t i = 0; i < pool->n; i++) {
        const struct naive_block *b = &pool->blocks[i];
        if (!b->is_free || b->stream != stream || b->is_small != is_small || b->bytes < wanted)
            continue;
        const struct naive_block *c = best >= 0 ? &pool->blocks[best] : NULL;
        if (c == NULL || b->bytes < c->bytes || (b->bytes == c->bytes && b->address < c->address))
            best = (long)i;
    }
    if (best >= 0) {
        naive_release(pool, (size_t)best);
        return true;
    }
    while (released < wanted) {
        long largest = -1;
        for (size_t i = 0; i < pool->n; i++) {
            const struct naive_block *b = &pool->blocks[i];
            if (!b->is_free || b->stream != stream || b->is_small != is_small ||
                b->bytes < pool->rules.max_split)
                continue;
            const struct naive_block *c = largest >= 0 ? &pool->blocks[largest] : NULL;
            if (c == NULL || b->bytes > c->bytes ||
                (b->bytes == c->bytes && b->address > c->address))
                largest = (long)i;
        }
        if (largest < 0)
            return false;
        released += pool->blocks[largest].bytes;
        naive_release(pool, (size_t)largest);
    }
    return true;
}

/* The address; 0: out of memory. */
static inline uint64_t naive_alloc(struct naive_pool *pool, uint64_t bytes, uint64_t stream)
{
    uint64_t size = naive_round(pool, bytes);
    bool is_small = size <= NAIVE_MIB(1);
    long found = naive_find(pool, size, stream, is_small);
    if (found < 0 && pool->rules.fraction > 0 && pool->rules.threshold > 0)
        naive_collect(pool);
    if (found < 0)
        found = naive_reserve(pool, size, stream, is_small);
    if (found < 0 && naive_release_oversize(pool, size, stream, is_small))
        found = naive_reserve(pool, size, stream, is_small);
    if (found < 0) {
        naive_empty_cache(pool);
        pool->n_retries++;
        found = naive_reserve(pool, size, stream, is_small);
    }
    if (found < 0) {
        pool->n_ooms++;
        return 0;
    }
    struct naive_block *block = &pool->blocks[found];
    uint64_t rest = block->bytes - size;
    bool splits = is_small ? rest >= 512
                           : rest > NAIVE_MIB(1) &&
                                 (pool->rules.max_split == 0 || size < pool->rules.max_split);
    block->is_free = false;
    block->requested = bytes;
    if (splits) {
        pool->blocks[pool->n++] = (struct naive_block){ block->segment,
                                                        block->address + size,
                                                        rest,
                                                        block->stream,
                                                        0,
                                                        pool->searches[is_small],
                                                        is_small,
                                                        true };
        block->bytes = size;
    }
    pool->allocated += block->bytes;
    return block->address;
}

static inline long naive_neighbour(const struct naive_pool *pool, size_t i, bool after)
{
    const struct naive_block *b = &pool->blocks[i];
    for (size_t k = 0; k < pool->n; k++) {
        const struct naive_block *c = &pool->blocks[k];
        if (k != i && c->segment == b->segment && c->is_free &&
            (after ? c->address == b->address + b->bytes : c->address + c->bytes == b->address))
            return (long)k;
    }
    return -1;
}

static inline void naive_free(struct naive_pool *pool, uint64_t address)
{
    for (size_t i = 0; i < pool->n; i++) {
        struct naive_block *block = &pool->blocks[i];
        if (block->address != address || block->is_free)
            continue;
        block->is_free = true;
        block->since = pool->searches[block->is_small];
        pool->allocated -= block->bytes;
        long before = naive_neighbour(pool, i, false);
        if (before >= 0) {
            block->address = pool->blocks[before].address;
            block->bytes += pool->blocks[before].bytes;
        }
        long after = naive_neighbour(pool, i, true);
        if (after >= 0)
            block->bytes += pool->blocks[after].bytes;
        uint64_t start = block->address;
        for (size_t k = 0; k < pool->n;) {
            struct naive_block *c = &pool->blocks[k];
            bool is_inside = c->is_free && c != block && c->segment == block->segment &&
                             c->address >= start && c->address < start + block->bytes;
            if (!is_inside) {
                k++;
                continue;
            }
            bool moved = &pool->blocks[pool->n - 1] == block;
            naive_remove(pool, k);
            if (moved)
                block = &pool->blocks[k];
        }
        return;
    }
}

#endif
