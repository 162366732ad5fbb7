/* SPDX-License-Identifier: Apache-2.0 */
/* One point on a device, in this process: what a sweep runs for each point that is measured. */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/point_options.h"
#include "sweep/measure.h"
#include "sweep/runner.h"

enum { EXIT_FAILED = 3 };

static enum vb_status run_point(const struct vb_run_options *run, const struct vb_point *point,
                                int *exit_status, struct vb_error *err)
{
    struct vb_device *device = NULL;
    struct vb_arena arena = { 0 };
    struct vb_record record = { 0 };
    char *line = NULL;
    enum vb_status status = vb_run_open(run, &device, err);
    if (status != VB_OK)
        return status;
    vb_run_point(run, point, device, &arena, &record);
    status = vb_record_print(&record, &line, err);
    if (status == VB_OK)
        (void)puts(line);
    *exit_status = vb_has_peaks(&record)          ? EXIT_SUCCESS
                   : record.state == VB_STATE_OOM ? EXIT_FAILURE
                                                  : EXIT_FAILED;
    free(line);
    vb_device_close(device);
    vb_arena_clear(&arena);
    return status;
}

int cmd_point(int argc, char **argv)
{
    struct cli_point_options options = { 0 };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + 1];
    const char *memory = NULL;
    char name[320];
    size_t n = 0;
    int exit_status = 0;
    cli_add_point_options(&options, table, &n);
    table[n++] =
        (struct cli_option){ "memory", "SIZE", "the device has no more: 2GiB", &memory, NULL };
    const struct cli_command command = {
        .usage = "vrambench point --model NAME --batch N --imgsz N --device NAME [options]",
        .summary = "Runs or plans one point and prints its record, a line of JSON. Exit status: 0\n"
                   "done, 1 out of memory, 2 bad usage, 3 it failed: the record says why.",
        .examples = "  vrambench point --model yolov5n --batch 2 --imgsz 128 --device cpu",
        .options = table,
        .n_options = n,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    struct vb_point point;
    struct vb_run_options run = { .measure = vb_measure,
                                  .device = name,
                                  .repro = "vrambench point" };
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = cli_read_point(&options, &point, &err);
    if (status == VB_OK && memory != NULL)
        status = vb_bytes_parse(memory, &run.memory_bytes, &err);
    cli_device_name(&options, name, sizeof name);
    if (status == VB_OK)
        status = run_point(&run, &point, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
