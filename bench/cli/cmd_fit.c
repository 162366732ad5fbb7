/* SPDX-License-Identifier: Apache-2.0 */
/* A results folder to its calibration file. */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/calibrate.h"
#include "cli/commands.h"

struct options {
    const char *out, *force;
};

/* What was not used goes to stderr, one line a reason. */
static void print_notes(const struct cli_measured *measured)
{
    const struct {
        size_t n;
        const char *what;
    } left_out[] = {
        { measured->n_planned, "planned, not measured" },
        { measured->n_elsewhere, "not measured on a GPU" },
        { measured->n_other_states, "did not end ok" },
        { measured->n_absurd, "absurd: no peak, or one beyond the GPU's memory" },
    };
    if (measured->sum.n_corrupt > 0)
        (void)fprintf(stderr, "%s; %zu such lines are passed over\n", measured->sum.note,
                      measured->sum.n_corrupt);
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (left_out[i].n > 0)
            (void)fprintf(stderr, "%zu records are passed over: %s\n", left_out[i].n,
                          left_out[i].what);
    }
}

static enum vb_status fit(const char *folder, const struct options *options, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct cli_measured measured;
    struct cli_calibrated calibrated;
    char path[PATH_MAX];
    bool is_same = false;
    if (options->out != NULL)
        (void)snprintf(path, sizeof path, "%s", options->out);
    else
        (void)snprintf(path, sizeof path, "%s/calibration.json", folder);
    enum vb_status status = cli_read_measured(folder, &arena, &measured, err);
    if (status == VB_OK) {
        print_notes(&measured);
        status = cli_plan_measured(&measured, &arena, err);
    }
    if (status == VB_OK)
        status = cli_calibrate(&measured, &arena, &calibrated, err);
    if (status == VB_OK)
        status =
            cli_write_calibrations(&calibrated.file, path, options->force != NULL, &is_same, err);
    if (status == VB_OK) {
        cli_print_calibrated(&calibrated);
        (void)fflush(stdout);
        (void)fprintf(stderr, "\ncalibration: %s%s\n", path, is_same ? ", unchanged" : "");
    }
    vb_arena_clear(&arena);
    return status;
}

int cmd_fit(int argc, char **argv)
{
    struct options options = { 0 };
    const struct cli_option table[] = {
        { "out", "FILE", "or -o: the calibration file; RESULTS/calibration.json", &options.out,
          NULL },
        { "force", NULL, "write over another file", &options.force, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench fit RESULTS [-o FILE] [--force]",
        .summary =
            "Learns from the points that a sweep measured how far the plans for its GPU are\n"
            "off, one calibration for each driver, cuDNN, model, precision, mosaic and\n"
            "optimizer. 'vrambench estimate' then answers from the nearest of them. Errors are\n"
            "of points left out; a few bad points are set aside and named.",
        .examples = "  vrambench sweep sweeps/v5s.ini --device cuda:0 --points 8 --out runs/mine\n"
                    "  vrambench fit runs/mine\n"
                    "  vrambench estimate --model yolov5s --batch 32 --imgsz 640 --gpu rtx3090 \\\n"
                    "      --calibration runs/mine",
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
    enum vb_status status = fit(positional.items[0], &options, &err);
    return status == VB_OK ? 0 : cli_fail(status, &err);
}
