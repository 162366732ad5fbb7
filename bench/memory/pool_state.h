/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_POOL_STATE_H
#define VB_MEMORY_POOL_STATE_H

/* For the pool's own files: what a pool is, and the steps that its files share. */

#include "memory/block.h"
#include "memory/pool.h"

/* One of the two pools: small requests and large ones. */
struct vb_half {
    struct vb_block_set free;
    struct vb_block_set unmapped; /* stretches of expandable segments, by address */
    uint64_t searches;
};

/* An expandable segment: addresses for more than the device holds, mapped page by page. */
struct vb_range {
    uint64_t address, bytes, page_bytes;
    uint64_t *pages;  /* where each page's memory came from; 0: not mapped */
    uint64_t n_pages; /* told of; those beyond were never mapped */
    struct vb_range *next;
};

struct vb_pool {
    struct vb_source source;
    struct vb_pool_options options;
    struct vb_half small, large;
    struct vb_pool_stats stats;
    struct vb_range *ranges;
    uint64_t next_range_address;
    struct vb_block *spare; /* blocks to use again, linked by `after` */
    struct vb_slab *slabs;
    size_t n_blocks; /* in the slabs; each set has room for as many */
};

static inline struct vb_half *vb_half_of(struct vb_pool *pool, bool is_small)
{
    return is_small ? &pool->small : &pool->large;
}

static inline void vb_stat_add(struct vb_pool_stat *stat, uint64_t amount)
{
    stat->current += amount;
    if (stat->current > stat->peak)
        stat->peak = stat->current;
}

static inline void vb_stat_sub(struct vb_pool_stat *stat, uint64_t amount)
{
    stat->current -= amount;
}

/* The block is the caller's from now on, for `bytes`. */
static inline void vb_count_taken(struct vb_pool *pool, struct vb_block *block, uint64_t bytes)
{
    block->is_taken = true;
    block->requested_bytes = bytes;
    vb_stat_add(&pool->stats.allocations, 1);
    vb_stat_add(&pool->stats.allocated_bytes, block->bytes);
    vb_stat_add(&pool->stats.active, 1);
    vb_stat_add(&pool->stats.active_bytes, block->bytes);
    vb_stat_add(&pool->stats.requested_bytes, bytes);
}

/* Frees an oversize block of the stream that would do, or the largest until they would; needs
 * max_split_size. True: enough went. */
bool vb_release_oversize(struct vb_pool *pool, bool is_small, uint64_t stream, uint64_t bytes);

/* Frees whole free segments of the large pool that are at least as old as the mean, until the
 * reserved bytes are below the threshold or nothing is left to free. */
void vb_collect_garbage(struct vb_pool *pool);

/* A zeroed block; NULL where the host has no memory left. */
struct vb_block *vb_block_new(struct vb_pool *pool);
void vb_block_recycle(struct vb_pool *pool, struct vb_block *block);

/* Joins `block` with a neighbour that is free and mapped as it is; the neighbour is gone then.
 * Gives the bytes that were joined, 0: none. `block` is in no set. */
uint64_t vb_block_join(struct vb_pool *pool, struct vb_block *block, struct vb_block *neighbour);

/* Expandable segments: a free block of at least `bytes`, in no set; NULL with `*status` VB_E_NO_FIT
 * where the device has no page left. */
struct vb_block *vb_range_grow(struct vb_pool *pool, bool is_small, uint64_t stream, uint64_t bytes,
                               enum vb_status *status, struct vb_error *err);
/* Gives back the whole pages inside a free block of the set. */
void vb_range_shrink(struct vb_pool *pool, struct vb_block *block);
void vb_range_close_all(struct vb_pool *pool);

#endif
