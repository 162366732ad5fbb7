/* SPDX-License-Identifier: Apache-2.0 */
/* With several jobs each worker is a process with a device of its own: worker k takes every jobs-th
 * point from the k-th on and writes each record as a line into a pipe; this process alone journals.
 */

#include "sweep/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "sweep/apart.h"

enum { MAX_JOBS = 64, POLL_MS = 200 };

struct run {
    const struct vb_sweep *sweep;
    const struct vb_run_options *options;
    const struct vb_rows *known;
    struct vb_journal *journal;
    struct vb_arena *arena;
    struct vb_record *records;
    bool *is_done;
    struct vb_run_counts *counts;
    size_t n_done;
    struct vb_error *err;
};

void vb_run_tell_repro(const struct vb_run_options *options, struct vb_record *record)
{
    struct vb_text text = { 0 };
    struct vb_point usual = vb_point_default();
    vb_text_append(&text, "%s --device %s", options->repro, options->device);
    if (options->memory_bytes > 0)
        vb_text_append(&text, " --memory %" PRIu64 "B", options->memory_bytes);
    for (size_t i = 0; i < vb_key_count; i++) {
        char value[256], common[256];
        vb_option_get(&vb_keys[i], &record->point, value, sizeof value);
        vb_option_get(&vb_keys[i], &usual, common, sizeof common);
        if (strcmp(value, common) != 0)
            vb_text_append(&text, " --%s %s", vb_keys[i].name, value);
    }
    (void)snprintf(record->repro, sizeof record->repro, "%s", vb_text_data(&text));
    vb_text_clear(&text);
}

void vb_run_point(const struct vb_run_options *options, const struct vb_point *point,
                  struct vb_device *device, struct vb_arena *arena, struct vb_record *record)
{
    struct vb_error inner = { 0 };
    enum vb_status status = options->measure(point, device, true, arena, record, &inner);
    record->point = *point;
    (void)snprintf(record->device, sizeof record->device, "%s", options->device);
    if (status != VB_OK) {
        record->state = status == VB_E_UNSUPPORTED ? VB_STATE_UNSUPPORTED : VB_STATE_ERROR;
        (void)snprintf(record->reason, sizeof record->reason, "%s", inner.text);
    } else if (record->state == VB_STATE_OOM) {
        (void)snprintf(
            record->reason, sizeof record->reason, "%llu B asked for, %llu B free%s%s",
            (unsigned long long)record->oom_asked_bytes, (unsigned long long)record->oom_free_bytes,
            record->point.workload == VB_WHOLE_RUN ? ", in part: " : "",
            record->point.workload == VB_WHOLE_RUN ? vb_part_names[record->oom_part] : "");
    }
    if (record->state != VB_STATE_OK)
        vb_run_tell_repro(options, record);
}

/* The same but for batch and size, and no smaller in either: what ran out there runs out here. */
static bool is_beyond(const struct vb_point *point, const struct vb_point *smaller)
{
    struct vb_point same = *smaller;
    same.batch = point->batch;
    same.imgsz = point->imgsz;
    char a[17], b[17];
    if (point->batch < smaller->batch || point->imgsz < smaller->imgsz)
        return false;
    vb_record_cell_id(point, "", a);
    vb_record_cell_id(&same, "", b);
    return strcmp(a, b) == 0;
}

static bool is_stopped_by_smaller(const struct run *run, size_t index, struct vb_record *record)
{
    if (!run->options->backstop)
        return false;
    for (size_t i = 0; i < run->sweep->n_points; i++) {
        if (i == index || !run->is_done[i] || run->records[i].state != VB_STATE_OOM ||
            !is_beyond(&run->sweep->points[index], &run->sweep->points[i]))
            continue;
        *record = (struct vb_record){ .point = run->sweep->points[index],
                                      .state = VB_STATE_BACKSTOP,
                                      .provenance = run->records[i].provenance };
        (void)snprintf(record->device, sizeof record->device, "%s", run->options->device);
        (void)snprintf(record->reason, sizeof record->reason, "batch %u at %u ran out of memory",
                       run->sweep->points[i].batch, run->sweep->points[i].imgsz);
        vb_run_tell_repro(run->options, record);
        return true;
    }
    return false;
}

static enum vb_status finish(struct run *run, size_t index, const struct vb_record *record)
{
    enum vb_status status = vb_journal_append(run->journal, record, run->err);
    if (status != VB_OK)
        return status;
    run->records[index] = *record;
    run->is_done[index] = true;
    run->counts->n_run++;
    run->n_done++;
    if (run->options->progress != NULL)
        run->options->progress(run->options->progress_context, run->n_done, run->sweep->n_points);
    return VB_OK;
}

