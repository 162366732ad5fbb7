/* SPDX-License-Identifier: Apache-2.0 */
/* Expandable segments: addresses are plenty, so one range a stream holds 1.125 times the device;
 * memory is mapped into it page by page as it grows. Each page is reserved from the source on its
 * own, which is how the device sees it. Source: torch-memory.md, part A, 1.10. */

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "memory/pool_state.h"

#define SMALL_PAGE_BYTES VB_MIB(2)
#define LARGE_PAGE_BYTES VB_MIB(20)

static bool is_available(const struct vb_block *block)
{
    return block != NULL && !block->is_taken;
}

/* Whether it and its free or unmapped followers together reach `bytes`. */
static bool has_room(const struct vb_block *block, uint64_t bytes)
{
    uint64_t room = 0;
    for (; room < bytes && is_available(block); block = block->after)
        room += block->bytes;
    return room >= bytes;
}

static struct vb_block *new_range(struct vb_pool *pool, bool is_small, uint64_t stream)
{
    struct vb_range *range = calloc(1, sizeof *range);
    struct vb_block *block = vb_block_new(pool);
    if (range == NULL || block == NULL)
        goto fail;
    range->page_bytes = is_small ? SMALL_PAGE_BYTES : LARGE_PAGE_BYTES;
    uint64_t total = pool->source.total_bytes + pool->source.total_bytes / 8;
    uint64_t n_pages = (total + range->page_bytes - 1) / range->page_bytes;
    range->bytes = n_pages * range->page_bytes;
    pool->next_range_address -= range->bytes;
    range->address = pool->next_range_address;
    range->next = pool->ranges;
    pool->ranges = range;
    *block = (struct vb_block){ .address = range->address,
                                .bytes = range->bytes,
                                .stream = stream,
                                .is_small = is_small,
                                .range = range };
    vb_block_set_insert(&vb_half_of(pool, is_small)->unmapped, block);
    return block;

fail:
    if (block != NULL)
        vb_block_recycle(pool, block);
    free(range);
    return NULL;
}

/* The lowest unmapped stretch, or the free block right before it, with room for `bytes`. */
static struct vb_block *find_stretch(struct vb_pool *pool, bool is_small, uint64_t stream,
                                     uint64_t bytes)
{
    struct vb_block_set *unmapped = &vb_half_of(pool, is_small)->unmapped;
    struct vb_block *block = vb_block_set_at_least(unmapped, stream, 0, 0);
    for (; block != NULL && block->stream == stream; block = vb_block_set_next(unmapped, block)) {
        struct vb_block *first = is_available(block->before) ? block->before : block;
        if (has_room(first, bytes))
            return first;
    }
    return new_range(pool, is_small, stream);
}

static void unmap_pages(struct vb_pool *pool, struct vb_range *range, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        pool->source.release(pool->source.context, range->pages[i] - 1, range->page_bytes);
        range->pages[i] = 0;
    }
}

/* Room to tell of so many pages: a range may be of more addresses than the host has memory for. */
static bool tell_of(struct vb_range *range, uint64_t n_pages)
{
    uint64_t room = range->n_pages * 2 > n_pages ? range->n_pages * 2 : n_pages;
    if (n_pages <= range->n_pages)
        return true;
    uint64_t *pages = realloc(range->pages, room * sizeof *pages);
    if (pages == NULL)
        return false;
    memset(pages + range->n_pages, 0, (room - range->n_pages) * sizeof *pages);
    range->pages = pages;
    range->n_pages = room;
    return true;
}

/* Reserves the pages of a stretch that begins on one; all of them or none. A page's entry is its
 * address plus 1, so that address 0 is one too. */
static enum vb_status map_pages(struct vb_pool *pool, struct vb_range *range, uint64_t first,
                                uint64_t end, struct vb_error *err)
{
    if (!tell_of(range, end))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
    for (uint64_t i = first; i < end; i++) {
        uint64_t address = 0;
        enum vb_status status =
            pool->source.reserve(pool->source.context, range->page_bytes, &address, err);
        if (status != VB_OK) {
            unmap_pages(pool, range, first, i);
            return status;
        }
        range->pages[i] = address + 1;
    }
    return VB_OK;
}

/* Maps the front of an unmapped stretch, `bytes` up to whole pages, and joins it with free
 * neighbours. */
