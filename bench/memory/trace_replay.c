/* SPDX-License-Identifier: Apache-2.0 */
/* The start is the end rolled back: segments that the trace did not make, with the blocks that were
 * live before its first event. The extent of one that the trace frees is its rounded size; in the
 * large pool what was not split off belongs to it: the gap to its neighbour, if that is at most 1
 * MiB, or up to an allocation before its free that starts that close behind it. Source: the rules
 * that come with the recordings (tests/data/traces/README.md). */

#include "memory/trace_replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define UNSPLIT_BYTES VB_MIB(1)
#define ROUNDING_BYTES 512

/* Live blocks by address: open addressing, a removed entry keeps its slot. */
struct slot {
    uint64_t address;
    struct vb_block *block; /* NULL: removed, or never given */
    bool is_live;
};

struct run {
    const struct vb_trace *trace;
    const struct vb_trace_end *end;
    struct vb_pool *pool;
    struct slot *slots;
    size_t n_slots;
    const struct vb_trace_event *made;  /* a segment_alloc whose allocation comes next */
    const struct vb_trace_event *given; /* a run of segment_free, while the cache is emptied */
    size_t n_given;
    enum vb_replay_addresses addresses;
    uint64_t lowest;   /* synthetic addresses go down from here */
    uint64_t reserved; /* as the recording has it */
    const char *file;
    struct vb_replay *out;
    struct vb_arena *arena;
    struct vb_error *err;
};

static struct slot *slot_of(struct run *run, uint64_t address)
{
    size_t i =
        (size_t)(address / ROUNDING_BYTES * UINT64_C(0x9e3779b97f4a7c15) >> 20) % run->n_slots;
    while (run->slots[i].address != 0 && run->slots[i].address != address)
        i = (i + 1) % run->n_slots;
    return &run->slots[i];
}

static void differ(struct run *run, const struct vb_trace_event *event)
{
    if (run->out->first_difference == 0)
        run->out->first_difference = event->line;
}

/* The source: gives each segment the address at which it was recorded, or the one below all. */
static enum vb_status reserve(void *context, uint64_t bytes, uint64_t *address,
                              struct vb_error *err)
{
    struct run *run = context;
    bool is_free = run->addresses == VB_REPLAY_SYNTHETIC;
    run->out->n_segments++;
    if (run->made == NULL && !is_free)
        return vb_fail(err, VB_E_NO_FIT, "the recording made no segment here");
    if (run->made != NULL && run->made->bytes == bytes)
        run->out->n_segments_same++;
    else if (run->made != NULL)
        differ(run, run->made);
    if (is_free && bytes >= run->lowest)
        return vb_fail(err, VB_E_NO_FIT, "no addresses left");
    if (is_free)
        run->lowest -= bytes;
    *address = is_free ? run->lowest : run->made->address;
    run->made = NULL;
    return VB_OK;
}

/* Synthetic addresses are not the recorded ones: there the size alone tells. */
static void release(void *context, uint64_t address, uint64_t bytes)
{
    struct run *run = context;
    run->out->n_released++;
    for (size_t i = 0; i < run->n_given; i++) {
        const struct vb_trace_event *event = &run->given[i];
        bool is_here = event->address == address || run->addresses == VB_REPLAY_SYNTHETIC;
        if (is_here && event->bytes == bytes) {
            run->out->n_released_same++;
            return;
        }
    }
}

static bool was_made(const struct vb_trace *trace, uint64_t address)
{
    for (size_t i = 0; i < trace->n; i++) {
        if (trace->events[i].action == VB_TRACE_RESERVE && trace->events[i].address == address)
            return true;
    }
    return false;
}

