/* SPDX-License-Identifier: Apache-2.0 */
/* The program: finds the command and hands it its arguments. */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "config.h"
#include "sweep/keys.h"

enum { EXIT_USAGE = 2, KEPT_BYTES = 256 << 20 };

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    { "sweep", cmd_sweep, "run or plan every point of an INI file, with tables and charts" },
    { "estimate", cmd_estimate, "one configuration: will it fit, and what takes the memory" },
    { "advise", cmd_advise, "what to change so that it fits, cheapest first" },
    { "schedule", cmd_schedule, "training in phases: the batch of each, memory and time" },
    { "merge", cmd_merge, "the results of many machines made one" },
    { "fit", cmd_fit, "measured points to a calibration that estimates answer from" },
    { "report", cmd_report, "a results folder as one page for a browser" },
    { "publish", cmd_publish, "a GPU's table for others, in results/" },
    { "validate", cmd_validate, "predictions beside published or measured numbers" },
    { "compare", cmd_compare, "two runs of the same points: what an upgrade changed" },
    { "gate", cmd_gate, "a baseline's points run again and compared" },
    { "oracle", cmd_oracle, "cuDNN's workspaces, and the tables that ship" },
    { "devices", cmd_devices, "this machine, and the GPUs that can be planned for" },
    { "doctor", cmd_doctor, "what this machine can do, and what is missing" },
    { "models", cmd_models, "the built-in models, or one model's graph" },
    { "watch", cmd_watch, "any CUDA program's true peak of device memory" },
    { "replay", cmd_replay, "a PyTorch memory snapshot through the pool, and other settings" },
    { "point", cmd_point, "one point on a device, as a record: what a measuring sweep runs" },
    { "program", cmd_program, "the instructions of one point" },
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *out)
{
    (void)fprintf(out,
                  "usage: vrambench COMMAND [options]\n\n"
                  "How much GPU memory does training a YOLO model take, and how do you know?\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(
        out,
        "\n'vrambench COMMAND --help' tells more. Exit status: 0 done, fits; 1 does not\nfit, or a "
        "regression; 2 bad usage or input; 3 no usable device or library; 4\n"
        "inconclusive; 5 the sweep finished with failed points; 130 interrupted, can be\n"
        "resumed.\n");
}

static int unknown_command(const char *name)
{
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;

    const char *near = vb_text_nearest(name, names, N_COMMANDS);
    if (near != NULL)
        (void)fprintf(stderr, "vrambench: error: unknown command '%s'; did you mean '%s'?\n", name,
                      near);
    else
        (void)fprintf(
            stderr, "vrambench: error: unknown command '%s'; 'vrambench help' lists them\n", name);
    return EXIT_USAGE;
}

/* A point's memory is given back at its end and asked for again by the next: without this it would
 * go to the kernel and come back page by page, for a third of the time of planning many. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
#endif
}

int main(int argc, char **argv)
{
    keep_memory();
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (argc > 2 && strcmp(argv[1], "help") == 0 && strcmp(argv[2], "keys") == 0) {
        struct vb_text text = { 0 };
        vb_keys_reference(&text);
        (void)fputs(vb_text_data(&text), stdout);
        vb_text_clear(&text);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        printf("vrambench %s\n", VB_VERSION);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}
