/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/environment.h"
#include "cli/pick.h"
#include "cli/sweep_report.h"
#include "cli/sweep_run.h"
#include "memory/pool.h"
#include "step/sized.h"
#include "step/upload.h"
#include "sweep/measure.h"
#include "sweep/runner.h"

enum { EXIT_FAILED_POINTS = 5, EXIT_INTERRUPTED = 130 };

static const char usual_gpu[] = "rtx3090";

/* Set by Ctrl-C; read between points. */
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

struct options {
    int argc; /* the command line, for env.json */
    char **argv;
    const char *out, *device, *memory, *resume, *fresh, *retry, *backstop, *jobs, *shard, *dry_run;
    const char *section, *format, *points;
    bool has_sections; /* the file gives several sweeps */
    bool is_quiet;     /* neither tables nor charts */
    struct cli_values set, filter;
};

struct progress {
    bool is_shown;
    time_t start;
};

static void show_progress(void *context, size_t n_done, size_t n_points)
{
    const struct progress *progress = context;
    double spent = difftime(time(NULL), progress->start);
    double left = spent * (double)(n_points - n_done) / (double)n_done;
    if (progress->is_shown)
        (void)fprintf(stderr, "\r%zu of %zu points, %.0f s left  ", n_done, n_points, left);
}

static enum vb_status read_overrides(const struct options *options, struct vb_overrides *out,
                                     struct vb_error *err)
{
    *out = (struct vb_overrides){ .n_set = options->set.n,
                                  .n_filter = options->filter.n,
                                  .section = options->section };
    memcpy(out->set, options->set.items, sizeof out->set);
    memcpy(out->filter, options->filter.items, sizeof out->filter);
    if (options->shard != NULL) {
        char rest = '\0';
        if (sscanf(options->shard, "%u/%u%c", &out->shard, &out->n_shards, &rest) != 2 ||
            out->shard < 1 || out->shard > out->n_shards)
            return vb_fail(err, VB_E_INPUT, "--shard is '%s', expected I/N with I from 1 to N",
                           options->shard);
    }
    return VB_OK;
}

/* Whether this machine has a GPU to measure on. One that does not start is told of. */
static bool has_gpu(void)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    const enum vb_status status = vb_device_open("cuda:0", &device, &err);
    vb_device_close(device);
    if (status == VB_E_DEVICE || status == VB_E_SYSTEM)
        (void)fprintf(stderr, "cuda:0 is not used: %s\n", err.text);
    return status == VB_OK;
}

/* A processor is no GPU, so auto is a GPU that is there, or the virtual one. */
static void choose_device(const struct options *options, const struct vb_sweep *sweep, char *name,
                          size_t room)
{
    const char *wanted = options->device != NULL ? options->device : sweep->device;
    const char *gpu = sweep->virtual_gpu[0] != '\0' ? sweep->virtual_gpu : usual_gpu;
    if (strcmp(wanted, "auto") != 0)
        (void)snprintf(name, room, "%s", wanted);
    else if (has_gpu())
        (void)snprintf(name, room, "cuda:0");
    else
        (void)snprintf(name, room, "virtual:%s", gpu);
}

/* Opens the device that `run` names, says which it is, and completes `run` for it. */
static enum vb_status open_device(const struct options *options, const struct vb_sweep *sweep,
                                  struct vb_run_options *run, struct vb_device **out,
                                  struct vb_error *err)
{
    struct vb_device *device = NULL;
    const char *wanted = options->device != NULL ? options->device : sweep->device;
    enum vb_status status = VB_OK;
    run->memory_bytes = sweep->memory_bytes;
    if (options->memory != NULL)
        status = vb_bytes_parse(options->memory, &run->memory_bytes, err);
    if (status == VB_OK && options->memory != NULL && run->memory_bytes == 0)
        status = vb_fail(err, VB_E_INPUT, "--memory is '%s', expected a size above 0, as 2GiB",
                         options->memory);
    if (status == VB_OK)
        status = vb_run_open(run, &device, err);
    if (status != VB_OK)
        return status;
    const struct vb_device_info *info = vb_device_info(device);
    if (info->measures && run->jobs > 1) {
        vb_device_close(device);
        return vb_fail(err, VB_E_INPUT,
                       "--jobs %" PRIu32 ": what is measured runs alone; leave it out", run->jobs);
    }
    (void)fprintf(stderr, "%s: %zu points, %s %s%s\n", sweep->name, sweep->n_points,
                  info->measures ? "measured on" : "planned for", run->device,
                  strcmp(wanted, "auto") == 0 && !info->measures ? " (no CUDA GPU here)" : "");
    if (info->measures) {
        run->program = "/proc/self/exe";
        run->threads = info->threads;
        run->timeout_seconds = sweep->timeout_seconds;
        run->repro = "vrambench point";
    }
    *out = device;
    return VB_OK;
}

