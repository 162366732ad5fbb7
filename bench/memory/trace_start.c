/* SPDX-License-Identifier: Apache-2.0 */
/* A segment was there at the start if the first that the trace tells of its address is that it was
 * given back, or if the trace tells nothing of it and it is there at the end. Of a block likewise.
 * The extent of one that the trace frees is its rounded size; in the large pool what was not split
 * off belongs to it: the gap to its neighbour, if that is at most 1 MiB, or up to an allocation
 * before its free that starts that close behind it. Source: the rules that come with the recordings
 * (tests/data/traces/README.md). */

#include "memory/trace_start.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/order.h"
#include "memory/trace_map.h"

#define UNSPLIT_BYTES VB_MIB(1)
#define SMALL_SEGMENT_BYTES VB_MIB(2)
#define NO_SEGMENT SIZE_MAX

/* A block that was live, while its extent is not known yet. */
struct found {
    struct vb_pool_live live;
    uint64_t stream;
    size_t segment; /* NO_SEGMENT: of an expandable one */
    size_t freed;   /* index of the event */
};

/* The first allocation at an address. */
struct place {
    uint64_t address;
    size_t index;
};

struct search {
    const struct vb_trace *trace;
    const struct vb_trace_end *end;
    const struct vb_pool_options *options;
    struct vb_trace_start *out;
    struct vb_trace_map seen; /* addresses that an event was about */
    struct found *found;
    size_t n_found;
    struct place *places;
    size_t n_places;
};

static int by_segment(const void *a, const void *b)
{
    const struct vb_trace_start_segment *x = a, *y = b;
    return vb_order(x->address, y->address);
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return vb_order(x->address, y->address);
}

static int by_block(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return vb_order(x->live.address, y->live.address);
}

/* True the first time. */
static bool is_first(struct search *search, uint64_t address)
{
    struct vb_trace_slot *slot = vb_trace_map_at(&search->seen, address);
    bool is_new = slot->address == 0;
    slot->address = address;
    return is_new;
}

/* Those that the trace gives back and never made before, and those of the end that it never tells
 * of. */
static void find_segments(struct search *search)
{
    const struct vb_trace *trace = search->trace;
    struct vb_trace_start *out = search->out;
    for (size_t i = 0; i < trace->n; i++) {
        const struct vb_trace_event *event = &trace->events[i];
        if (event->action != VB_TRACE_RESERVE && event->action != VB_TRACE_RELEASE)
            continue;
        if (is_first(search, event->address) && event->action == VB_TRACE_RELEASE)
            out->segments[out->n++] =
                (struct vb_trace_start_segment){ event->address,
                                                 event->bytes,
                                                 event->stream,
                                                 event->bytes == SMALL_SEGMENT_BYTES,
                                                 i,
                                                 NULL,
                                                 0 };
    }
    for (size_t i = 0; i < search->end->n; i++) {
        const struct vb_trace_segment *s = &search->end->segments[i];
        if (!s->is_expandable && is_first(search, s->address))
            out->segments[out->n++] =
                (struct vb_trace_start_segment){ s->address, s->bytes, s->stream, s->is_small,
                                                 trace->n,   NULL,     0 };
    }
    if (out->n > 0)
        qsort(out->segments, out->n, sizeof *out->segments, by_segment);
}

/* Pages at the start: those of the end that the trace did not map, and those that it took away. */
static void find_pages(const struct vb_trace *trace, const struct vb_trace_end *end,
                       struct vb_trace_start *out)
{
    uint64_t mapped = 0, had = 0;
    for (size_t i = 0; i < trace->n; i++) {
        const struct vb_trace_event *event = &trace->events[i];
        mapped += event->action == VB_TRACE_MAP ? event->bytes : 0;
        had += event->action == VB_TRACE_UNMAP ? event->bytes : 0;
        out->has_expandable =
            out->has_expandable || event->action == VB_TRACE_MAP || event->action == VB_TRACE_UNMAP;
    }
    for (size_t i = 0; end != NULL && i < end->n; i++) {
        had += end->segments[i].is_expandable ? end->segments[i].bytes : 0;
        out->has_expandable = out->has_expandable || end->segments[i].is_expandable;
    }
    out->had_pages = end != NULL && had != mapped;
}

