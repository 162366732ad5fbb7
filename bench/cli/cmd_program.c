/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/option.h"
#include "cli/commands.h"
#include "cli/point_options.h"
#include "sweep/measure.h"

static enum vb_status print_program(const struct vb_point *point, bool csv, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_compiled compiled;
    struct vb_text text = { 0 };
    enum vb_status status = vb_compile(point, UINT64_MAX, VB_ONLY_PLANNED, &arena, &compiled, err);
    if (status == VB_OK) {
        vb_program_print(&compiled.program, csv, &text);
        (void)fputs(vb_text_data(&text), stdout);
    }
    vb_text_clear(&text);
    vb_arena_clear(&arena);
    return status;
}

/* One of the GPUs of this machine. */
static enum vb_status read_rank(const char *text, struct vb_point *point, struct vb_error *err)
{
    static const struct vb_option option = {
        "rank", "0 to 15", "", VB_NUMBER_OPTION(struct vb_point, rank, 0, VB_MAX_GPUS - 1)
    };
    enum vb_status status = vb_option_set(&option, text, point, err);
    if (status == VB_OK && point->rank >= (point->gpus > 1 ? point->gpus : 1))
        return vb_fail(err, VB_E_INPUT, "--rank is %s, expected a number below --gpus, %u", text,
                       point->gpus);
    return status;
}

int cmd_program(int argc, char **argv)
{
    struct cli_point_options options = { 0 };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + 4];
    struct cli_values positional = { 0 };
    const char *format = "text", *rank = NULL;
    size_t n = 0;
    int exit_status = 0;
    cli_add_point_options(&options, table, &n);
    table[n++] = (struct cli_option){ "format", "NAME", "text or csv", &format, NULL };
    table[n++] =
        (struct cli_option){ "rank", "N", "of several GPUs: whose program; 0", &rank, NULL };
    struct cli_command command = {
        .usage = "vrambench program --model NAME [options]",
        .summary = "Prints the instructions of one point: the set-up, the first step and the "
                   "steady step, or\n"
                   "the parts of a run, or AutoBatch's profile on a large device.",
        .options = table,
        .n_options = n,
    };
    struct vb_error err = { 0 };
    struct vb_point point;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = cli_read_point(&options, &point, &err);
    if (status == VB_OK && strcmp(format, "text") != 0 && strcmp(format, "csv") != 0)
        status = vb_fail(&err, VB_E_INPUT, "--format is '%s', expected text or csv", format);
    if (status == VB_OK && rank != NULL)
        status = read_rank(rank, &point, &err);
    if (status == VB_OK)
        status = print_program(&point, strcmp(format, "csv") == 0, &err);
    return status == VB_OK ? 0 : cli_fail(status, &err);
}
