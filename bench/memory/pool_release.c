/* SPDX-License-Identifier: Apache-2.0 */
/* How a pool gives memory back: all that is whole and free, an oversize block that would do, or
 * what has not been used for long. Source: torch-memory.md, part A, 1.8 and 1.9. */

#include "memory/pool_state.h"

/* A segment that is one free block goes back to the device. */
static void release(struct vb_pool *pool, struct vb_block *block)
{
    vb_block_set_remove(&vb_half_of(pool, block->is_small)->free, block);
    pool->source.release(pool->source.context, block->address, block->bytes);
    vb_stat_sub(&pool->stats.segments, 1);
    vb_stat_sub(&pool->stats.reserved_bytes, block->bytes);
    vb_block_recycle(pool, block);
}

static bool is_whole_segment(const struct vb_block *block)
{
    return block->range == NULL && block->before == NULL && block->after == NULL;
}

static void release_half(struct vb_pool *pool, struct vb_half *half)
{
    struct vb_block *block = vb_block_set_at_least(&half->free, 0, 0, 0);
    while (block != NULL) {
        struct vb_block *next = vb_block_set_next(&half->free, block);
        if (is_whole_segment(block))
            release(pool, block);
        block = next;
    }
    /* Shrinking changes the set, so it begins again after each block that lost pages. */
    for (block = vb_block_set_at_least(&half->free, 0, 0, 0);
         block != NULL && pool->options.expandable_segments;) {
        struct vb_block *next = vb_block_set_next(&half->free, block);
        uint64_t before = pool->stats.reserved_bytes.current;
        if (block->range != NULL)
            vb_range_shrink(pool, block);
        block = pool->stats.reserved_bytes.current < before
                    ? vb_block_set_at_least(&half->free, 0, 0, 0)
                    : next;
    }
}

void vb_pool_empty_cache(struct vb_pool *pool)
{
    release_half(pool, &pool->large);
    release_half(pool, &pool->small);
}

/* With max_split_size set: one oversize block that would do, or the largest ones until they would.
 */
bool vb_release_oversize(struct vb_pool *pool, bool is_small, uint64_t stream, uint64_t bytes)
{
    struct vb_block_set *free = &vb_half_of(pool, is_small)->free;
    uint64_t limit = pool->options.max_split_bytes;
    uint64_t wanted = bytes < limit ? limit : bytes;
    uint64_t released = 0;
    if (limit == 0)
        return false;
    struct vb_block *block = vb_block_set_at_least(free, stream, wanted, 0);
    if (block != NULL && block->stream == stream) {
        release(pool, block);
        return true;
    }
    block = vb_block_set_at_least(free, stream, UINT64_MAX, UINT64_MAX);
    struct vb_block probe = { .stream = stream, .bytes = UINT64_MAX, .address = UINT64_MAX };
    block = vb_block_set_previous(free, &probe);
    while (released < wanted && block != NULL && block->stream == stream && block->bytes >= limit) {
        struct vb_block *smaller = vb_block_set_previous(free, block);
        if (block->range == NULL) {
            released += block->bytes;
            release(pool, block);
        }
        block = smaller;
    }
    return released >= wanted;
}

/* Frees whole free segments of the large pool that are at least as old as the mean, until the
 * reserved bytes are below the threshold or nothing is left to free. */
void vb_collect_garbage(struct vb_pool *pool)
{
    struct vb_half *half = &pool->large;
    double threshold = pool->options.garbage_threshold * pool->options.memory_fraction *
                       (double)pool->source.total_bytes;
    uint64_t limit = (uint64_t)threshold;
    uint64_t start = pool->stats.reserved_bytes.current;
    if (start <= limit)
        return;
    uint64_t goal = start - limit;
    bool freed = true;
    while (freed && start - pool->stats.reserved_bytes.current < goal) {
        uint64_t total = 0, n = 0;
        struct vb_block *block = vb_block_set_at_least(&half->free, 0, 0, 0);
        for (; block != NULL; block = vb_block_set_next(&half->free, block)) {
            if (is_whole_segment(block)) {
                total += half->searches - block->searches_at_free;
                n++;
            }
        }
        double mean = n > 0 ? (double)total / (double)n : 0;
        freed = false;
        for (block = vb_block_set_at_least(&half->free, 0, 0, 0);
             block != NULL && start - pool->stats.reserved_bytes.current < goal;) {
            struct vb_block *next = vb_block_set_next(&half->free, block);
            if (is_whole_segment(block) &&
                (double)(half->searches - block->searches_at_free) >= mean) {
                release(pool, block);
                freed = true;
            }
            block = next;
        }
    }
}
