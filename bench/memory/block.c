/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/block.h"

struct key {
    uint64_t stream, bytes, address;
};

static struct key key_of(const struct vb_block_set *set, const struct vb_block *block)
{
    return (struct key){ block->stream, set->by_address ? 0 : block->bytes, block->address };
}

static bool precedes(struct key a, struct key b)
{
    if (a.stream != b.stream)
        return a.stream < b.stream;
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.address < b.address;
}

/* Parts the tree under `node` into what precedes the key and the rest. */
static void part(const struct vb_block_set *set, struct vb_block *node, struct key key,
                 struct vb_block **low, struct vb_block **high)
{
    while (node != NULL) {
        if (precedes(key_of(set, node), key)) {
            *low = node;
            low = &node->high;
            node = node->high;
        } else {
            *high = node;
            high = &node->low;
            node = node->low;
        }
    }
    *low = *high = NULL;
}

void vb_block_set_insert(struct vb_block_set *set, struct vb_block *block)
{
    struct key key = key_of(set, block);
    struct vb_block **place = &set->root;

    set->state = set->state * 1664525u + 1013904223u;
    block->priority = set->state ^ (set->state >> 15);
    while (*place != NULL && (*place)->priority >= block->priority)
        place = precedes(key, key_of(set, *place)) ? &(*place)->low : &(*place)->high;
    part(set, *place, key, &block->low, &block->high);
    *place = block;
}

void vb_block_set_remove(struct vb_block_set *set, struct vb_block *block)
{
    struct key key = key_of(set, block);
    struct vb_block **place = &set->root;
    while (*place != block)
        place = precedes(key, key_of(set, *place)) ? &(*place)->low : &(*place)->high;

    struct vb_block *low = block->low;
    struct vb_block *high = block->high;
    while (low != NULL && high != NULL) {
        if (low->priority >= high->priority) {
            *place = low;
            place = &low->high;
            low = low->high;
        } else {
            *place = high;
            place = &high->low;
            high = high->low;
        }
    }
    *place = low != NULL ? low : high;
}

static struct vb_block *first_from(const struct vb_block_set *set, struct key key, bool or_equal)
{
    struct vb_block *found = NULL;
    for (struct vb_block *node = set->root; node != NULL;) {
        struct key here = key_of(set, node);
        bool is_after = or_equal ? !precedes(here, key) : precedes(key, here);
        if (is_after)
            found = node;
        node = is_after ? node->low : node->high;
    }
    return found;
}

struct vb_block *vb_block_set_at_least(const struct vb_block_set *set, uint64_t stream,
                                       uint64_t bytes, uint64_t address)
{
    return first_from(set, (struct key){ stream, bytes, address }, true);
}

struct vb_block *vb_block_set_next(const struct vb_block_set *set, const struct vb_block *block)
{
    return first_from(set, key_of(set, block), false);
}

struct vb_block *vb_block_set_previous(const struct vb_block_set *set, const struct vb_block *block)
{
    struct vb_block *found = NULL;
    struct key key = key_of(set, block);
    for (struct vb_block *node = set->root; node != NULL;) {
        bool is_before = precedes(key_of(set, node), key);
        if (is_before)
            found = node;
        node = is_before ? node->high : node->low;
    }
    return found;
}
