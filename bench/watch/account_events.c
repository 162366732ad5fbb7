/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/account_parts.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_valid(const struct vb_watch_event *event)
{
    return event->kind < VB_MEMORY_KINDS && event->change <= VB_MEMORY_RESIZED;
}

static const char *name_call(const struct vb_watch_event *event)
{
    if (event->from & VB_WATCH_GRAPHS)
        return "CUDA graphs, as the driver tells";
    if (event->from & VB_WATCH_POOL)
        return "driver's pool (cudaMallocAsync)";
    if (event->from & VB_WATCH_ARRAY)
        return "array (cudaMallocArray)";
    if (event->from & VB_WATCH_VARIABLE)
        return "variable of a module";
    return "memory (cudaMalloc, cuMemAlloc)";
}

static const char *name_gpu(const struct vb_watch_trace *trace, uint32_t device,
                            struct vb_arena *arena)
{
    for (size_t i = 0; i < trace->n_devices; i++) {
        if (trace->devices[i].device == device)
            return trace->devices[i].bus_id;
    }
    return vb_arena_format(arena, "device %" PRIu32, device);
}

/* The clock of the records to that of all processes. */
static uint64_t to_monotonic(const struct vb_watch_trace *trace, uint64_t ns)
{
    return ns - trace->start.record_ns + trace->start.monotonic_ns;
}

/* The event that the life began with: of those of its moment and address the last. */
static const struct vb_watch_event *find_event(const struct vb_watch_trace *trace,
                                               const struct vb_life *life)
{
    const struct vb_watch_event *found = NULL;
    for (size_t i = 0; i < trace->n_events; i++) {
        const struct vb_watch_event *event = &trace->events[i];
        if (event->ns == life->from_ns && event->address == life->address &&
            event->change != VB_MEMORY_GIVEN)
            found = event;
    }
    return found;
}

static bool describe(const struct vb_watch_trace *trace, const struct vb_life *life,
                     uint64_t start_ns, struct vb_watched_allocation *out, struct vb_arena *arena)
{
    const struct vb_watch_event *event = find_event(trace, life);
    const uint64_t taken_ns = to_monotonic(trace, life->from_ns);
    *out = (struct vb_watched_allocation){
        .bytes = life->bytes,
        .address = life->address != VB_WATCH_GRAPHS_ADDRESS ? life->address : 0,
        .seconds = taken_ns > start_ns ? (double)(taken_ns - start_ns) * 1e-9 : 0,
        .correlation = event != NULL ? event->correlation : 0,
        .call = event != NULL ? name_call(event) : "",
        .caller = event != NULL ? vb_watch_trace_caller(trace, event->call_address, arena) : "",
    };
    return out->caller != NULL;
}

static enum vb_status account_device(const struct vb_watch_trace *trace, uint32_t device,
                                     uint64_t start_ns, struct vb_watched_gpu *out,
                                     struct vb_arena *arena, struct vb_error *err)
{
    struct vb_timeline timeline = { 0 };
    struct vb_timeline_answer answer;
    for (size_t i = 0; i < trace->n_events; i++) {
        const struct vb_watch_event *event = &trace->events[i];
        if (event->device == device && is_valid(event))
            vb_timeline_add_memory(&timeline, (struct vb_memory_event){
                                                  .ns = event->ns,
                                                  .address = event->address,
                                                  .bytes = event->bytes,
                                                  .correlation = event->correlation,
                                                  .kind = (enum vb_memory_kind)event->kind,
                                                  .change = (enum vb_memory_change)event->change });
        else if (!is_valid(event))
            vb_timeline_add_dropped(&timeline, 1);
    }
    vb_timeline_add_dropped(&timeline, trace->start.n_dropped);
    enum vb_status status = vb_timeline_answer(&timeline, &answer, arena, err);
    if (status == VB_OK)
        status = vb_timeline_curve(&timeline, &out->curve, arena, err);
    vb_timeline_clear(&timeline);
    if (status != VB_OK)
        return status;
    for (size_t i = 0; i < out->curve.n; i++)
        out->curve.points[i].ns = to_monotonic(trace, out->curve.points[i].ns);
    out->name = name_gpu(trace, device, arena);
    out->peak_bytes = answer.peak.device_bytes;
    out->peak_ns = to_monotonic(trace, answer.peak.ns);
    out->managed_bytes = answer.peak.kind_bytes[VB_MEMORY_MANAGED];
    out->n_missing = answer.n_dropped + answer.n_unknown_releases + answer.n_lost_releases;
    for (size_t i = 0; i < answer.n_largest; i++) {
        if (!describe(trace, &answer.largest[i], start_ns, &out->largest[i], arena))
            return vb_fail(err, VB_E_SYSTEM, "no host memory to name allocations");
    }
    out->n_largest = answer.n_largest;
    return out->name != NULL ? VB_OK : vb_fail(err, VB_E_SYSTEM, "no host memory to name a GPU");
}

/* The smallest number of a device beyond `last`; false: there is none. */
static bool next_device(const struct vb_watch_trace *trace, int64_t last, uint32_t *out)
{
    bool is_found = false;
    for (size_t i = 0; i < trace->n_events; i++) {
        const uint32_t device = trace->events[i].device;
        if ((int64_t)device <= last || (is_found && device >= *out))
            continue;
        *out = device;
        is_found = true;
    }
    return is_found;
}

enum vb_status vb_watch_account_events(const struct vb_watch_trace *trace, uint64_t start_ns,
                                       size_t most_gpus, struct vb_watched_process *out,
                                       struct vb_arena *arena, struct vb_error *err)
{
    uint32_t device = 0;
    int64_t last = -1;
    while (out->n_gpus < most_gpus && next_device(trace, last, &device)) {
        enum vb_status status =
            account_device(trace, device, start_ns, &out->gpus[out->n_gpus++], arena, err);
        if (status != VB_OK)
            return status;
        last = device;
    }
    return VB_OK;
}
