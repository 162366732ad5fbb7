/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_NAIVE_EXPANDABLE_H
#define VB_TESTS_NAIVE_EXPANDABLE_H

/* Expandable segments by brute force: one array of stretches in order of address, scanned for
 * everything. Written from the specification alone. Ranges lie below each other from 2^47 on, as
 * the pool's do. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { EXPANDABLE_STRETCHES = 8192 };

struct stretch {
    uint64_t range, address, bytes, stream;
    bool is_small, is_mapped, is_free;
};

struct naive_expandable {
    struct stretch list[EXPANDABLE_STRETCHES]; /* by address */
    size_t n;
    uint64_t total, capacity, reserved, allocated, next_range;
    uint64_t n_retries, n_ooms;
};

static inline uint64_t expandable_page(bool is_small)
{
    return is_small ? 2ull << 20 : 20ull << 20;
}

static inline void expandable_insert(struct naive_expandable *e, struct stretch stretch)
{
    size_t at = e->n++;
    while (at > 0 && e->list[at - 1].address > stretch.address) {
        e->list[at] = e->list[at - 1];
        at--;
    }
    e->list[at] = stretch;
}

static inline void expandable_remove(struct naive_expandable *e, size_t i)
{
    memmove(&e->list[i], &e->list[i + 1], (e->n - i - 1) * sizeof *e->list);
    e->n--;
}

static inline bool expandable_joins(const struct stretch *a, const struct stretch *b)
{
    return a->range == b->range && a->is_free && b->is_free && a->is_mapped == b->is_mapped;
}

/* Makes one of every two neighbours that are alike. */
static inline void expandable_merge(struct naive_expandable *e)
{
    for (size_t i = 0; i + 1 < e->n;) {
        if (!expandable_joins(&e->list[i], &e->list[i + 1])) {
            i++;
            continue;
        }
        e->list[i].bytes += e->list[i + 1].bytes;
        expandable_remove(e, i + 1);
    }
}

static inline uint64_t expandable_reach(const struct naive_expandable *e, size_t i)
{
    bool grows =
        i + 1 < e->n && e->list[i + 1].range == e->list[i].range && !e->list[i + 1].is_mapped;
    return e->list[i].bytes + (grows ? e->list[i + 1].bytes : 0);
}

/* The next in the order (bytes, address) after `after` (-1: from `bytes` on). */
static inline long expandable_next(const struct naive_expandable *e, uint64_t bytes,
                                   uint64_t stream, bool is_small, long after)
{
    long best = -1;
    for (size_t i = 0; i < e->n; i++) {
        const struct stretch *s = &e->list[i];
        const struct stretch *from = after >= 0 ? &e->list[after] : NULL;
        if (!s->is_free || !s->is_mapped || s->stream != stream || s->is_small != is_small)
            continue;
        if (from == NULL ? s->bytes < bytes
                         : s->bytes < from->bytes ||
                               (s->bytes == from->bytes && s->address <= from->address))
            continue;
        const struct stretch *b = best >= 0 ? &e->list[best] : NULL;
        if (b == NULL || s->bytes < b->bytes || (s->bytes == b->bytes && s->address < b->address))
            best = (long)i;
    }
    return best;
}

static inline long expandable_find(const struct naive_expandable *e, uint64_t bytes,
                                   uint64_t stream, bool is_small)
{
    long best = expandable_next(e, bytes, stream, is_small, -1);
    while (best >= 0) {
        long next = expandable_next(e, bytes, stream, is_small, best);
        if (next < 0 || expandable_reach(e, (size_t)next) >= expandable_reach(e, (size_t)best))
            break;
        best = next;
    }
    return best;
}

static inline bool expandable_has_room(const struct naive_expandable *e, size_t first,
                                       uint64_t bytes)
{
    uint64_t room = 0;
    for (size_t i = first;
         i < e->n && e->list[i].range == e->list[first].range && e->list[i].is_free; i++)
        room += e->list[i].bytes;
    return room >= bytes;
}

static inline uint64_t expandable_candidate(struct naive_expandable *e, uint64_t bytes,
                                            uint64_t stream, bool is_small)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct stretch *s = &e->list[i];
        size_t first = i;
        if (s->is_mapped || s->stream != stream || s->is_small != is_small)
            continue;
        if (i > 0 && e->list[i - 1].range == s->range && e->list[i - 1].is_free)
            first = i - 1;
        if (expandable_has_room(e, first, bytes))
            return e->list[first].address;
    }
    uint64_t page = expandable_page(is_small);
    uint64_t bytes_of_range = (e->total + e->total / 8 + page - 1) / page * page;
    e->next_range -= bytes_of_range;
    expandable_insert(e, (struct stretch){ e->next_range, e->next_range, bytes_of_range, stream,
                                           is_small, false, true });
    return e->next_range;
}

