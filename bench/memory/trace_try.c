/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace_try.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "memory/trace_map.h"
#include "memory/trace_replay.h"

#define UNLIMITED_BYTES VB_GIB(1024)
#define HIGHEST_ADDRESS (UINT64_C(1) << 62)

struct run {
    const char *file;
    const struct vb_trace *trace;
    const struct vb_trace_start *start;
    struct vb_pool *pool;
    struct vb_trace_map map;
    uint64_t capacity, reserved; /* 0: no limit */
    uint64_t lowest;
    uint64_t allocated; /* what the program holds: also not what waits for a stream */
    bool completes;
    size_t last_alloc; /* index of the last allocation that the recording got */
    struct vb_trial *out;
    struct vb_error *err;
};

static enum vb_status reserve(void *context, uint64_t bytes, uint64_t *address,
                              struct vb_error *err)
{
    struct run *run = context;
    if (bytes >= run->lowest || (run->capacity > 0 && bytes > run->capacity - run->reserved))
        return vb_fail(err, VB_E_NO_FIT, "no room for a segment");
    run->reserved += bytes;
    run->lowest -= bytes;
    *address = run->lowest;
    return VB_OK;
}

static void release(void *context, uint64_t address, uint64_t bytes)
{
    struct run *run = context;
    (void)address;
    run->reserved -= bytes;
}

static void note_peaks(struct run *run)
{
    const struct vb_pool_stats *stats = vb_pool_stats(run->pool);
    struct vb_trial *out = run->out;
    if (run->allocated > out->peak_allocated_bytes)
        out->peak_allocated_bytes = run->allocated;
    bool is_higher = stats->reserved_bytes.current > out->peak_reserved_bytes;
    bool is_fuller = stats->reserved_bytes.current == out->peak_reserved_bytes &&
                     run->allocated > out->allocated_at_peak_bytes;
    if (!is_higher && !is_fuller)
        return;
    out->peak_reserved_bytes = stats->reserved_bytes.current;
    out->allocated_at_peak_bytes = run->allocated;
    out->requested_at_peak_bytes = stats->requested_bytes.current;
    out->segments_at_peak = stats->segments.current;
}

/* VB_E_NO_FIT is an answer: noted, and the status is handed on. */
static enum vb_status ask(struct run *run, uint64_t address, uint64_t bytes, uint64_t stream,
                          size_t line)
{
    struct vb_block *block = NULL;
    enum vb_status status = vb_pool_alloc(run->pool, bytes, stream, &block, run->err);
    if (status == VB_E_NO_FIT) {
        run->out->ran_out = true;
        run->out->ran_out_line = line;
        run->out->ran_out_bytes = bytes;
    }
    if (status != VB_OK)
        return status;
    uint64_t given = block != NULL ? vb_block_bytes(block) : 0;
    *vb_trace_map_at(&run->map, address) = (struct vb_trace_slot){ address, block, given, true };
    run->allocated += given;
    note_peaks(run);
    return VB_OK;
}

/* The recording's own end, or one that it went on after. */
static enum vb_status try_again(struct run *run, size_t index)
{
    const struct vb_trace_event *event = &run->trace->events[index];
    struct vb_block *block = NULL;
    enum vb_status status = vb_pool_alloc(run->pool, event->bytes, event->stream, &block, run->err);
    if (status == VB_E_NO_FIT && index < run->last_alloc) {
        run->out->n_refused++;
        return VB_OK;
    }
    if (status == VB_E_NO_FIT) {
        run->out->ran_out = true;
        run->out->ran_out_line = event->line;
        run->out->ran_out_bytes = event->bytes;
    }
    if (status != VB_OK || block == NULL)
        return status;
    run->allocated += vb_block_bytes(block);
    note_peaks(run);
    run->allocated -= vb_block_bytes(block);
    vb_pool_free(run->pool, block);
    return VB_OK;
}