/* What the journal has already, unless it failed and is to be tried again. */
static void take_known(struct run *run)
{
    for (size_t i = 0; i < run->sweep->n_points && run->known->n > 0; i++) {
        const struct vb_record *row =
            vb_rows_find(run->known, &run->sweep->points[i], run->options->device);
        if (row == NULL || (run->options->retry_failed && vb_has_failed(row)))
            continue;
        run->records[i] = *row;
        run->is_done[i] = true;
        run->counts->n_kept++;
        run->n_done++;
    }
}

enum vb_status vb_run_open(const struct vb_run_options *options, struct vb_device **out,
                           struct vb_error *err)
{
    struct vb_device *device = NULL;
    enum vb_status status = vb_device_open(options->device, &device, err);
    if (status == VB_OK && options->memory_bytes > 0)
        status = vb_device_limit(device, options->memory_bytes, err);
    if (status != VB_OK) {
        vb_device_close(device);
        return status;
    }
    *out = device;
    return VB_OK;
}

static bool should_stop(const struct run *run)
{
    return run->options->stop != NULL && *run->options->stop != 0;
}

/* The record's samples and curve move from the point's arena to the run's. */
static void keep_samples(struct run *run, struct vb_record *record)
{
    if (record->n_step_samples == 0)
        return;
    uint64_t *samples = vb_arena_alloc(run->arena, record->n_step_samples, sizeof *samples);
    if (samples != NULL)
        memcpy(samples, record->step_samples_ns, record->n_step_samples * sizeof *samples);
    record->step_samples_ns = samples;
    record->n_step_samples = samples != NULL ? record->n_step_samples : 0;
}

static void keep_curve(struct run *run, struct vb_record *record)
{
    if (record->n_curve == 0)
        return;
    struct vb_curve_point *curve = vb_arena_alloc(run->arena, record->n_curve, sizeof *curve);
    if (curve != NULL)
        memcpy(curve, record->curve, record->n_curve * sizeof *curve);
    record->curve = curve;
    record->n_curve = curve != NULL ? record->n_curve : 0;
}

/* `device` NULL: the point has a process of its own. */
static enum vb_status run_next(struct run *run, size_t index, struct vb_device *device)
{
    const struct vb_point *point = &run->sweep->points[index];
    struct vb_record record = { 0 };
    struct vb_arena arena = { 0 };
    enum vb_status status = VB_OK;
    if (is_stopped_by_smaller(run, index, &record))
        return finish(run, index, &record);
    if (device != NULL)
        vb_run_point(run->options, point, device, &arena, &record);
    else
        status =
            vb_run_apart(run->options, point, &arena, &record, &run->counts->was_stopped, run->err);
    keep_samples(run, &record);
    keep_curve(run, &record);
    if (status == VB_OK && !run->counts->was_stopped)
        status = finish(run, index, &record);
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status run_here(struct run *run)
{
    struct vb_device *device = NULL;
    enum vb_status status = VB_OK;
    if (run->options->program == NULL)
        status = vb_run_open(run->options, &device, run->err);
    for (size_t i = 0; i < run->sweep->n_points && status == VB_OK; i++) {
        if (run->is_done[i])
            continue;
        run->counts->was_stopped = run->counts->was_stopped || should_stop(run);
        if (run->counts->was_stopped)
            break;
        status = run_next(run, i, device);
    }
    vb_device_close(device);
    return status;
}

/* A worker's whole life: "INDEX JSON\n" for each of its points. */
static int work(const struct run *run, uint32_t worker, uint32_t jobs, int out)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    if (vb_run_open(run->options, &device, &err) != VB_OK)
        return 1;
    FILE *pipe = fdopen(out, "w");
    size_t turn = 0;
    for (size_t i = 0; pipe != NULL && i < run->sweep->n_points && !should_stop(run); i++) {
        struct vb_record record = { 0 };
        struct vb_arena arena = { 0 };
        char *line = NULL;
        if (run->is_done[i] || turn++ % jobs != worker)
            continue;
        vb_run_point(run->options, &run->sweep->points[i], device, &arena, &record);
        if (vb_record_print(&record, &line, &err) == VB_OK)
            (void)fprintf(pipe, "%zu %s\n", i, line);
        (void)fflush(pipe);
        free(line);
        vb_arena_clear(&arena);
    }
    vb_device_close(device);
    return pipe != NULL && fclose(pipe) == 0 ? 0 : 1;
}

static enum vb_status take_line(struct run *run, char *line)
{
    char *end = NULL;
    unsigned long index = strtoul(line, &end, 10);
    struct vb_record record;
    if (end == line || index >= run->sweep->n_points || *end != ' ')
        return vb_fail(run->err, VB_E_SYSTEM, "a worker's answer cannot be read");
    enum vb_status status = vb_record_parse(end + 1, run->arena, &record, run->err);
    return status == VB_OK ? finish(run, index, &record) : status;
}

