/* SPDX-License-Identifier: Apache-2.0 */
/* The rules are PyTorch's: best fit by size in two pools, front split, merge with free neighbours,
 * nothing given back unless the device runs out. Free blocks wait in order of (stream, bytes,
 * address); blocks come from slabs and are used again. */

#include "memory/pool.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "memory/pool_state.h"

#define ROUNDING_BYTES UINT64_C(512)
#define SMALL_REQUEST_BYTES VB_MIB(1)
#define SMALL_SEGMENT_BYTES VB_MIB(2)
#define LARGE_SEGMENT_BYTES VB_MIB(20)
#define LARGE_REQUEST_BYTES VB_MIB(10)
#define LARGE_ROUNDING_BYTES VB_MIB(2)

enum { SLAB_BLOCKS = 256 };

struct vb_slab {
    struct vb_slab *next;
    struct vb_block blocks[SLAB_BLOCKS];
};

/* Blocks to spare, and room in each set for all that there are. */
static bool add_slab(struct vb_pool *pool)
{
    struct vb_block_set *sets[] = { &pool->small.free, &pool->small.unmapped, &pool->large.free,
                                    &pool->large.unmapped };
    struct vb_slab *slab = malloc(sizeof *slab);
    bool has_room = slab != NULL;
    for (size_t i = 0; i < sizeof sets / sizeof *sets && has_room; i++)
        has_room = vb_block_set_reserve(sets[i], pool->n_blocks + SLAB_BLOCKS);
    if (!has_room) {
        free(slab);
        return false;
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->n_blocks += SLAB_BLOCKS;
    for (size_t i = 0; i < SLAB_BLOCKS; i++)
        vb_block_recycle(pool, &slab->blocks[i]);
    return true;
}

struct vb_block *vb_block_new(struct vb_pool *pool)
{
    if (pool->spare == NULL && !add_slab(pool))
        return NULL;
    struct vb_block *block = pool->spare;
    pool->spare = block->after;
    *block = (struct vb_block){ .is_mapped = true };
    return block;
}

void vb_block_recycle(struct vb_pool *pool, struct vb_block *block)
{
    block->bytes = 0; /* in no segment */
    block->after = pool->spare;
    pool->spare = block;
}

uint64_t vb_pool_rounded(const struct vb_pool_options *options, uint64_t bytes)
{
    uint64_t divisions = 0;
    if (bytes < ROUNDING_BYTES)
        return ROUNDING_BYTES;
    int log2 = 63 - __builtin_clzll(bytes);
    divisions = options->roundup_divisions[log2 < 20 ? 0 : log2 > 35 ? 15 : log2 - 20];
    if (divisions <= 1 || bytes <= ROUNDING_BYTES * divisions)
        return vb_round_up(bytes, ROUNDING_BYTES);

    uint64_t power = UINT64_C(1) << log2;
    if (power == bytes)
        return bytes;
    uint64_t step = power / divisions;
    return step == 0 ? power * 2 : vb_round_up(bytes, step);
}

static uint64_t segment_bytes(uint64_t bytes)
{
    if (bytes <= SMALL_REQUEST_BYTES)
        return SMALL_SEGMENT_BYTES;
    return bytes < LARGE_REQUEST_BYTES ? LARGE_SEGMENT_BYTES
                                       : vb_round_up(bytes, LARGE_ROUNDING_BYTES);
}

static uint64_t reach(const struct vb_block *block)
{
    const struct vb_block *after = block->after;
    return block->bytes + (after != NULL && !after->is_mapped ? after->bytes : 0);
}

/* Best fit: the smallest that suffices, of those the lowest. Two tests of max_split_size are of
 * this one candidate alone. Among expandable segments' blocks those are preferred that cannot grow
 * as far. */
static struct vb_block *find(struct vb_pool *pool, bool is_small, uint64_t stream, uint64_t bytes)
{
    const struct vb_pool_options *options = &pool->options;
    struct vb_half *half = vb_half_of(pool, is_small);
    half->searches++;
    struct vb_block *block = vb_block_set_at_least(&half->free, stream, bytes, 0);
    if (block == NULL || block->stream != stream)
        return NULL;
    while (options->expandable_segments && block->range != NULL) {
        struct vb_block *next = vb_block_set_next(&half->free, block);
        if (next == NULL || next->stream != stream || reach(next) >= reach(block))
            break;
        block = next;
    }
    uint64_t limit = options->max_split_bytes;
    uint64_t rounding = options->max_non_split_rounding_bytes > 0
                            ? options->max_non_split_rounding_bytes
                            : LARGE_SEGMENT_BYTES;
    if (limit > 0 && bytes < limit && block->bytes >= limit)
        return NULL;
    if (limit > 0 && bytes >= limit && block->bytes >= bytes + rounding)
        return NULL;
    vb_block_set_remove(&half->free, block);
    return block;
}

/* A segment from the device, as one block in no set; NULL with the status where there is none. */
static struct vb_block *reserve(struct vb_pool *pool, bool is_small, uint64_t stream,
                                uint64_t bytes, enum vb_status *status, struct vb_error *err)
{
    uint64_t wanted = segment_bytes(bytes);
    double limit = pool->options.memory_fraction * (double)pool->source.total_bytes;
    if (limit > 0 && (double)(pool->stats.reserved_bytes.current + wanted) > limit) {
        *status = vb_fail(err, VB_E_NO_FIT, "%" PRIu64 " B asked for, beyond the memory fraction",
                          wanted);
        return NULL;
    }
    if (pool->options.expandable_segments)
        return vb_range_grow(pool, is_small, stream, bytes, status, err);

    struct vb_block *block = vb_block_new(pool);
    if (block == NULL) {
        *status = vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
        return NULL;
    }
    *status = pool->source.reserve(pool->source.context, wanted, &block->address, err);
    if (*status != VB_OK) {
        vb_block_recycle(pool, block);
        return NULL;
    }
    block->bytes = wanted;
    block->stream = stream;
    block->is_small = is_small;
    vb_stat_add(&pool->stats.segments, 1);
    vb_stat_add(&pool->stats.reserved_bytes, wanted);
    return block;
}

/* PyTorch's attempts, in its order. */
static struct vb_block *obtain(struct vb_pool *pool, bool is_small, uint64_t stream, uint64_t bytes,
                               enum vb_status *status, struct vb_error *err)
{
    struct vb_block *block = find(pool, is_small, stream, bytes);
    if (block != NULL)
        return block;
    if (pool->options.memory_fraction > 0 && pool->options.garbage_threshold > 0)
        vb_collect_garbage(pool);
    block = reserve(pool, is_small, stream, bytes, status, err);
    if (block == NULL && *status == VB_E_NO_FIT &&
        vb_release_oversize(pool, is_small, stream, bytes))
        block = reserve(pool, is_small, stream, bytes, status, err);
    if (block == NULL && *status == VB_E_NO_FIT) {
        vb_pool_empty_cache(pool);
        pool->stats.n_alloc_retries++;
        block = reserve(pool, is_small, stream, bytes, status, err);
    }
    if (block == NULL && *status == VB_E_NO_FIT)
        pool->stats.n_ooms++;
    return block;
}

static bool should_split(const struct vb_pool *pool, const struct vb_block *block, uint64_t bytes)
{
    uint64_t rest = block->bytes - bytes;
    if (block->is_small || pool->options.expandable_segments)
        return rest >= ROUNDING_BYTES;
    uint64_t limit = pool->options.max_split_bytes;
    return (limit == 0 || bytes < limit) && rest > SMALL_REQUEST_BYTES;
}

/* Leaves the front in `block`; the rest waits as a free block. */
static enum vb_status split(struct vb_pool *pool, struct vb_block *block, uint64_t bytes,
                            struct vb_error *err)
{
    struct vb_half *half = vb_half_of(pool, block->is_small);
    struct vb_block *rest = vb_block_new(pool);
    if (rest == NULL) {
        vb_block_set_insert(&half->free, block); /* else its neighbours would join with no one */
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
    }
    bool was_split = block->before != NULL || block->after != NULL;
    *rest = (struct vb_block){
        .address = block->address + bytes,
        .bytes = block->bytes - bytes,
        .stream = block->stream,
        .before = block,
        .after = block->after,
        .is_small = block->is_small,
        .is_mapped = true,
        .range = block->range,
        .searches_at_free = half->searches,
    };
    if (rest->after != NULL)
        rest->after->before = rest;
    block->after = rest;
    block->bytes = bytes;
    vb_block_set_insert(&half->free, rest);
    if (block->range != NULL)
        return VB_OK;
    if (was_split) {
        vb_stat_sub(&pool->stats.inactive_split_bytes, bytes);
    } else {
        vb_stat_add(&pool->stats.inactive_split_bytes, rest->bytes);
        vb_stat_add(&pool->stats.inactive_splits, 1);
    }
    return VB_OK;
}

static enum vb_status take_native(struct vb_pool *pool, uint64_t bytes, struct vb_block **out,
                                  struct vb_error *err)
{
    struct vb_block *block = vb_block_new(pool);
    if (block == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
    block->bytes = vb_round_up(bytes, ROUNDING_BYTES);
    enum vb_status status =
        pool->source.reserve(pool->source.context, block->bytes, &block->address, err);
    if (status != VB_OK) {
        pool->stats.n_ooms += status == VB_E_NO_FIT;
        vb_block_recycle(pool, block);
        return status;
    }
    vb_stat_add(&pool->stats.segments, 1);
    vb_stat_add(&pool->stats.reserved_bytes, block->bytes);
    *out = block;
    return VB_OK;
}

enum vb_status vb_pool_alloc(struct vb_pool *pool, uint64_t bytes, uint64_t stream,
                             struct vb_block **out, struct vb_error *err)
{
    *out = NULL;
    if (bytes == 0)
        return VB_OK;
    enum vb_status status = VB_OK;
    uint64_t size = vb_pool_rounded(&pool->options, bytes);
    struct vb_block *block = NULL;
    if (size > INT64_MAX)
        return vb_fail(err, VB_E_NO_FIT, "%" PRIu64 " B asked for, more than any device has",
                       bytes);
    if (pool->options.native) {
        status = take_native(pool, bytes, &block, err);
    } else {
        block = obtain(pool, size <= SMALL_REQUEST_BYTES, stream, size, &status, err);
        if (block != NULL && should_split(pool, block, size)) {
            status = split(pool, block, size, err);
        } else if (block != NULL && block->range == NULL &&
                   (block->before != NULL || block->after != NULL)) {
            vb_stat_sub(&pool->stats.inactive_split_bytes, block->bytes);
            vb_stat_sub(&pool->stats.inactive_splits, 1);
        }
    }
    if (block == NULL || status != VB_OK)
        return status;
    vb_count_taken(pool, block, bytes);
    *out = block;
    return VB_OK;
}

uint64_t vb_block_join(struct vb_pool *pool, struct vb_block *block, struct vb_block *neighbour)
{
    if (neighbour == NULL || neighbour->is_taken || neighbour->is_mapped != block->is_mapped)
        return 0;
    struct vb_half *half = vb_half_of(pool, block->is_small);
    vb_block_set_remove(neighbour->is_mapped ? &half->free : &half->unmapped, neighbour);
    if (neighbour == block->before) {
        block->address = neighbour->address;
        block->before = neighbour->before;
        if (block->before != NULL)
            block->before->after = block;
    } else {
        block->after = neighbour->after;
        if (block->after != NULL)
            block->after->before = block;
    }
    uint64_t bytes = neighbour->bytes;
    block->bytes += bytes;
    vb_block_recycle(pool, neighbour);
    return bytes;
}

/* Free: the neighbours that wait go into it, and all of it waits. */
static void make_free(struct vb_pool *pool, struct vb_block *block)
{
    struct vb_half *half = vb_half_of(pool, block->is_small);
    struct vb_pool_stats *stats = &pool->stats;
    uint64_t joined[2] = { vb_block_join(pool, block, block->before),
                           vb_block_join(pool, block, block->after) };
    block->searches_at_free = half->searches;
    vb_block_set_insert(&half->free, block);
    if (block->range != NULL)
        return;
    for (size_t i = 0; i < 2; i++) {
        if (joined[i] > 0) {
            vb_stat_sub(&stats->inactive_split_bytes, joined[i]);
            vb_stat_sub(&stats->inactive_splits, 1);
        }
    }
    if (block->before != NULL || block->after != NULL) {
        vb_stat_add(&stats->inactive_split_bytes, block->bytes);
        vb_stat_add(&stats->inactive_splits, 1);
    }
}

void vb_pool_free(struct vb_pool *pool, struct vb_block *block)
{
    struct vb_pool_stats *stats = &pool->stats;
    if (block == NULL)
        return;
    assert(block->is_taken);
    block->is_taken = false;
    vb_stat_sub(&stats->allocations, 1);
    vb_stat_sub(&stats->allocated_bytes, block->bytes);
    vb_stat_sub(&stats->active, 1);
    vb_stat_sub(&stats->active_bytes, block->bytes);
    vb_stat_sub(&stats->requested_bytes, block->requested_bytes);
    if (!pool->options.native) {
        make_free(pool, block);
        return;
    }
    pool->source.release(pool->source.context, block->address, block->bytes);
    vb_stat_sub(&stats->segments, 1);
    vb_stat_sub(&stats->reserved_bytes, block->bytes);
    vb_block_recycle(pool, block);
}

enum vb_status vb_pool_open(const struct vb_source *source, const struct vb_pool_options *options,
                            struct vb_pool **out, struct vb_error *err)
{
    struct vb_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
    pool->source = *source;
    pool->options = *options;
    pool->small.unmapped.by_address = pool->large.unmapped.by_address = true;
    pool->next_range_address = UINT64_C(1) << 47;
    *out = pool;
    return VB_OK;
}

/* Every segment goes back, also those whose blocks are still taken: walked from the slabs, where
 * each block that begins a segment is found. */
void vb_pool_close(struct vb_pool *pool)
{
    if (pool == NULL)
        return;
    for (struct vb_slab *slab = pool->slabs; slab != NULL; slab = slab->next) {
        for (size_t i = 0; i < SLAB_BLOCKS; i++) {
            struct vb_block *block = &slab->blocks[i];
            uint64_t bytes = 0;
            if (block->bytes == 0 || block->before != NULL || block->range != NULL)
                continue;
            for (const struct vb_block *b = block; b != NULL; b = b->after)
                bytes += b->bytes;
            pool->source.release(pool->source.context, block->address, bytes);
        }
    }
    vb_range_close_all(pool);
    vb_block_set_clear(&pool->small.free);
    vb_block_set_clear(&pool->small.unmapped);
    vb_block_set_clear(&pool->large.free);
    vb_block_set_clear(&pool->large.unmapped);
    while (pool->slabs != NULL) {
        struct vb_slab *next = pool->slabs->next;
        free(pool->slabs);
        pool->slabs = next;
    }
    free(pool);
}

void vb_pool_each_block(const struct vb_pool *pool, vb_block_visitor *visit, void *context)
{
    for (const struct vb_slab *slab = pool->slabs; slab != NULL; slab = slab->next) {
        for (size_t i = 0; i < SLAB_BLOCKS; i++) {
            const struct vb_block *block = &slab->blocks[i];
            if (block->bytes > 0 && block->is_mapped)
                visit(context, block->address, block->bytes, block->is_taken);
        }
    }
}

uint64_t vb_block_address(const struct vb_block *block)
{
    return block->address;
}

uint64_t vb_block_bytes(const struct vb_block *block)
{
    return block->bytes;
}

void vb_pool_reset_peaks(struct vb_pool *pool)
{
    struct vb_pool_stats *s = &pool->stats;
    struct vb_pool_stat *all[] = {
        &s->requested_bytes,      &s->allocated_bytes, &s->active_bytes, &s->reserved_bytes,
        &s->inactive_split_bytes, &s->allocations,     &s->active,       &s->segments,
        &s->inactive_splits,
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        all[i]->peak = all[i]->current;
}

const struct vb_pool_stats *vb_pool_stats(const struct vb_pool *pool)
{
    return &pool->stats;
}