static enum vb_status give_back(struct run *run, const struct vb_trace_event *event)
{
    struct vb_trace_slot *slot = vb_trace_map_at(&run->map, event->address);
    bool is_asked = event->action == VB_TRACE_FREE;
    if (!slot->is_live && is_asked)
        return vb_fail(run->err, VB_E_INPUT,
                       run->trace->has_lines ? "%s:%zu: frees %" PRIu64 ", where nothing is"
                                             : "%s: event %zu: frees %" PRIu64 ", where nothing is",
                       run->file, event->line, event->address);
    if (!slot->is_live)
        return VB_OK;
    run->allocated -= slot->bytes;
    slot->bytes = 0; /* counted */
    if (is_asked && run->completes)
        return VB_OK;
    vb_pool_free(run->pool, slot->block);
    slot->is_live = false;
    return VB_OK;
}

static enum vb_status try_event(struct run *run, size_t index)
{
    const struct vb_trace_event *event = &run->trace->events[index];
    switch (event->action) {
    case VB_TRACE_ALLOC:
        return event->address == 0
                   ? VB_OK
                   : ask(run, event->address, event->bytes, event->stream, event->line);
    case VB_TRACE_FREE:
    case VB_TRACE_FREED:
        return give_back(run, event);
    case VB_TRACE_OOM:
        return try_again(run, index);
    case VB_TRACE_RELEASE:
    case VB_TRACE_UNMAP:
        if (vb_trace_n_given_back(run->trace, index) > 0)
            vb_pool_empty_cache(run->pool);
        return VB_OK;
    case VB_TRACE_RESERVE:
    case VB_TRACE_MAP:
    case VB_TRACE_SNAPSHOT:
        break;
    }
    return VB_OK;
}

static enum vb_status try_all(struct run *run)
{
    const struct vb_trace_start *start = run->start;
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < start->n_live && status == VB_OK; i++)
        status =
            ask(run, start->live[i].address, start->live[i].requested_bytes, start->streams[i], 0);
    for (size_t i = 0; i < run->trace->n && status == VB_OK; i++)
        status = try_event(run, i);
    run->out->n_retries = vb_pool_stats(run->pool)->n_alloc_retries;
    return status == VB_E_NO_FIT ? VB_OK : status;
}

enum vb_status vb_trace_try(const char *file, const struct vb_trace *trace,
                            const struct vb_trace_start *start,
                            const struct vb_pool_options *options, uint64_t capacity_bytes,
                            struct vb_arena *arena, struct vb_trial *out, struct vb_error *err)
{
    struct run run = { .file = file,
                       .trace = trace,
                       .start = start,
                       .capacity = capacity_bytes,
                       .lowest = HIGHEST_ADDRESS,
                       .completes = vb_trace_completes(trace),
                       .out = out,
                       .err = err };
    struct vb_source source = { &run, reserve, release,
                                capacity_bytes > 0 ? capacity_bytes : UNLIMITED_BYTES };
    *out = (struct vb_trial){ .has_segments = !options->expandable_segments };
    if (options->memory_fraction > 0 && capacity_bytes == 0)
        return vb_fail(err, VB_E_INPUT,
                       "%s: per_process_memory_fraction is a part of the device's memory: say how "
                       "much that is with --memory",
                       file);
    for (size_t i = 0; i < trace->n; i++)
        run.last_alloc = trace->events[i].action == VB_TRACE_ALLOC ? i : run.last_alloc;
    if (!vb_trace_map_init(&run.map, trace->n + start->n_live, arena))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a replay");
    enum vb_status status = vb_pool_open(&source, options, &run.pool, err);
    if (status == VB_OK)
        status = try_all(&run);
    vb_pool_close(run.pool);
    return status;
}

uint64_t vb_trace_capacity(const struct vb_trace *trace, const struct vb_trace_start *start)
{
    uint64_t reserved = 0, least = 0;
    if (start->had_pages)
        return 0;
    for (size_t i = 0; i < start->n; i++)
        reserved += start->segments[i].bytes;
    for (size_t i = 0; i < trace->n; i++) {
        const struct vb_trace_event *event = &trace->events[i];
        if (event->action == VB_TRACE_RESERVE || event->action == VB_TRACE_MAP)
            reserved += event->bytes;
        else if (event->action == VB_TRACE_RELEASE || event->action == VB_TRACE_UNMAP)
            reserved -= event->bytes;
        else if (event->action == VB_TRACE_OOM && (least == 0 || reserved + event->address < least))
            least = reserved + event->address;
    }
    return least;
}