struct worker {
    pid_t pid;
    FILE *pipe;
    int in;
};

static enum vb_status start_worker(struct run *run, uint32_t index, uint32_t jobs,
                                   struct worker *out)
{
    int ends[2];
    if (pipe(ends) != 0)
        return vb_fail(run->err, VB_E_SYSTEM, "no pipe for a worker: %s", strerror(errno));
    out->pid = fork();
    if (out->pid < 0)
        return vb_fail(run->err, VB_E_SYSTEM, "no process for a worker: %s", strerror(errno));
    if (out->pid == 0) {
        (void)close(ends[0]);
        _exit(work(run, index, jobs, ends[1]));
    }
    (void)close(ends[1]);
    out->in = ends[0];
    out->pipe = fdopen(ends[0], "r");
    return out->pipe != NULL ? VB_OK : vb_fail(run->err, VB_E_SYSTEM, "no pipe for a worker");
}

static enum vb_status take_answers(struct run *run, struct worker *workers, uint32_t jobs)
{
    enum vb_status status = VB_OK;
    uint32_t n_open = jobs;
    char *line = NULL;
    size_t room = 0;
    bool was_told = false;
    while (n_open > 0 && status == VB_OK) {
        struct pollfd polls[MAX_JOBS];
        /* Ctrl-C reaches the workers too, a signal to this process alone does not. */
        for (uint32_t i = 0; i < jobs && should_stop(run) && !was_told; i++)
            (void)kill(workers[i].pid, SIGTERM);
        was_told = should_stop(run);
        for (uint32_t i = 0; i < jobs; i++)
            polls[i] = (struct pollfd){ workers[i].pipe != NULL ? workers[i].in : -1, POLLIN, 0 };
        if (poll(polls, jobs, POLL_MS) < 0 && errno != EINTR)
            status = vb_fail(run->err, VB_E_SYSTEM, "waiting for workers: %s", strerror(errno));
        for (uint32_t i = 0; i < jobs && status == VB_OK; i++) {
            if (workers[i].pipe == NULL || (polls[i].revents & (POLLIN | POLLHUP)) == 0)
                continue;
            if (getline(&line, &room, workers[i].pipe) > 0) {
                status = take_line(run, line);
                continue;
            }
            (void)fclose(workers[i].pipe);
            workers[i].pipe = NULL;
            n_open--;
        }
    }
    free(line);
    return status;
}

static enum vb_status run_in_workers(struct run *run, uint32_t jobs)
{
    struct worker workers[MAX_JOBS] = { 0 };
    enum vb_status status = VB_OK;
    uint32_t n = 0;
    for (; n < jobs && status == VB_OK; n++)
        status = start_worker(run, n, jobs, &workers[n]);
    if (status == VB_OK)
        status = take_answers(run, workers, jobs);
    for (uint32_t i = 0; i < n; i++) {
        if (workers[i].pipe != NULL)
            (void)fclose(workers[i].pipe);
        if (workers[i].pid > 0)
            (void)waitpid(workers[i].pid, NULL, 0);
    }
    run->counts->was_stopped = should_stop(run) && run->n_done < run->sweep->n_points;
    if (status == VB_OK && run->n_done < run->sweep->n_points && !run->counts->was_stopped)
        return vb_fail(run->err, VB_E_SYSTEM, "a worker ended early; run again with --resume");
    return status;
}

enum vb_status vb_run_sweep(const struct vb_sweep *sweep, const struct vb_run_options *options,
                            const struct vb_rows *known, struct vb_journal *journal,
                            struct vb_arena *arena, struct vb_record *records,
                            struct vb_run_counts *counts, struct vb_error *err)
{
    struct run run = { .sweep = sweep,
                       .options = options,
                       .known = known,
                       .journal = journal,
                       .arena = arena,
                       .records = records,
                       .counts = counts,
                       .err = err };
    *counts = (struct vb_run_counts){ 0 };
    run.is_done = vb_arena_alloc(arena, sweep->n_points + 1, sizeof *run.is_done);
    if (run.is_done == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", sweep->n_points);
    take_known(&run);
    uint32_t jobs = options->jobs < MAX_JOBS ? options->jobs : MAX_JOBS;
    /* A backstop needs to know what came before, and what is measured must not be disturbed. */
    const bool is_alone = options->backstop || options->program != NULL;
    enum vb_status status = VB_OK;
    if (run.n_done < sweep->n_points)
        status = jobs > 1 && !is_alone ? run_in_workers(&run, jobs) : run_here(&run);
    for (size_t i = 0; i < sweep->n_points; i++) {
        counts->n_oom += run.is_done[i] && records[i].state == VB_STATE_OOM;
        counts->n_failed += run.is_done[i] && vb_has_failed(&records[i]);
    }
    return status;
}
