/* SPDX-License-Identifier: Apache-2.0 */
/* The pool begins as the process had it (trace_start.h) and is told what was asked for, what was
 * freed and when the cache was emptied. A block goes back to the pool where the recording says that
 * its free was completed; what tells of no completion is complete at once. */

#include "memory/trace_replay.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "memory/trace_map.h"
#include "memory/trace_spans.h"

struct run {
    const struct vb_trace *trace;
    const struct vb_trace_end *end;
    const struct vb_trace_start *start;
    struct vb_pool *pool;
    struct vb_trace_map map;
    struct vb_trace_spans spans;        /* where the pool's segments are */
    bool completes;                     /* the recording tells when a free is complete */
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

static bool is_giving_back(const struct vb_trace_event *event)
{
    return event->action == VB_TRACE_RELEASE || event->action == VB_TRACE_UNMAP;
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
    run->out->n_segments += !run->out->has_pages;
    if (run->made == NULL && !is_free)
        return vb_fail(err, VB_E_NO_FIT, "the recording made no segment here");
    if (run->made != NULL && run->made->bytes == bytes)
        run->out->n_segments_same++;
    else if (run->made != NULL)
        differ(run, run->made);
    if (!is_free && vb_trace_spans_overlap(&run->spans, run->made->address, bytes)) {
        differ(run, run->made);
        is_free = true;
    }
    if (is_free && run->spans.n > 0 && run->spans.items[0].address < run->lowest)
        run->lowest = run->spans.items[0].address;
    if (is_free && bytes >= run->lowest)
        return vb_fail(err, VB_E_NO_FIT, "no addresses left");
    if (is_free)
        run->lowest -= bytes;
    *address = is_free ? run->lowest : run->made->address;
    run->made = NULL;
    if (!vb_trace_spans_add(&run->spans, *address, bytes, run->arena))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a replay");
    return VB_OK;
}

/* Synthetic addresses are not the recorded ones: there the size alone tells. */
static void release(void *context, uint64_t address, uint64_t bytes)
{
    struct run *run = context;
    run->out->n_released += !run->out->has_pages;
    vb_trace_spans_remove(&run->spans, address);
    for (size_t i = 0; i < run->n_given; i++) {
        const struct vb_trace_event *event = &run->given[i];
        bool is_here = event->address == address || run->addresses == VB_REPLAY_SYNTHETIC;
        if (is_here && event->bytes == bytes && !run->out->has_pages) {
            run->out->n_released_same++;
            return;
        }
    }
}

static struct vb_trace_slot *slot_of(struct run *run, uint64_t address)
{
    return vb_trace_map_at(&run->map, address);
}

static enum vb_status put_back(struct run *run, const struct vb_trace_start_segment *segment,
                               struct vb_block **blocks)
{
    struct vb_pool_image image = { segment->address,  segment->bytes, segment->stream,
                                   segment->is_small, segment->live,  segment->n_live };
    if (!vb_trace_spans_add(&run->spans, segment->address, segment->bytes, run->arena))
        return vb_fail(run->err, VB_E_SYSTEM, "no host memory left for a replay");
    enum vb_status status = vb_pool_put_back(run->pool, &image, blocks, run->err);
    for (size_t i = 0; i < segment->n_live && status == VB_OK; i++)
        *slot_of(run, segment->live[i].address) =
            (struct vb_trace_slot){ segment->live[i].address, blocks[i], segment->live[i].bytes,
                                    true };
    return status;
}

/* Where expandable segments are it is not known how blocks lay: they are asked for again. */
static enum vb_status ask_again(struct run *run, size_t index)
{
    const struct vb_pool_live *live = &run->start->live[index];
    struct vb_block *block = NULL;
    enum vb_status status = vb_pool_alloc(run->pool, live->requested_bytes,
                                          run->start->streams[index], &block, run->err);
    if (status == VB_OK)
        *slot_of(run, live->address) =
            (struct vb_trace_slot){ live->address, block, live->bytes, true };
    return status;
}

static enum vb_status put_back_all(struct run *run)
{
    enum vb_status status = VB_OK;
    struct vb_block **blocks =
        vb_arena_alloc(run->arena, run->start->n_live + 1, sizeof(struct vb_block *));
    if (blocks == NULL)
        return vb_fail(run->err, VB_E_SYSTEM, "no host memory left for a replay");
    for (size_t i = 0; run->out->has_pages && i < run->start->n_live && status == VB_OK; i++)
        status = ask_again(run, i);
    for (size_t i = 0; !run->out->has_pages && i < run->start->n && status == VB_OK; i++) {
        run->reserved += run->start->segments[i].bytes;
        status = put_back(run, &run->start->segments[i], blocks);
    }
    return status;
}

static enum vb_status replay_alloc(struct run *run, const struct vb_trace_event *event)
{
    struct vb_block *block = NULL;
    bool is_compared = run->addresses == VB_REPLAY_RECORDED;
    run->out->n_allocations++;
    enum vb_status status = vb_pool_alloc(run->pool, event->bytes, event->stream, &block, run->err);
    if (status != VB_OK && status != VB_E_NO_FIT)
        return status;
    if (status == VB_E_NO_FIT || (run->made != NULL && !run->out->has_pages))
        differ(run, event); /* a segment that should not have been made, or one that was not */
    run->made = NULL;
    if (is_compared && block != NULL && vb_block_address(block) == event->address)
        run->out->n_at_address++;
    else if (is_compared)
        differ(run, event);
    *slot_of(run, event->address) =
        (struct vb_trace_slot){ event->address, block, event->bytes, true };
    return VB_OK;
}

/* Asked back: the block stays the recording's until the free is complete. */
static enum vb_status replay_free(struct run *run, const struct vb_trace_event *event)
{
    struct vb_trace_slot *slot = slot_of(run, event->address);
    if (!slot->is_live && event->action == VB_TRACE_FREE)
        return vb_fail(run->err, VB_E_INPUT,
                       run->trace->has_lines ? "%s:%zu: frees %" PRIu64 ", where nothing is"
                                             : "%s: event %zu: frees %" PRIu64 ", where nothing is",
                       run->file, event->line, event->address);
    if (!slot->is_live || (run->completes && event->action == VB_TRACE_FREE))
        return VB_OK;
    vb_pool_free(run->pool, slot->block);
    slot->block = NULL;
    slot->is_live = false;
    return VB_OK;
}

/* A run of segment_free is one call of empty_cache. */
static void replay_release(struct run *run, size_t index)
{
    size_t n = vb_trace_n_given_back(run->trace, index);
    size_t released = run->out->n_released, same = run->out->n_released_same;
    if (n == 0)
        return;
    run->given = &run->trace->events[index];
    run->n_given = n;
    vb_pool_empty_cache(run->pool);
    run->n_given = 0;
    if (!run->out->has_pages &&
        (run->out->n_released - released != n || run->out->n_released_same - same != n))
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
    case VB_TRACE_FREED:
        return replay_free(run, event);
    case VB_TRACE_MAP:
        run->reserved += event->bytes;
        return VB_OK;
    case VB_TRACE_RELEASE:
    case VB_TRACE_UNMAP:
        replay_release(run, index);
        run->reserved -= event->bytes;
        return VB_OK;
    case VB_TRACE_OOM:
    case VB_TRACE_SNAPSHOT:
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
        event->action == VB_TRACE_MAP || is_giving_back(event))
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

size_t vb_trace_n_given_back(const struct vb_trace *trace, size_t index)
{
    size_t n = 0;
    if (index > 0 && is_giving_back(&trace->events[index - 1]))
        return 0;
    while (index + n < trace->n && is_giving_back(&trace->events[index + n]))
        n++;
    return n;
}

bool vb_trace_completes(const struct vb_trace *trace)
{
    for (size_t i = 0; i < trace->n; i++) {
        if (trace->events[i].action == VB_TRACE_FREED)
            return true;
    }
    return false;
}

bool vb_trace_has_segments(const struct vb_trace *trace)
{
    for (size_t i = 0; i < trace->n; i++) {
        if (trace->events[i].action == VB_TRACE_RESERVE ||
            trace->events[i].action == VB_TRACE_MAP || is_giving_back(&trace->events[i]))
            return true;
    }
    return false;
}

bool vb_replay_is_same(const struct vb_replay *replay, enum vb_replay_addresses addresses)
{
    bool at_address =
        addresses == VB_REPLAY_SYNTHETIC || replay->has_pages ||
        (replay->n_at_address == replay->n_allocations && replay->n_final == replay->n_final_same);
    bool in_segments = !replay->has_segments || (replay->n_segments == replay->n_segments_same &&
                                                 replay->n_released == replay->n_released_same &&
                                                 replay->n_reserved == replay->n_reserved_same);
    return replay->first_difference == 0 && at_address && in_segments;
}

/* Below the segments that are put back at the start. */
static uint64_t lowest_address(const struct vb_trace_start *start)
{
    uint64_t highest = UINT64_C(1) << 46;
    bool is_below = start->n > 0 && start->segments[0].address < highest;
    return is_below ? start->segments[0].address : highest;
}

enum vb_status vb_trace_replay(const char *file, const struct vb_trace *trace,
                               const struct vb_trace_end *end,
                               const struct vb_pool_options *options,
                               enum vb_replay_addresses addresses, struct vb_arena *arena,
                               struct vb_replay *out, struct vb_error *err)
{
    struct vb_trace_start start;
    *out = (struct vb_replay){ 0 };
    enum vb_status status = vb_trace_find_start(file, trace, end, options, arena, &start, err);
    if (status != VB_OK)
        return status;
    struct run run = { .file = file,
                       .addresses = start.has_expandable ? VB_REPLAY_SYNTHETIC : addresses,
                       .lowest = lowest_address(&start),
                       .trace = trace,
                       .end = end,
                       .start = &start,
                       .completes = vb_trace_completes(trace),
                       .out = out,
                       .arena = arena,
                       .err = err };
    struct vb_source source = { &run, reserve, release, VB_GIB(1024) };
    out->has_pages = start.has_expandable;
    bool is_known = !start.had_pages && (!start.has_expandable || start.n == 0);
    out->has_segments = (end != NULL || vb_trace_has_segments(trace)) && is_known;
    if (!vb_trace_map_init(&run.map, trace->n + start.n_live, arena))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a replay");
    status = vb_pool_open(&source, options, &run.pool, err);
    if (status == VB_OK)
        status = run_trace(&run);
    size_t n_released = out->n_released;
    vb_pool_close(run.pool);
    out->n_released = n_released; /* closing gives all back: that is no event of the trace */
    return status;
}
