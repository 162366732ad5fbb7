/* SPDX-License-Identifier: Apache-2.0 */
/* A pool put into the state that another process's was in. */

#include "memory/pool_state.h"

/* The next block of a segment that is being put back: `bytes` from where the last one ended. */
static struct vb_block *append_block(struct vb_pool *pool, struct vb_block *before,
                                     uint64_t address, uint64_t bytes, uint64_t stream,
                                     bool is_small)
{
    struct vb_block *block = vb_block_new(pool);
    if (block == NULL)
        return NULL;
    block->address = address;
    block->bytes = bytes;
    block->stream = stream;
    block->is_small = is_small;
    block->before = before;
    if (before != NULL)
        before->after = block;
    return block;
}

static void put_back_free(struct vb_pool *pool, struct vb_block *block, bool is_whole)
{
    vb_block_set_insert(&vb_half_of(pool, block->is_small)->free, block);
    if (is_whole)
        return;
    vb_stat_add(&pool->stats.inactive_split_bytes, block->bytes);
    vb_stat_add(&pool->stats.inactive_splits, 1);
}

enum vb_status vb_pool_put_back(struct vb_pool *pool, const struct vb_pool_image *image,
                                struct vb_block **blocks, struct vb_error *err)
{
    uint64_t at = image->address;
    uint64_t end = image->address + image->bytes;
    struct vb_block *last = NULL;
    for (size_t i = 0; i <= image->n_live; i++) {
        uint64_t start = i < image->n_live ? image->live[i].address : end;
        uint64_t bytes = i < image->n_live ? image->live[i].bytes : 0;
        bool is_block = i == image->n_live || bytes > 0;
        if (!is_block || start < at || start > end || bytes > end - start)
            return vb_fail(err, VB_E_INPUT, "the blocks of a segment overlap or leave it");
        if (start > at) {
            last = append_block(pool, last, at, start - at, image->stream, image->is_small);
            if (last == NULL)
                return vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
            put_back_free(pool, last, image->n_live == 0);
        }
        if (i == image->n_live)
            break;
        last = append_block(pool, last, start, bytes, image->stream, image->is_small);
        if (last == NULL)
            return vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
        vb_count_taken(pool, last, image->live[i].requested_bytes);
        blocks[i] = last;
        at = start + bytes;
    }
    vb_stat_add(&pool->stats.segments, 1);
    vb_stat_add(&pool->stats.reserved_bytes, image->bytes);
    return VB_OK;
}