/* Whether two points' graphs can be, or not, alike. */
static bool is_alike(const struct vb_point *a, const struct vb_point *b)
{
    return a != NULL && strcmp(a->model, b->model) == 0 && a->imgsz == b->imgsz &&
           a->rect == b->rect && a->mosaic == b->mosaic && a->freeze == b->freeze;
}

/* Everything that can be wrong with the points is told before the first is run. */
static enum vb_status check_points(const char *path, const struct vb_sweep *sweep,
                                   struct vb_error *err)
{
    struct vb_error inner = { 0 };
    const struct vb_point *before = NULL;
    for (size_t i = 0; i < sweep->n_points; i++) {
        struct vb_arena arena = { 0 };
        struct vb_description description;
        struct vb_graph graph;
        const struct vb_point *point = &sweep->points[i];
        struct vb_point one = *point;
        struct vb_pool_options pool;
        enum vb_status status = VB_OK;
        one.batch = 1;
        if (!is_alike(before, point))
            status = vb_point_graph(&one, &arena, &description, &graph, &inner);
        if (status == VB_OK)
            status = vb_pool_options_parse(point->alloc_conf, &pool, &inner);
        if (status == VB_OK)
            status = vb_check_composition(point, &inner);
        vb_arena_clear(&arena);
        if (status != VB_OK)
            return vb_fail(err, status, "%s: %s", path, inner.text);
        before = point;
    }
    return VB_OK;
}

/* What is to become of a journal that is there already. */
static enum vb_status check_journal(const struct options *options, const struct vb_rows *known,
                                    const struct vb_sweep *sweep, const char *device,
                                    const char *folder, bool *fresh, struct vb_error *err)
{
    size_t n_same = 0;
    *fresh = options->fresh != NULL;
    if (known->n == 0 || *fresh || options->resume != NULL || options->retry != NULL)
        return VB_OK;
    for (size_t i = 0; i < sweep->n_points; i++)
        n_same += vb_rows_find(known, &sweep->points[i], device) != NULL;
    *fresh = n_same == sweep->n_points && known->n == n_same; /* done before: plan it anew */
    if (*fresh)
        return VB_OK;
    return vb_fail(err, VB_E_INPUT,
                   "%s holds %zu points of an unfinished or another sweep; give --resume, "
                   "--retry-failed or --fresh, or another --out",
                   folder, known->n);
}

/* The point that moves the most pixels: the one that needs the most. */
static const struct vb_point *largest_point(const struct vb_sweep *sweep)
{
    const struct vb_point *largest = &sweep->points[0];
    for (size_t i = 1; i < sweep->n_points; i++) {
        const struct vb_point *p = &sweep->points[i];
        bool is_wider = p->precision == VB_FP32 && largest->precision != VB_FP32;
        uint64_t pixels = (uint64_t)p->batch * p->imgsz * p->imgsz;
        uint64_t most = (uint64_t)largest->batch * largest->imgsz * largest->imgsz;
        if (pixels > most || (pixels == most && is_wider))
            largest = p;
    }
    return largest;
}

/* The points on stdout; the forecast, from planning the largest of them, on stderr. There is none
 * where to know is to run it. */
