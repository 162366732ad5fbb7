/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/block.h"

#include <stdlib.h>
#include <string.h>

static struct vb_block_entry entry_of(const struct vb_block_set *set, const struct vb_block *block)
{
    return (struct vb_block_entry){ block->stream, set->by_address ? 0 : block->bytes,
                                    block->address, NULL };
}

/* 1 or 0. Streams are nearly always the same; which way sizes and addresses go cannot be foretold,
 * so they are compared without a branch, as one number. */
static inline size_t precedes(const struct vb_block_entry *a, const struct vb_block_entry *b)
{
    __extension__ typedef unsigned __int128 wide;
    if (__builtin_expect(a->stream != b->stream, 0))
        return a->stream < b->stream;
    return ((wide)a->bytes << 64 | a->address) < ((wide)b->bytes << 64 | b->address);
}

/* The entry of this place in the order. */
static struct vb_block_entry *entry_at(const struct vb_block_set *set, size_t place)
{
    return &set->entries[place < set->gap ? place : place + (set->room - set->n)];
}

/* How many precede the key: on the side of the gap on which it belongs. */
static size_t place_of(const struct vb_block_set *set, const struct vb_block_entry *key)
{
    size_t from = 0, n = set->gap;
    if (set->gap < set->n && precedes(entry_at(set, set->gap), key)) {
        from = set->gap + 1;
        n = set->n - from;
    }
    if (n == 0)
        return from;
    const struct vb_block_entry *first = entry_at(set, from), *entry = first;
    while (n > 1) {
        size_t half = n / 2;
        entry += half & -precedes(&entry[half - 1], key);
        n -= half;
    }
    return from + (size_t)(entry - first) + precedes(entry, key);
}

static void move_gap(struct vb_block_set *set, size_t place)
{
    size_t width = set->room - set->n;
    struct vb_block_entry *entries = set->entries;
    if (place < set->gap)
        memmove(&entries[place + width], &entries[place], (set->gap - place) * sizeof *entries);
    else
        memmove(&entries[set->gap], &entries[set->gap + width],
                (place - set->gap) * sizeof *entries);
    set->gap = place;
}

bool vb_block_set_reserve(struct vb_block_set *set, size_t n)
{
    struct vb_block_entry *entries = realloc(set->entries, n * sizeof *entries);
    if (entries == NULL)
        return false;
    set->entries = entries;
    move_gap(set, set->n);
    set->room = n;
    return true;
}

void vb_block_set_clear(struct vb_block_set *set)
{
    free(set->entries);
    *set = (struct vb_block_set){ .by_address = set->by_address };
}

static bool fits_gap(const struct vb_block_set *set, const struct vb_block_entry *entry)
{
    return (set->gap == 0 || precedes(entry_at(set, set->gap - 1), entry)) &&
           (set->gap == set->n || precedes(entry, entry_at(set, set->gap)));
}

void vb_block_set_insert(struct vb_block_set *set, struct vb_block *block)
{
    struct vb_block_entry entry = entry_of(set, block);
    if (!fits_gap(set, &entry))
        move_gap(set, place_of(set, &entry));
    entry.block = block;
    set->entries[set->gap++] = entry;
    set->n++;
}

void vb_block_set_remove(struct vb_block_set *set, const struct vb_block *block)
{
    struct vb_block_entry key = entry_of(set, block);
    bool is_found = set->found < set->n && entry_at(set, set->found)->block == block;
    move_gap(set, is_found ? set->found : place_of(set, &key));
    set->n--; /* the gap takes in what comes after it */
}

struct vb_block *vb_block_set_at_least(struct vb_block_set *set, uint64_t stream, uint64_t bytes,
                                       uint64_t address)
{
    const struct vb_block_entry key = { stream, bytes, address, NULL };
    set->found = place_of(set, &key);
    return set->found < set->n ? entry_at(set, set->found)->block : NULL;
}

struct vb_block *vb_block_set_next(const struct vb_block_set *set, const struct vb_block *block)
{
    const struct vb_block_entry key = entry_of(set, block);
    size_t place = place_of(set, &key) + 1;
    return place < set->n ? entry_at(set, place)->block : NULL;
}

struct vb_block *vb_block_set_previous(const struct vb_block_set *set, const struct vb_block *block)
{
    const struct vb_block_entry key = entry_of(set, block);
    size_t place = place_of(set, &key);
    return place > 0 ? entry_at(set, place - 1)->block : NULL;
}
