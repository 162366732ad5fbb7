/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace_spans.h"

#include <string.h>

/* The first that begins there or behind it. */
static size_t place_of(const struct vb_trace_spans *spans, uint64_t address)
{
    size_t from = 0, n = spans->n;
    while (n > 0) {
        size_t half = n / 2;
        if (spans->items[from + half].address < address) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

bool vb_trace_spans_overlap(const struct vb_trace_spans *spans, uint64_t address, uint64_t bytes)
{
    size_t i = place_of(spans, address);
    if (bytes > UINT64_MAX - address)
        return true;
    bool meets_next = i < spans->n && spans->items[i].address - address < bytes;
    bool meets_last = i > 0 && address - spans->items[i - 1].address < spans->items[i - 1].bytes;
    return meets_next || meets_last;
}

bool vb_trace_spans_add(struct vb_trace_spans *spans, uint64_t address, uint64_t bytes,
                        struct vb_arena *arena)
{
    struct vb_trace_span *items =
        vb_arena_grow(arena, spans->items, spans->n, &spans->room, sizeof *items);
    if (items == NULL)
        return false;
    size_t i = place_of(spans, address);
    memmove(&items[i + 1], &items[i], (spans->n - i) * sizeof *items);
    items[i] = (struct vb_trace_span){ address, bytes };
    spans->items = items;
    spans->n++;
    return true;
}

void vb_trace_spans_remove(struct vb_trace_spans *spans, uint64_t address)
{
    size_t i = place_of(spans, address);
    if (i == spans->n || spans->items[i].address != address)
        return;
    spans->n--;
    memmove(&spans->items[i], &spans->items[i + 1], (spans->n - i) * sizeof *spans->items);
}