static enum vb_status map_front(struct vb_pool *pool, struct vb_block *block, uint64_t bytes,
                                struct vb_error *err)
{
    struct vb_half *half = vb_half_of(pool, block->is_small);
    struct vb_range *range = block->range;
    uint64_t first = (block->address - range->address) / range->page_bytes;
    uint64_t n = (bytes + range->page_bytes - 1) / range->page_bytes;
    uint64_t mapped = n * range->page_bytes;
    struct vb_block *rest = NULL;
    if (mapped < block->bytes) {
        rest = vb_block_new(pool);
        if (rest == NULL)
            return vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
    }
    enum vb_status status = map_pages(pool, range, first, first + n, err);
    if (status != VB_OK) {
        if (rest != NULL)
            vb_block_recycle(pool, rest);
        return status;
    }
    vb_block_set_remove(&half->unmapped, block);
    if (rest != NULL) {
        *rest = (struct vb_block){ .address = block->address + mapped,
                                   .bytes = block->bytes - mapped,
                                   .stream = block->stream,
                                   .before = block,
                                   .after = block->after,
                                   .is_small = block->is_small,
                                   .range = range };
        if (rest->after != NULL)
            rest->after->before = rest;
        block->after = rest;
        block->bytes = mapped;
        vb_block_set_insert(&half->unmapped, rest);
    }
    block->is_mapped = true;
    (void)vb_block_join(pool, block, block->before);
    (void)vb_block_join(pool, block, block->after);
    block->searches_at_free = half->searches;
    vb_block_set_insert(&half->free, block);
    vb_stat_add(&pool->stats.reserved_bytes, mapped);
    return VB_OK;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct vb_block *vb_range_grow(struct vb_pool *pool, bool is_small, uint64_t stream, uint64_t bytes,
                               enum vb_status *status, struct vb_error *err)
{
    struct vb_block *block = find_stretch(pool, is_small, stream, bytes);
    if (block == NULL) {
        *status = vb_fail(err, VB_E_SYSTEM, "no host memory left for the pool");
        return NULL;
    }
    *status = VB_OK;
    if (!block->is_mapped)
        *status = map_front(pool, block, least(block->bytes, bytes), err);
    while (*status == VB_OK && block->bytes < bytes) {
        struct vb_block *next = block->after;
        if (next == NULL) {
            *status = vb_fail(err, VB_E_NO_FIT, "more than the device has was asked for");
            break;
        }
        *status = map_front(pool, next, least(bytes - block->bytes, next->bytes), err);
        if (*status == VB_OK)
            block = next; /* the one before went into it */
    }
    if (*status != VB_OK)
        return NULL;
    vb_block_set_remove(&vb_half_of(pool, is_small)->free, block);
    return block;
}

/* Puts what is left of a free block, at one end of it, into the list and the set. */
static void leave_part(struct vb_pool *pool, struct vb_block *block, struct vb_block *left,
                       uint64_t address, uint64_t bytes)
{
    struct vb_half *half = vb_half_of(pool, block->is_small);
    bool is_before = address == block->address;
    *left = (struct vb_block){ .address = address,
                               .bytes = bytes,
                               .stream = block->stream,
                               .is_small = block->is_small,
                               .is_mapped = true,
                               .range = block->range,
                               .searches_at_free = half->searches };
    left->before = is_before ? block->before : block;
    left->after = is_before ? block : block->after;
    if (left->before != NULL)
        left->before->after = left;
    if (left->after != NULL)
        left->after->before = left;
    vb_block_set_insert(&half->free, left);
}

static void close_range(struct vb_pool *pool, struct vb_range *range)
{
    struct vb_range **place = &pool->ranges;
    while (*place != range)
        place = &(*place)->next;
    *place = range->next;
    free(range->pages);
    free(range);
}

void vb_range_shrink(struct vb_pool *pool, struct vb_block *block)
{
    struct vb_half *half = vb_half_of(pool, block->is_small);
    struct vb_range *range = block->range;
    uint64_t offset = block->address - range->address;
    uint64_t first = (offset + range->page_bytes - 1) / range->page_bytes;
    uint64_t end = (offset + block->bytes) / range->page_bytes;
    if (first >= end)
        return;

    uint64_t from = range->address + first * range->page_bytes;
    uint64_t bytes = (end - first) * range->page_bytes;
    uint64_t tail = block->address + block->bytes - (from + bytes);
    struct vb_block *parts[2] = { vb_block_new(pool), vb_block_new(pool) };
    if (parts[0] == NULL || parts[1] == NULL)
        goto out; /* the pages stay: the host has no memory to tell what is left */
    vb_block_set_remove(&half->free, block);
    unmap_pages(pool, range, first, end);
    if (from > block->address) {
        leave_part(pool, block, parts[0], block->address, from - block->address);
        parts[0] = NULL;
    }
    if (tail > 0) {
        leave_part(pool, block, parts[1], from + bytes, tail);
        parts[1] = NULL;
    }
    block->address = from;
    block->bytes = bytes;
    block->is_mapped = false;
    vb_stat_sub(&pool->stats.reserved_bytes, bytes);
    (void)vb_block_join(pool, block, block->before);
    (void)vb_block_join(pool, block, block->after);
    if (block->before == NULL && block->after == NULL) {
        close_range(pool, range);
        vb_block_recycle(pool, block);
    } else {
        vb_block_set_insert(&half->unmapped, block);
    }

out:
    for (size_t i = 0; i < 2; i++) {
        if (parts[i] != NULL)
            vb_block_recycle(pool, parts[i]);
    }
}

void vb_range_close_all(struct vb_pool *pool)
{
    while (pool->ranges != NULL) {
        struct vb_range *range = pool->ranges;
        for (uint64_t i = 0; i < range->n_pages; i++) {
            if (range->pages[i] != 0)
                unmap_pages(pool, range, i, i + 1);
        }
        close_range(pool, range);
    }
}
