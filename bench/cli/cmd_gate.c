/* SPDX-License-Identifier: Apache-2.0 */
/* The points of a baseline's journal are a sweep of their own: its INI file need not be there. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/compare.h"
#include "cli/sweep_run.h"

enum { EXIT_INTERRUPTED = 130 };

struct gate {
    struct cli_compare compare;
    struct cli_sweep_request sweep;
    const char *baseline, *device, *out, *resume, *fresh;
    char folder[512];
};

/* runs/gate-NAME, for a folder or its journal. */
static void choose_folder(struct gate *gate)
{
    static const char journal[] = "/rows.jsonl";
    char path[512];
    (void)snprintf(path, sizeof path, "%s", gate->baseline);
    size_t length = strlen(path);
    const size_t tail = sizeof journal - 1;
    if (length > tail && strcmp(path + length - tail, journal) == 0)
        path[length -= tail] = '\0';
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    const char *slash = strrchr(path, '/');
    if (gate->out != NULL)
        (void)snprintf(gate->folder, sizeof gate->folder, "%s", gate->out);
    else
        (void)snprintf(gate->folder, sizeof gate->folder, "runs/gate-%.400s",
                       slash != NULL ? slash + 1 : path);
}

/* The baseline must not be written over. */
static enum vb_status check_folder(const struct gate *gate, struct vb_error *err)
{
    struct stat baseline, folder, journal;
    char path[sizeof gate->folder + 16];
    (void)snprintf(path, sizeof path, "%s/rows.jsonl", gate->folder);
    const bool is_there = stat(gate->baseline, &baseline) == 0;
    const bool is_same =
        is_there && ((stat(gate->folder, &folder) == 0 && folder.st_dev == baseline.st_dev &&
                      folder.st_ino == baseline.st_ino) ||
                     (stat(path, &journal) == 0 && journal.st_dev == baseline.st_dev &&
                      journal.st_ino == baseline.st_ino));
    return !is_same ? VB_OK
                    : vb_fail(err, VB_E_INPUT, "%.300s is the baseline itself: take another --out",
                              gate->folder);
}

/* The last row of each point, in the order in which points came first. */
static enum vb_status take_points(const struct vb_rows *rows, struct vb_arena *arena,
                                  struct vb_sweep *sweep, struct vb_error *err)
{
    bool *is_known = vb_arena_alloc(arena, rows->n, sizeof *is_known);
    sweep->points = vb_arena_alloc(arena, rows->n, sizeof *sweep->points);
    if (is_known == NULL || sweep->points == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", rows->n);
    for (size_t i = 1; i < rows->n; i++) {
        if (strcmp(rows->ids[i - 1].id, rows->ids[i].id) == 0)
            is_known[rows->ids[i].place] = true;
    }
    for (size_t i = 0; i < rows->n; i++) {
        sweep->backstop = sweep->backstop || rows->items[i].state == VB_STATE_BACKSTOP;
        if (!is_known[i])
            sweep->points[sweep->n_points++] = rows->items[i].point;
    }
    return VB_OK;
}

/* A row that tells of its device. */
static const struct vb_record *find_told(const struct vb_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->items[i].gpu[0] != '\0')
            return &rows->items[i];
    }
    return &rows->items[0];
}

/* Before hours are spent on it: whether it is the baseline's device. A baseline that had less
 * memory than the device has was held to it, and so is this run. */
static enum vb_status check_device(const struct gate *gate, const struct vb_record *told,
                                   struct vb_sweep *sweep, struct vb_error *err)
{
    struct vb_device *device = NULL;
    enum vb_status status = vb_device_open(sweep->device, &device, err);
    if (status != VB_OK)
        return status;
    const struct vb_device_info *info = vb_device_info(device);
    const double capacity = (double)info->capacity_bytes;
    if (told->gpu[0] != '\0' && strcmp(told->gpu, info->product) != 0)
        status = vb_fail(err, VB_E_INPUT, "%.200s is of %s, %s is %s: take the GPU of the baseline",
                         gate->baseline, told->gpu, info->name, info->product);
    else if (info->measures != (told->provenance == VB_MEASURED))
        status = vb_fail(err, VB_E_INPUT, "%.200s is %s, %s is not", gate->baseline,
                         vb_provenance_names[told->provenance], info->name);
    else if (told->capacity_bytes > 0 && info->threads == 0 &&
             (double)told->capacity_bytes < 0.95 * capacity)
        sweep->memory_bytes = told->capacity_bytes;
    vb_device_close(device);
    return status;
}

static enum vb_status run_gate(struct gate *gate, int *exit_status, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_rows rows;
    struct vb_run_counts counts = { 0 };
    struct vb_sweep sweep = { .name = "gate", .timeout_seconds = VB_USUAL_TIMEOUT_SECONDS };
    choose_folder(gate);
    gate->sweep.out = gate->folder;
    gate->sweep.from = gate->baseline;
    gate->sweep.resume = gate->resume != NULL;
    gate->sweep.fresh = gate->fresh != NULL;
    enum vb_status status = cli_check_compare(&gate->compare, err);
    if (status == VB_OK)
        status = check_folder(gate, err);
    if (status == VB_OK)
        status = cli_read_run(gate->baseline, &arena, &rows, err);
    if (status == VB_OK)
        status = take_points(&rows, &arena, &sweep, err);
    if (status == VB_OK) {
        const struct vb_record *told = find_told(&rows);
        (void)snprintf(sweep.device, sizeof sweep.device, "%s",
                       gate->device != NULL ? gate->device : told->device);
        status = check_device(gate, told, &sweep, err);
    }
    if (status == VB_OK)
        status = cli_sweep_run(&gate->sweep, &sweep, &counts, err);
    vb_arena_clear(&arena);
    if (status == VB_OK && counts.was_stopped)
        *exit_status = EXIT_INTERRUPTED;
    else if (status == VB_OK)
        status = cli_compare_runs(&gate->compare, gate->baseline, gate->folder, exit_status, err);
    return status;
}

int cmd_gate(int argc, char **argv)
{
    struct gate gate = { .sweep = { .argc = argc, .argv = argv } };
    struct cli_option table[CLI_N_COMPARE_OPTIONS + 4] = {
        { "device", "NAME", "cuda:N, virtual:GPU, cpu or cpu:THREADS; the baseline's", &gate.device,
          NULL },
        { "out", "DIR", "the new results' folder; runs/gate-NAME", &gate.out, NULL },
        { "resume", NULL, "go on with an unfinished run", &gate.resume, NULL },
        { "fresh", NULL, "start over", &gate.fresh, NULL },
    };
    size_t n = 4;
    cli_add_compare_options(&gate.compare, table, &n);
    const struct cli_command command = {
        .usage = "vrambench gate BASELINE [options]",
        .summary =
            "Runs the points of a baseline (a results folder, or its rows.jsonl) again and\n"
            "compares: for a driver's roll-out. Exit status: 0 no regression, 1 a regression,\n"
            "2 another device or a bad baseline, 3 the device failed, 4 noise hides the\n"
            "answer, 130 interrupted.",
        .examples =
            "  vrambench gate baselines/driver-580 --device cuda:0 --out runs/driver-590\n"
            "  vrambench gate baselines/driver-580 --device cuda:0 --out runs/driver-590 \\\n"
            "      --resume --junit gate.xml",
        .options = table,
        .n_options = n,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    gate.baseline = positional.items[0];
    enum vb_status status = run_gate(&gate, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
