/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_BLOCK_H
#define VB_MEMORY_BLOCK_H

/* For the pool's own files: blocks, and the ordered set that free ones wait in. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vb_range;

/* A stretch of a segment. Blocks tile their segment, in a list by address. */
struct vb_block {
    uint64_t address, bytes, requested_bytes, stream;
    struct vb_block *before, *after; /* neighbours in the segment */
    bool is_taken, is_small;
    bool is_mapped;            /* false: addresses of an expandable segment without memory */
    struct vb_range *range;    /* the expandable segment; NULL: an ordinary one */
    uint64_t searches_at_free; /* for garbage collection: the pool's count when it became free */
};

/* A sorted array with a gap, which is where the last change was: most that is taken out goes back
 * in nearby, larger or smaller. A step of training leaves some fifty free blocks, seldom over 500:
 * fewer bytes to move than a tree has cache lines to touch and branches to guess. Zeroed is valid
 * and empty. */
struct vb_block_set {
    struct vb_block_entry {
        uint64_t stream, bytes, address; /* the key */
        struct vb_block *block;
    } * entries; /* owned */
    size_t n, room;
    size_t gap;      /* as many entries are before it; the rest ends where the room does */
    size_t found;    /* by vb_block_set_at_least(), which is asked for what to take out */
    bool by_address; /* (stream, address); else (stream, bytes, address) */
};

/* Room for `n` blocks in all, so that vb_block_set_insert() cannot fail. False: no host memory. */
bool vb_block_set_reserve(struct vb_block_set *set, size_t n);
void vb_block_set_clear(struct vb_block_set *set);

void vb_block_set_insert(struct vb_block_set *set, struct vb_block *block);
void vb_block_set_remove(struct vb_block_set *set, const struct vb_block *block);

/* The first not before the key; NULL: none. */
struct vb_block *vb_block_set_at_least(struct vb_block_set *set, uint64_t stream, uint64_t bytes,
                                       uint64_t address);
/* The neighbours of a block of the set, by its order; NULL: none. */
struct vb_block *vb_block_set_next(const struct vb_block_set *set, const struct vb_block *block);
struct vb_block *vb_block_set_previous(const struct vb_block_set *set,
                                       const struct vb_block *block);

#endif