static int by_address(const void *a, const void *b)
{
    const struct vb_pool_live *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

/* Blocks of the segment that were live before the first event: those whose first event is a free,
 * and those without any that are live at the end. */
static size_t live_at_start(struct run *run, const struct vb_trace_segment *segment,
                            struct vb_pool_live *live)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_slots; i++)
        run->slots[i] = (struct slot){ 0 };
    for (size_t i = 0; i < run->trace->n; i++) {
        const struct vb_trace_event *event = &run->trace->events[i];
        bool is_here = event->address >= segment->address &&
                       event->address < segment->address + segment->bytes;
        if (!is_here || (event->action != VB_TRACE_ALLOC && event->action != VB_TRACE_FREE))
            continue;
        struct slot *slot = slot_of(run, event->address);
        if (slot->address == 0 && event->action == VB_TRACE_FREE)
            live[n++] = (struct vb_pool_live){ event->address, 0, event->bytes };
        slot->address = event->address;
    }
    for (size_t i = 0; i < segment->n_blocks; i++) {
        const struct vb_trace_block *block = &segment->blocks[i];
        if (block->is_taken && slot_of(run, block->address)->address == 0)
            live[n++] =
                (struct vb_pool_live){ block->address, block->bytes, block->requested_bytes };
    }
    qsort(live, n, sizeof *live, by_address);
    return n;
}

/* Where an allocation before the block's free starts within reach behind it; 0: none does. */
static uint64_t next_allocation(const struct vb_trace *trace, uint64_t address, uint64_t end)
{
    uint64_t nearest = 0;
    for (size_t i = 0; i < trace->n; i++) {
        const struct vb_trace_event *event = &trace->events[i];
        if (event->action == VB_TRACE_FREE && event->address == address)
            break;
        if (event->action == VB_TRACE_ALLOC && event->address >= end &&
            event->address <= end + UNSPLIT_BYTES && (nearest == 0 || event->address < nearest))
            nearest = event->address;
    }
    return nearest;
}

static void find_extents(const struct run *run, const struct vb_trace_segment *segment,
                         struct vb_pool_live *live, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (live[i].bytes != 0)
            continue;
        uint64_t rounded = vb_round_up(live[i].requested_bytes, ROUNDING_BYTES);
        uint64_t end = live[i].address + rounded;
        uint64_t limit = i + 1 < n ? live[i + 1].address : segment->address + segment->bytes;
        if (!segment->is_small && limit - end <= UNSPLIT_BYTES) {
            end = limit;
        } else if (!segment->is_small) {
            uint64_t next = next_allocation(run->trace, live[i].address, end);
            end = next != 0 && next <= limit ? next : end;
        }
        live[i].bytes = end - live[i].address;
    }
}

static enum vb_status put_back_segment(struct run *run, const struct vb_trace_segment *segment,
                                       struct vb_pool_live *live, struct vb_block **blocks,
                                       size_t *n)
{
    *n = live_at_start(run, segment, live);
    find_extents(run, segment, live, *n);
    struct vb_pool_image image = { segment->address,  segment->bytes, segment->stream,
                                   segment->is_small, live,           *n };
    return vb_pool_put_back(run->pool, &image, blocks, run->err);
}

/* Segments of the start; their live blocks are noted once all are there, as the slots serve both.
 */
static enum vb_status put_back_all(struct run *run)
{
    size_t room = run->trace->n + 1, n_all = 0;
    for (size_t i = 0; run->end != NULL && i < run->end->n; i++)
        room += run->end->segments[i].n_blocks;
    struct vb_pool_live *live = vb_arena_alloc(run->arena, room, sizeof *live);
    struct vb_block **blocks = vb_arena_alloc(run->arena, room, sizeof(struct vb_block *));
    if (live == NULL || blocks == NULL)
        return vb_fail(run->err, VB_E_SYSTEM, "no host memory left for a replay");
    for (size_t i = 0; run->end != NULL && i < run->end->n; i++) {
        size_t n = 0;
        if (was_made(run->trace, run->end->segments[i].address))
            continue;
        enum vb_status status =
            put_back_segment(run, &run->end->segments[i], live, blocks + n_all, &n);
        if (status != VB_OK)
            return status;
        run->reserved += run->end->segments[i].bytes;
        n_all += n;
    }
    for (size_t i = 0; i < run->n_slots; i++)
        run->slots[i] = (struct slot){ 0 };
    for (size_t i = 0; i < n_all; i++) {
        uint64_t address = vb_block_address(blocks[i]);
        *slot_of(run, address) = (struct slot){ address, blocks[i], true };
    }
    return VB_OK;
}

