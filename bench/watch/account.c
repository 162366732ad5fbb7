/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/order.h"
#include "watch/account_parts.h"
#include "watch/proc.h"

enum { MOST_GPUS = 64 };

const char *const vb_watched_end_names[4] = { "ended", "abrupt", "executed", "running" };

/* The program that the process was after this one; NULL: none. */
static const struct vb_watch_trace *find_next(const struct vb_watch_traces *traces, size_t at)
{
    const struct vb_watch_trace *of = &traces->items[at];
    for (size_t i = 0; i < traces->n; i++) {
        const struct vb_watch_trace *other = &traces->items[i];
        if (other->start.pid == of->start.pid &&
            other->start.start_ticks == of->start.start_ticks && other->nth == of->nth + 1)
            return other;
    }
    return NULL;
}

static enum vb_watched_end tell_end(const struct vb_watch_trace *trace,
                                    const struct vb_watch_trace *next)
{
    if (trace->end_ns != 0)
        return VB_WATCHED_ENDED;
    if (next != NULL)
        return VB_WATCHED_EXECUTED;
    uint64_t ticks = vb_proc_start_ticks(trace->start.pid);
    return ticks != 0 && ticks == trace->start.start_ticks ? VB_WATCHED_RUNNING : VB_WATCHED_ABRUPT;
}

/* Of a process that nobody saw end. */
static uint64_t last_sign(const struct vb_watched_process *process, const struct vb_watch_run *run)
{
    uint64_t last = process->trace->reached_ns;
    for (size_t i = 0; i < process->n_gpus; i++) {
        const struct vb_live_curve *curve = &process->gpus[i].curve;
        if (curve->n > 0 && curve->points[curve->n - 1].ns > last)
            last = curve->points[curve->n - 1].ns;
    }
    for (size_t i = 0; i < run->n_samples; i++) {
        const struct vb_watch_sample *sample = &run->samples[i];
        if (sample->pid == (uint32_t)process->trace->start.pid && sample->ns > last)
            last = sample->ns;
    }
    return last;
}

static enum vb_status account_process(const struct vb_watch_traces *traces, size_t at,
                                      const struct vb_watch_run *run,
                                      struct vb_watched_process *out, struct vb_arena *arena,
                                      struct vb_error *err)
{
    const struct vb_watch_trace *trace = &traces->items[at];
    const struct vb_watch_trace *next = find_next(traces, at);
    *out = (struct vb_watched_process){ .trace = trace, .end = tell_end(trace, next) };
    out->gpus = vb_arena_alloc(arena, MOST_GPUS, sizeof *out->gpus);
    if (out->gpus == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory for a process's GPUs");
    const uint64_t until_ns = trace->end_ns != 0 ? trace->end_ns
                              : next != NULL     ? next->start.monotonic_ns
                                                 : run->end_ns;
    enum vb_status status =
        vb_watch_account_events(trace, run->start_ns, MOST_GPUS, out, arena, err);
    if (status == VB_OK)
        status = vb_watch_account_samples(run, until_ns, MOST_GPUS, out, err);
    bool is_killed = out->end == VB_WATCHED_ABRUPT && trace->start.pid != run->pid;
    out->gone_ns = is_killed ? last_sign(out, run) : until_ns;
    return status;
}

/* ----------------------------------------------------------------------------- all together */

struct change {
    uint64_t ns;
    uint64_t more, less;
};

static int compare_changes(const void *left, const void *right)
{
    return vb_order(((const struct change *)left)->ns, ((const struct change *)right)->ns);
}

/* A process that is gone holds nothing. */
static size_t list_changes(const struct vb_live_curve *curve, uint64_t gone, struct change *out)
{
    uint64_t before = 0;
    size_t n = 0;
    for (size_t i = 0; i < curve->n; i++) {
        uint64_t now = curve->points[i].device_bytes;
        out[n++] = (struct change){ curve->points[i].ns, now > before ? now - before : 0,
                                    now < before ? before - now : 0 };
        before = now;
    }
    uint64_t last = curve->n > 0 ? curve->points[curve->n - 1].ns : 0;
    if (before > 0)
        out[n++] = (struct change){ gone > last ? gone : last, 0, before };
    return n;
}

static void add_up(struct change *changes, size_t n, struct vb_watched_total *total)
{
    uint64_t more = 0, less = 0;
    qsort(changes, n, sizeof *changes, compare_changes);
    for (size_t i = 0; i < n; i++) {
        more += changes[i].more;
        less += changes[i].less;
        if (i + 1 < n && changes[i + 1].ns == changes[i].ns)
            continue;
        total->curve.points[total->curve.n++] =
            (struct vb_live_point){ changes[i].ns, more - less };
        if (more - less <= total->peak_bytes)
            continue;
        total->peak_bytes = more - less;
        total->peak_ns = changes[i].ns;
    }
}

static const struct vb_watched_gpu *find_part(const struct vb_watched_process *process,
                                              const char *name)
{
    for (size_t i = 0; i < process->n_gpus; i++) {
        if (strcasecmp(process->gpus[i].name, name) == 0)
            return &process->gpus[i];
    }
    return NULL;
}

/* Of those that were there at the peak. */
static void add_contexts(const struct vb_watched *watched, struct vb_watched_total *total)
{
    total->has_context = true;
    for (size_t i = 0; i < watched->n_processes; i++) {
        const struct vb_watched_process *process = &watched->processes[i];
        const struct vb_watched_gpu *part = find_part(process, total->name);
        if (part == NULL)
            continue;
        total->n_processes++;
        total->is_lower_bound = total->is_lower_bound || part->n_missing > 0 ||
                                process->trace->why[0] != '\0' || process->trace->is_cut ||
                                process->end == VB_WATCHED_ABRUPT;
        bool is_there =
            total->peak_bytes == 0 || (process->trace->start.monotonic_ns <= total->peak_ns &&
                                       total->peak_ns <= process->gone_ns);
        total->has_context = total->has_context && (part->has_context || !is_there);
        total->context_bytes += is_there ? part->context_bytes : 0;
    }
}

static bool is_watched(const struct vb_watched *watched, uint32_t pid)
{
    for (size_t i = 0; i < watched->n_processes; i++) {
        if ((uint32_t)watched->processes[i].trace->start.pid == pid)
            return true;
    }
    return false;
}

/* Samples of one look at a GPU stand together and have one time. */
static void add_samples(const struct vb_watched *watched, const struct vb_watch_run *run,
                        struct vb_watched_total *total)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < run->n_samples; i++) {
        const struct vb_watch_sample *sample = &run->samples[i];
        if (strcasecmp(run->bus_ids[sample->gpu], total->name) != 0)
            continue;
        if (i == 0 || sample[-1].ns != sample->ns)
            sum = 0;
        sum += is_watched(watched, sample->pid) ? sample->bytes : 0;
        if (sum > total->sampled_bytes)
            total->sampled_bytes = sum;
    }
}