static enum vb_status check_apart(const char *file, const struct vb_trace_start *start,
                                  struct vb_error *err)
{
    for (size_t i = 0; i < start->n; i++) {
        const struct vb_trace_start_segment *s = &start->segments[i];
        uint64_t next = i + 1 < start->n ? s[1].address : UINT64_MAX;
        if (s->bytes == 0 || s->bytes > next - s->address)
            return vb_fail(err, VB_E_INPUT,
                           "%s: the segment at %" PRIu64 " has %" PRIu64
                           " bytes, the next one begins at %" PRIu64,
                           file, s->address, s->bytes, next);
    }
    return VB_OK;
}

/* The segment of the start with the address in it; the count of them where there is none. */
static size_t segment_at(const struct vb_trace_start *start, uint64_t address)
{
    size_t from = 0, n = start->n;
    while (n > 0) {
        size_t half = n / 2;
        if (start->segments[from + half].address <= address) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    if (from == 0 || address - start->segments[from - 1].address >= start->segments[from - 1].bytes)
        return start->n;
    return from - 1;
}

static void add_block(struct search *search, struct found block)
{
    search->found[search->n_found++] = block;
}

/* Whether the event is about a block that was, or could have been, there at the start. */
static bool is_of_start(const struct search *search, size_t index, size_t *segment)
{
    *segment = segment_at(search->out, search->trace->events[index].address);
    if (*segment < search->out->n)
        return index < search->out->segments[*segment].until;
    *segment = NO_SEGMENT;
    return search->out->has_expandable;
}

/* Blocks whose first event is that they go. One may have been asked back before the trace began and
 * wait for a stream: then only that it went is told. */
static void find_freed(struct search *search)
{
    const struct vb_trace *trace = search->trace;
    for (size_t i = 0; i < trace->n; i++) {
        const struct vb_trace_event *event = &trace->events[i];
        bool goes = event->action == VB_TRACE_FREE || event->action == VB_TRACE_FREED;
        size_t segment = NO_SEGMENT;
        if ((!goes && event->action != VB_TRACE_ALLOC) || event->address == 0 ||
            !is_of_start(search, i, &segment) || !is_first(search, event->address))
            continue;
        if (goes && event->bytes > 0)
            add_block(search, (struct found){
                                  { event->address, 0, event->bytes }, event->stream, segment, i });
        else if (!goes)
            search->places[search->n_places++] = (struct place){ event->address, i };
    }
    if (search->n_places > 0)
        qsort(search->places, search->n_places, sizeof *search->places, by_place);
}

/* Blocks that no event is about and that are live at the end. */
static void find_kept(struct search *search)
{
    for (size_t i = 0; i < search->end->n; i++) {
        const struct vb_trace_segment *s = &search->end->segments[i];
        size_t segment = s->is_expandable ? NO_SEGMENT : segment_at(search->out, s->address);
        bool is_there =
            s->is_expandable ||
            (segment < search->out->n && search->out->segments[segment].address == s->address &&
             search->out->segments[segment].until == search->trace->n);
        for (size_t k = 0; is_there && k < s->n_blocks; k++) {
            const struct vb_trace_block *b = &s->blocks[k];
            if (b->is_taken && is_first(search, b->address))
                add_block(search, (struct found){ { b->address, b->bytes, b->requested_bytes },
                                                  s->stream,
                                                  segment,
                                                  search->trace->n });
        }
    }
    if (search->n_found > 0)
        qsort(search->found, search->n_found, sizeof *search->found, by_block);
}

/* Where an allocation before the block's free starts within reach behind it; 0: none does. */
static uint64_t next_allocation(const struct search *search, size_t freed, uint64_t end)
{
    size_t from = 0, n = search->n_places;
    while (n > 0) {
        size_t half = n / 2;
        if (search->places[from + half].address < end) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    for (; from < search->n_places; from++) {
        const struct place *place = &search->places[from];
        if (place->address - end > UNSPLIT_BYTES)
            return 0;
        if (place->index < freed)
            return place->address;
    }
    return 0;
}

static uint64_t extent(const struct search *search, const struct found *block, uint64_t limit)
{
    const struct vb_trace_start_segment *segment = &search->out->segments[block->segment];
    uint64_t room = limit - block->live.address;
    uint64_t rounded = vb_pool_rounded(search->options, block->live.requested_bytes);
    uint64_t max_split = search->options->max_split_bytes;
    if (segment->is_small || rounded >= room)
        return rounded;
    if ((max_split > 0 && rounded >= max_split) || room - rounded <= UNSPLIT_BYTES)
        return room;
    uint64_t next = next_allocation(search, block->freed, block->live.address + rounded);
    return next != 0 && next <= limit ? next - block->live.address : rounded;
}

/* Up to where the block may reach: its neighbour, or the segment's end. */
static uint64_t limit_of(const struct search *search, size_t index)
{
    const struct found *block = &search->found[index];
    const struct vb_trace_start_segment *segment = &search->out->segments[block->segment];
    bool is_last = index + 1 == search->n_found || block[1].segment != block->segment;
    return is_last ? segment->address + segment->bytes : block[1].live.address;
}

static enum vb_status check_blocks(const char *file, const struct search *search,
                                   struct vb_error *err)
{
    for (size_t i = 0; i < search->n_found; i++) {
        const struct vb_pool_live *live = &search->out->live[i];
        if (search->found[i].segment == NO_SEGMENT)
            continue;
        if (live->bytes == 0 || live->bytes > limit_of(search, i) - live->address)
            return vb_fail(err, VB_E_INPUT,
                           "%s: the block at %" PRIu64 " has %" PRIu64
                           " bytes, the next one or the segment's end is at %" PRIu64,
                           file, live->address, live->bytes, limit_of(search, i));
    }
    return VB_OK;
}

/* Hands each segment its blocks. */
static void find_extents(struct search *search, struct vb_pool_live *live, uint64_t *streams)
{
    struct vb_trace_start *out = search->out;
    for (size_t i = 0; i < search->n_found; i++) {
        const struct found *block = &search->found[i];
        bool is_placed = block->segment != NO_SEGMENT;
        live[i] = block->live;
        streams[i] = block->stream;
        if (live[i].bytes == 0)
            live[i].bytes = is_placed
                                ? extent(search, block, limit_of(search, i))
                                : vb_pool_rounded(search->options, block->live.requested_bytes);
        if (is_placed && out->segments[block->segment].n_live++ == 0)
            out->segments[block->segment].live = &live[i];
        out->live_bytes += live[i].bytes;
    }
    out->live = live;
    out->streams = streams;
    out->n_live = search->n_found;
}

enum vb_status vb_trace_find_start(const char *file, const struct vb_trace *trace,
                                   const struct vb_trace_end *end,
                                   const struct vb_pool_options *options, struct vb_arena *arena,
                                   struct vb_trace_start *out, struct vb_error *err)
{
    struct search search = { .trace = trace, .end = end, .options = options, .out = out };
    size_t n_blocks = 0;
    *out = (struct vb_trace_start){ 0 };
    find_pages(trace, end, out);
    if (end == NULL)
        return VB_OK;
    for (size_t i = 0; i < end->n; i++)
        n_blocks += end->segments[i].n_blocks;
    size_t n = trace->n + n_blocks + end->n;
    out->segments = vb_arena_alloc(arena, trace->n + end->n + 1, sizeof *out->segments);
    search.found = vb_arena_alloc(arena, n + 1, sizeof *search.found);
    search.places = vb_arena_alloc(arena, trace->n + 1, sizeof *search.places);
    struct vb_pool_live *live = vb_arena_alloc(arena, n + 1, sizeof *live);
    uint64_t *streams = vb_arena_alloc(arena, n + 1, sizeof *streams);
    bool has_room = out->segments != NULL && search.found != NULL && search.places != NULL &&
                    live != NULL && streams != NULL && vb_trace_map_init(&search.seen, n, arena);
    if (!has_room)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a replay");
    find_segments(&search);
    enum vb_status status = check_apart(file, out, err);
    if (status != VB_OK)
        return status;
    if (!vb_trace_map_init(&search.seen, n, arena)) /* from here on it is of blocks */
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a replay");
    find_freed(&search);
    find_kept(&search);
    find_extents(&search, live, streams);
    return check_blocks(file, &search, err);
}