static enum vb_status replay_alloc(struct run *run, const struct vb_trace_event *event)
{
    struct vb_block *block = NULL;
    bool is_compared = run->addresses == VB_REPLAY_RECORDED;
    run->out->n_allocations++;
    enum vb_status status = vb_pool_alloc(run->pool, event->bytes, event->stream, &block, run->err);
    if (status != VB_OK && status != VB_E_NO_FIT)
        return status;
    if (status == VB_E_NO_FIT || run->made != NULL)
        differ(run, event); /* a segment that should not have been made, or one that was not */
    run->made = NULL;
    if (is_compared && block != NULL && vb_block_address(block) == event->address)
        run->out->n_at_address++;
    else if (is_compared)
        differ(run, event);
    *slot_of(run, event->address) = (struct slot){ event->address, block, true };
    return VB_OK;
}

static enum vb_status replay_free(struct run *run, const struct vb_trace_event *event)
{
    struct slot *slot = slot_of(run, event->address);
    if (!slot->is_live)
        return vb_fail(run->err, VB_E_INPUT, "%s:%zu: frees %" PRIu64 ", where nothing is",
                       run->file, event->line, event->address);
    vb_pool_free(run->pool, slot->block);
    slot->block = NULL;
    slot->is_live = false;
    return VB_OK;
}

/* A run of segment_free is one call of empty_cache. */
static void replay_release(struct run *run, size_t index)
{
    size_t n = 0;
    if (index > 0 && run->trace->events[index - 1].action == VB_TRACE_RELEASE)
        return;
    size_t released = run->out->n_released, same = run->out->n_released_same;
    while (index + n < run->trace->n && run->trace->events[index + n].action == VB_TRACE_RELEASE)
        n++;
    run->given = &run->trace->events[index];
    run->n_given = n;
    vb_pool_empty_cache(run->pool);
    run->n_given = 0;
    if (run->out->n_released - released != n || run->out->n_released_same - same != n)
        differ(run, run->given);
}

static enum vb_status replay_event(struct run *run, size_t index)
{
    const struct vb_trace_event *event = &run->trace->events[index];
    switch (event->action) {
    case VB_TRACE_RESERVE:
        if (run->made != NULL)
            differ(run, run->made); /* no allocation wanted it */
        run->made = event;
        run->reserved += event->bytes;
        return VB_OK;
    case VB_TRACE_ALLOC:
        return event->address == 0 ? VB_OK : replay_alloc(run, event);
    case VB_TRACE_FREE:
        return replay_free(run, event);
    case VB_TRACE_RELEASE:
        replay_release(run, index);
        run->reserved -= event->bytes;
        return VB_OK;
    case VB_TRACE_FREED:
    case VB_TRACE_OOM:
        break;
    }
    return VB_OK;
}

/* Between a segment_alloc and its allocation, or within a run of segment_free, the recording is
 * ahead of or behind the pool: the event after these settles it. */
static void compare_reserved(struct run *run, size_t index)
{
    const struct vb_trace_event *event = &run->trace->events[index];
    if (!run->out->has_segments || event->action == VB_TRACE_RESERVE ||
        event->action == VB_TRACE_RELEASE)
        return;
    run->out->n_reserved++;
    if (vb_pool_stats(run->pool)->reserved_bytes.current == run->reserved)
        run->out->n_reserved_same++;
    else
        differ(run, event);
}