static enum vb_status add_total(const char *name, const struct vb_watch_run *run,
                                struct vb_watched *watched, struct vb_arena *arena,
                                struct vb_error *err)
{
    struct vb_watched_total *total = &watched->totals[watched->n_totals];
    size_t room = 1, n = 0;
    for (size_t i = 0; i < watched->n_processes; i++) {
        const struct vb_watched_gpu *part = find_part(&watched->processes[i], name);
        room += part != NULL ? part->curve.n + 1 : 0;
    }
    struct change *changes = calloc(room, sizeof *changes);
    total->curve.points = vb_arena_alloc(arena, room, sizeof *total->curve.points);
    if (changes == NULL || total->curve.points == NULL) {
        free(changes);
        return vb_fail(err, VB_E_SYSTEM, "no host memory for %zu changes", room);
    }
    for (size_t i = 0; i < watched->n_processes; i++) {
        const struct vb_watched_process *process = &watched->processes[i];
        const struct vb_watched_gpu *part = find_part(process, name);
        if (part != NULL)
            n += list_changes(&part->curve, process->gone_ns, changes + n);
    }
    total->name = name;
    add_up(changes, n, total);
    free(changes);
    add_contexts(watched, total);
    add_samples(watched, run, total);
    total->device_bytes = total->peak_bytes + total->context_bytes;
    if (total->sampled_bytes > total->device_bytes)
        total->device_bytes = total->sampled_bytes;
    watched->n_totals++;
    return VB_OK;
}

static bool has_total(const struct vb_watched *watched, const char *name)
{
    for (size_t i = 0; i < watched->n_totals; i++) {
        if (strcasecmp(watched->totals[i].name, name) == 0)
            return true;
    }
    return false;
}

enum vb_status vb_watch_account(const struct vb_watch_traces *traces,
                                const struct vb_watch_run *run, struct vb_watched *out,
                                struct vb_arena *arena, struct vb_error *err)
{
    struct vb_watched watched = { .n_processes = traces->n };
    enum vb_status status = VB_OK;
    watched.processes = vb_arena_alloc(arena, traces->n + 1, sizeof *watched.processes);
    watched.totals = vb_arena_alloc(arena, traces->n * MOST_GPUS + 1, sizeof *watched.totals);
    if (watched.processes == NULL || watched.totals == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory for %zu processes", traces->n);
    for (size_t i = 0; i < traces->n && status == VB_OK; i++)
        status = account_process(traces, i, run, &watched.processes[i], arena, err);
    for (size_t i = 0; i < traces->n && status == VB_OK; i++) {
        const struct vb_watched_process *process = &watched.processes[i];
        for (size_t k = 0; k < process->n_gpus && status == VB_OK; k++) {
            if (!has_total(&watched, process->gpus[k].name))
                status = add_total(process->gpus[k].name, run, &watched, arena, err);
        }
    }
    if (status == VB_OK)
        *out = watched;
    return status;
}
