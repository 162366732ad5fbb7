/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/advise_print.h"
#include "cli/commands.h"
#include "cli/schedule_print.h"

struct options {
    struct cli_question_options question;
    struct cli_schedule_request request;
    const char *multi_scale, *format;
};

/* What a schedule works out is not to be given. */
static enum vb_status refuse_given(const struct cli_point_options *options, struct vb_error *err)
{
    static const char *const keys[] = { "batch", "imgsz", "accumulate" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (cli_is_given(options, keys[i]))
            return vb_fail(err, VB_E_INPUT,
                           "--%s is worked out for each phase: give --phases imgsz:epochs,... and "
                           "--effective-batch",
                           keys[i]);
    }
    return VB_OK;
}

static enum vb_status schedule(const struct options *options, int *exit_status,
                               struct vb_error *err)
{
    struct cli_question question = { 0 };
    struct cli_schedule *plan = NULL;
    enum vb_table_format format;
    enum vb_status status = refuse_given(&options->question.point, err);
    if (status == VB_OK)
        status = cli_read_table_format(options->format, &format, err);
    if (status == VB_OK)
        status = cli_question_open(&options->question, &question, err);
    if (status == VB_OK) {
        if (options->multi_scale != NULL)
            question.point.multiscale = true;
        plan = vb_arena_alloc(&question.arena, 1, sizeof *plan);
        status = plan == NULL ? vb_fail(err, VB_E_SYSTEM, "no host memory left for the schedule")
                              : cli_schedule_plan(&question, &options->request, plan, err);
    }
    if (status == VB_OK) {
        *exit_status = cli_schedule_fits(plan) ? 0 : CLI_DOES_NOT_FIT;
        status = cli_schedule_print(plan, format, err);
    }
    cli_question_close(&question);
    return status;
}

int cmd_schedule(int argc, char **argv)
{
    struct options options = { 0 };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + CLI_N_QUESTION_OPTIONS + 6];
    size_t n = 0;
    int exit_status = 0;
    cli_add_question_options(&options.question, table, &n);
    const struct cli_option own[] = {
        { "phases", "LIST", "imgsz:epochs of each phase, in order: 320:100,512:50,640:20",
          &options.request.phases, NULL },
        { "effective-batch", "N", "images between two steps of the optimizer; as the trainer: 64",
          &options.request.effective, NULL },
        { "images", "N", "of an epoch; COCO's 118287", &options.request.images, NULL },
        { "close-mosaic", "N", "the last N epochs are a phase without mosaic",
          &options.request.close_mosaic, NULL },
        { "multi-scale", NULL, "sizes are drawn around imgsz: each phase at its worst draw",
          &options.multi_scale, NULL },
        { "format", "NAME", "md, csv, json or jsonl", &options.format, NULL },
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        table[n++] = own[i];
    const struct cli_command command = {
        .usage = "vrambench schedule --phases LIST --model NAME --gpu NAME [options]",
        .summary =
            "Progressive resizing: of each phase the largest batch that fits, the batch that\n"
            "keeps the effective one with the sums that do so, memory and modelled time; and\n"
            "whether one process can have all phases, or what an earlier one leaves cached is\n"
            "in the way. Exit status: 0 all phases fit, 1 one fits with no batch.",
        .examples = "  vrambench schedule --phases 320:100,512:50,640:20 --model yolov5s \\\n"
                    "      --precision fp16 --gpu rtx3090 --close-mosaic 10",
        .options = table,
        .n_options = n,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = schedule(&options, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