/* The blocks of the end by address, to be found by the pool's. */
static void compare_block(void *context, uint64_t address, uint64_t bytes, bool is_taken)
{
    struct run *run = context;
    run->out->n_final++;
    for (size_t i = 0; i < run->end->n; i++) {
        const struct vb_trace_segment *segment = &run->end->segments[i];
        if (address < segment->address || address >= segment->address + segment->bytes)
            continue;
        for (size_t k = 0; k < segment->n_blocks; k++) {
            const struct vb_trace_block *block = &segment->blocks[k];
            if (block->address == address && block->bytes == bytes && block->is_taken == is_taken)
                run->out->n_final_same++;
        }
    }
}

static enum vb_status run_trace(struct run *run)
{
    enum vb_status status = put_back_all(run);
    for (size_t i = 0; i < run->trace->n && status == VB_OK; i++) {
        status = replay_event(run, i);
        if (status == VB_OK)
            compare_reserved(run, i);
    }
    if (status != VB_OK)
        return status;
    if (run->made != NULL)
        differ(run, run->made);
    if (run->end != NULL && run->addresses == VB_REPLAY_RECORDED)
        vb_pool_each_block(run->pool, compare_block, run);
    run->out->peak_reserved_bytes = vb_pool_stats(run->pool)->reserved_bytes.peak;
    run->out->end_reserved_bytes = vb_pool_stats(run->pool)->reserved_bytes.current;
    return VB_OK;
}

bool vb_trace_has_segments(const struct vb_trace *trace)
{
    for (size_t i = 0; i < trace->n; i++) {
        if (trace->events[i].action == VB_TRACE_RESERVE ||
            trace->events[i].action == VB_TRACE_RELEASE)
            return true;
    }
    return false;
}

bool vb_replay_is_same(const struct vb_replay *replay, enum vb_replay_addresses addresses)
{
    bool at_address =
        addresses == VB_REPLAY_SYNTHETIC ||
        (replay->n_at_address == replay->n_allocations && replay->n_final == replay->n_final_same);
    bool in_segments = !replay->has_segments || (replay->n_segments == replay->n_segments_same &&
                                                 replay->n_released == replay->n_released_same &&
                                                 replay->n_reserved == replay->n_reserved_same);
    return replay->first_difference == 0 && at_address && in_segments;
}

/* Below the segments that are put back at the start. */
static uint64_t lowest_address(const struct vb_trace_end *end)
{
    uint64_t lowest = UINT64_C(1) << 46;
    for (size_t i = 0; end != NULL && i < end->n; i++)
        lowest = end->segments[i].address < lowest ? end->segments[i].address : lowest;
    return lowest;
}

enum vb_status vb_trace_replay(const char *file, const struct vb_trace *trace,
                               const struct vb_trace_end *end,
                               const struct vb_pool_options *options,
                               enum vb_replay_addresses addresses, struct vb_arena *arena,
                               struct vb_replay *out, struct vb_error *err)
{
    struct run run = { .file = file,
                       .addresses = addresses,
                       .lowest = lowest_address(end),
                       .trace = trace,
                       .end = end,
                       .out = out,
                       .arena = arena,
                       .err = err,
                       .n_slots = trace->n * 2 + 4096 };
    struct vb_source source = { &run, reserve, release, VB_GIB(1024) };
    *out = (struct vb_replay){ .has_segments = end != NULL || vb_trace_has_segments(trace) };
    for (size_t i = 0; end != NULL && i < end->n; i++)
        run.n_slots += 2 * end->segments[i].n_blocks;
    run.slots = vb_arena_alloc(arena, run.n_slots, sizeof *run.slots);
    if (run.slots == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a replay");
    enum vb_status status = vb_pool_open(&source, options, &run.pool, err);
    if (status == VB_OK)
        status = run_trace(&run);
    size_t n_released = out->n_released;
    vb_pool_close(run.pool);
    out->n_released = n_released; /* closing gives all back: that is no event of the trace */
    return status;
}