static enum vb_status dry_run(const struct vb_sweep *sweep, struct vb_device *device,
                              struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_record record;
    struct timespec start, end;
    printf("model,batch,imgsz,precision,mosaic\n");
    for (size_t i = 0; i < sweep->n_points; i++) {
        const struct vb_point *p = &sweep->points[i];
        printf("%s,%u,%u,%s,%s\n", p->model, p->batch, p->imgsz, vb_precision_names[p->precision],
               vb_mosaic_names[p->mosaic]);
    }
    if (sweep->n_points == 0 || vb_device_info(device)->measures)
        return VB_OK;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    enum vb_status status = vb_measure(largest_point(sweep), device, false, &arena, &record, err);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        difftime(end.tv_sec, start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    if (status == VB_OK)
        (void)fprintf(stderr, "%zu points, at most %.0f s; the largest takes %s%s of %s\n",
                      sweep->n_points, seconds * (double)sweep->n_points + 1,
                      record.state == VB_STATE_OOM ? "more than " : "",
                      vb_bytes_format(record.peak_reserved_bytes).text,
                      vb_bytes_format(record.usable_bytes).text);
    vb_arena_clear(&arena);
    return status;
}

/* The journal of the folder, open for writing, and what it holds of this sweep. */
static enum vb_status open_journal(const struct options *options, const struct vb_sweep *sweep,
                                   const char *device, const char *folder, struct vb_arena *arena,
                                   struct vb_rows *known, struct vb_journal **out,
                                   struct vb_error *err)
{
    bool fresh = false;
    enum vb_status status = vb_journal_read(folder, arena, known, err);
    if (status == VB_OK && known->n_corrupt > 0)
        (void)fprintf(stderr, "%s; %zu such lines are passed over, their points run again\n",
                      known->note, known->n_corrupt);
    if (status == VB_OK)
        status = check_journal(options, known, sweep, device, folder, &fresh, err);
    if (status == VB_OK)
        status = vb_journal_open(folder, fresh, out, err);
    if (status == VB_OK && fresh)
        known->n = 0;
    return status;
}

/* Runs the points on the device that is open for it, and closes that: each process has its own. */
static enum vb_status run_points(const struct vb_sweep *sweep, const struct options *options,
                                 const struct cli_picked *picked, struct vb_run_options *run,
                                 struct vb_device *device, struct vb_run_counts *counts,
                                 struct vb_error *err)
{
    char folder[512];
    struct vb_arena arena = { 0 };
    struct vb_rows known;
    struct vb_journal *journal = NULL;
    struct progress progress = { isatty(STDERR_FILENO) != 0, time(NULL) };
    struct vb_record *records = vb_arena_alloc(&arena, sweep->n_points + 1, sizeof *records);
    enum vb_status status = VB_OK;
    run->progress_context = &progress;
    if (options->out != NULL && !options->has_sections)
        (void)snprintf(folder, sizeof folder, "%s", options->out);
    else
        (void)snprintf(folder, sizeof folder, "%s/%s", options->out != NULL ? options->out : "runs",
                       sweep->name);
    if (records == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", sweep->n_points);
    if (status == VB_OK)
        status = open_journal(options, sweep, run->device, folder, &arena, &known, &journal, err);
    if (status == VB_OK)
        status = cli_write_environment(folder, device, options->argc, options->argv, err);
    vb_device_close(device);
    if (status == VB_OK)
        status = vb_run_sweep(sweep, run, &known, journal, &arena, records, counts, err);
    if (progress.is_shown)
        (void)fputc('\n', stderr);
    if (status == VB_OK && !options->is_quiet)
        status = cli_sweep_report(records, sweep->n_points, options->format, folder, err);
    if (status == VB_OK && picked->n > 0)
        status = cli_tell_cost(picked, &known, run->device, err);
    if (status == VB_OK && counts->was_stopped)
        (void)fprintf(stderr, "interrupted; run again with --resume to go on\n");
    vb_journal_close(journal);
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status run_one(const char *path, struct vb_sweep *sweep,
                              const struct options *options, struct vb_run_counts *counts,
                              struct vb_error *err)
{
    char name[320];
    struct vb_arena arena = { 0 };
    struct cli_picked picked = { 0 };
    struct vb_device *device = NULL;
    struct vb_run_options run = {
        .measure = vb_measure,
        .device = name,
        .repro = "vrambench estimate",
        .jobs = options->jobs != NULL ? (uint32_t)strtoul(options->jobs, NULL, 10) : 1,
        .retry_failed = options->retry != NULL,
        .backstop = sweep->backstop || options->backstop != NULL,
        .stop = &stop,
        .progress = show_progress,
    };
    enum vb_status status = check_points(path, sweep, err);
    if (status == VB_OK) {
        choose_device(options, sweep, name, sizeof name);
        status = open_device(options, sweep, &run, &device, err);
    }
    if (status == VB_OK && options->points != NULL) {
        status =
            cli_pick_points(sweep, options->points, vb_device_info(device), &arena, &picked, err);
        if (status != VB_OK)
            vb_device_close(device);
    }
    if (status == VB_OK && options->dry_run != NULL) {
        status = dry_run(sweep, device, err);
        vb_device_close(device);
    } else if (status == VB_OK) {
        status = run_points(sweep, options, &picked, &run, device, counts, err);
    }
    vb_arena_clear(&arena);
    return status;
}

static void watch_signals(void)
{
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
}

enum vb_status cli_sweep_run(const struct cli_sweep_request *request, struct vb_sweep *sweep,
                             struct vb_run_counts *counts, struct vb_error *err)
{
    const struct options options = { .argc = request->argc,
                                     .argv = request->argv,
                                     .out = request->out,
                                     .device = request->device,
                                     .resume = request->resume ? "on" : NULL,
                                     .fresh = request->fresh ? "on" : NULL,
                                     .is_quiet = true };
    watch_signals();
    return run_one(request->from, sweep, &options, counts, err);
}

static enum vb_status run_all(const char *path, struct options *options, int *exit_status,
                              struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_overrides overrides;
    struct vb_sweeps sweeps;
    enum vb_status status = read_overrides(options, &overrides, err);
    if (status == VB_OK)
        status = vb_grid_read(path, &overrides, &arena, &sweeps, err);
    options->has_sections = status == VB_OK && sweeps.n > 1;
    for (size_t i = 0; status == VB_OK && i < sweeps.n && stop == 0; i++) {
        struct vb_run_counts counts = { 0 };
        status = run_one(path, &sweeps.items[i], options, &counts, err);
        if (counts.n_failed > 0)
            *exit_status = EXIT_FAILED_POINTS;
        if (counts.was_stopped)
            *exit_status = EXIT_INTERRUPTED;
    }
    vb_arena_clear(&arena);
    return status;
}

int cmd_sweep(int argc, char **argv)
{
    struct options options = { .argc = argc, .argv = argv };
    const struct cli_option table[] = {
        { "out", "DIR",
          "the results' folder; runs/NAME; of several sections each has its own in it",
          &options.out, NULL },
        { "device", "NAME", "auto, cuda:N, virtual:GPU, cpu or cpu:THREADS", &options.device,
          NULL },
        { "memory", "SIZE", "the device has no more: 2GiB", &options.memory, NULL },
        { "resume", NULL, "go on with an unfinished sweep", &options.resume, NULL },
        { "fresh", NULL, "start over", &options.fresh, NULL },
        { "retry-failed", NULL, "go on, and run failed points again", &options.retry, NULL },
        { "backstop", NULL, "skip larger points once a smaller one ran out", &options.backstop,
          NULL },
        { "jobs", "N", "points at a time", &options.jobs, NULL },
        { "shard", "I/N", "every N-th point from the I-th on", &options.shard, NULL },
        { "points", "N", "only the N that tell the most for 'vrambench fit'", &options.points,
          NULL },
        { "dry-run", NULL, "list the points, run none", &options.dry_run, NULL },
        { "section", "NAME", "only the sweep of this name", &options.section, NULL },
        { "set", "SECTION.KEY=VALUE", "over what the file says", NULL, &options.set },
        { "filter", "KEY=VALUE", "only such points", NULL, &options.filter },
        { "format", "LIST", "of md, csv, json, jsonl; md", &options.format, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench sweep FILE.ini [options]",
        .summary =
            "Runs or plans every point of the file, journals each, then tabulates, fits and\n"
            "draws.\n"
            "'vrambench help keys' lists what the file may say.",
        .examples = "  vrambench sweep sweeps/v5s.ini\n"
                    "  vrambench sweep sweeps/v5s.ini --device virtual:t4 --out runs/t4\n"
                    "  vrambench sweep sweeps/cpu.ini        # measured, on this machine",
        .options = table,
        .n_options = sizeof table / sizeof *table,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    watch_signals();
    enum vb_status status = run_all(positional.items[0], &options, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
