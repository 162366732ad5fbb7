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

/* The smallest whole segment of the stream with at least `bytes` free; NULL: none. Blocks of
 * expandable segments are passed over: their addresses are not the source's. */
static struct vb_block *whole_at_least(struct vb_block_set *free, uint64_t stream, uint64_t bytes)
{
    struct vb_block *block = vb_block_set_at_least(free, stream, bytes, 0);
    while (block != NULL && block->stream == stream && !is_whole_segment(block))
        block = vb_block_set_next(free, block);
    return block != NULL && block->stream == stream ? block : NULL;
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
    struct vb_block *block = whole_at_least(free, stream, wanted);
    if (block != NULL) {
        release(pool, block);
        return true;
    }
    struct vb_block end = { .stream = stream, .bytes = UINT64_MAX, .address = UINT64_MAX };
    block = vb_block_set_previous(free, &end);
    while (released < wanted && block != NULL && block->stream == stream && block->bytes >= limit) {
        struct vb_block *smaller = vb_block_set_previous(free, block);
        if (is_whole_segment(block)) {
            released += block->bytes;
            release(pool, block);
        }
        block = smaller;
    }
    return released >= wanted;
}

/* The mean age of the large pool's whole free segments, in searches; 0 where there is none. */
static double mean_age(struct vb_half *half)
{
    uint64_t total = 0, n = 0;
    struct vb_block *block = vb_block_set_at_least(&half->free, 0, 0, 0);
    for (; block != NULL; block = vb_block_set_next(&half->free, block)) {
        if (is_whole_segment(block)) {
            total += half->searches - block->searches_at_free;
            n++;
        }
    }
    return n > 0 ? (double)total / (double)n : 0;
}

/* All of that age and older, also where fewer would do: so it runs seldom. */
static bool release_older(struct vb_pool *pool, struct vb_half *half, double age)
{
    bool released = false;
    struct vb_block *block = vb_block_set_at_least(&half->free, 0, 0, 0);
    while (block != NULL) {
        struct vb_block *next = vb_block_set_next(&half->free, block);
        if (is_whole_segment(block) && (double)(half->searches - block->searches_at_free) >= age) {
            release(pool, block);
            released = true;
        }
        block = next;
    }
    return released;
}

/* Pass after pass frees the large pool's whole segments that are at least as old as the mean, until
 * the reserved bytes are at the threshold or nothing is left to free. */
void vb_collect_garbage(struct vb_pool *pool)
{
    double threshold = pool->options.garbage_threshold * pool->options.memory_fraction *
                       (double)pool->source.total_bytes;
    bool released = true;
    while (released && pool->stats.reserved_bytes.current > (uint64_t)threshold)
        released = release_older(pool, &pool->large, mean_age(&pool->large));
}