static inline size_t expandable_at(const struct naive_expandable *e, uint64_t address)
{
    size_t i = 0;
    while (e->list[i].address != address)
        i++;
    return i;
}

/* Maps the front of stretch i; false: the device is full. */
static inline bool expandable_map(struct naive_expandable *e, size_t i, uint64_t bytes)
{
    uint64_t page = expandable_page(e->list[i].is_small);
    uint64_t mapped = (bytes + page - 1) / page * page;
    struct stretch rest = e->list[i];
    if (e->reserved + mapped > e->capacity)
        return false;
    e->reserved += mapped;
    e->list[i].is_mapped = true;
    if (mapped < rest.bytes) {
        e->list[i].bytes = mapped;
        rest.address += mapped;
        rest.bytes -= mapped;
        expandable_insert(e, rest);
    }
    return true;
}

/* The grown free block's index; -1: the device is full. What was mapped on the way stays. */
static inline long expandable_grow(struct naive_expandable *e, uint64_t bytes, uint64_t stream,
                                   bool is_small)
{
    uint64_t address = expandable_candidate(e, bytes, stream, is_small);
    size_t i = expandable_at(e, address);
    if (!e->list[i].is_mapped) {
        uint64_t first = e->list[i].bytes < bytes ? e->list[i].bytes : bytes;
        if (!expandable_map(e, i, first))
            return -1;
        expandable_merge(e);
    }
    for (;;) {
        i = 0;
        while (!(e->list[i].address <= address && address < e->list[i].address + e->list[i].bytes))
            i++;
        if (e->list[i].bytes >= bytes)
            return (long)i;
        uint64_t missing = bytes - e->list[i].bytes;
        uint64_t next = e->list[i + 1].bytes < missing ? e->list[i + 1].bytes : missing;
        if (!expandable_map(e, i + 1, next))
            return -1;
        expandable_merge(e);
    }
}

static inline void expandable_empty_cache(struct naive_expandable *e)
{
    for (size_t i = 0; i < e->n; i++) {
        struct stretch s = e->list[i];
        uint64_t page = expandable_page(s.is_small);
        uint64_t from = s.range + (s.address - s.range + page - 1) / page * page;
        uint64_t to = s.range + (s.address + s.bytes - s.range) / page * page;
        if (!s.is_free || !s.is_mapped || from >= to)
            continue;
        e->reserved -= to - from;
        e->list[i].address = from;
        e->list[i].bytes = to - from;
        e->list[i].is_mapped = false;
        if (from > s.address)
            expandable_insert(e, (struct stretch){ s.range, s.address, from - s.address, s.stream,
                                                   s.is_small, true, true });
        if (to < s.address + s.bytes)
            expandable_insert(e, (struct stretch){ s.range, to, s.address + s.bytes - to, s.stream,
                                                   s.is_small, true, true });
    }
    expandable_merge(e);
    for (size_t i = 0; i < e->n;) {
        bool alone = !e->list[i].is_mapped &&
                     (i == 0 || e->list[i - 1].range != e->list[i].range) &&
                     (i + 1 == e->n || e->list[i + 1].range != e->list[i].range);
        if (alone)
            expandable_remove(e, i);
        else
            i++;
    }
}

/* The address; 0: out of memory. */
static inline uint64_t expandable_alloc(struct naive_expandable *e, uint64_t bytes, uint64_t stream)
{
    uint64_t size = bytes < 512 ? 512 : (bytes + 511) / 512 * 512;
    bool is_small = size <= 1ull << 20;
    long i = expandable_find(e, size, stream, is_small);
    if (i < 0)
        i = expandable_grow(e, size, stream, is_small);
    if (i < 0) {
        expandable_empty_cache(e);
        e->n_retries++;
        i = expandable_grow(e, size, stream, is_small);
    }
    if (i < 0) {
        e->n_ooms++;
        return 0;
    }
    struct stretch rest = e->list[i];
    e->list[i].is_free = false;
    e->list[i].bytes = size;
    rest.address += size;
    rest.bytes -= size;
    if (rest.bytes >= 512)
        expandable_insert(e, rest);
    e->allocated += size;
    return rest.address - size;
}

static inline void expandable_free(struct naive_expandable *e, uint64_t address)
{
    size_t i = expandable_at(e, address);
    e->allocated -= e->list[i].bytes;
    e->list[i].is_free = true;
    expandable_merge(e);
}

#endif
