/* SPDX-License-Identifier: Apache-2.0 */
/* About a run, unless another workload is asked for: what people want to fit is all of it. */

#include "cli/autobatch.h"
#include "cli/commands.h"
#include "cli/question.h"

struct options {
    struct cli_question question;
    const char *json;
};

static enum vb_status answer_point(const struct cli_asked *asked, const struct vb_point *point,
                                   bool json, int *exit_status, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct cli_answer answer = { 0 };
    enum vb_status status = cli_answer_plan(asked, point, &arena, &answer, err);
    if (status == VB_OK) {
        if (answer.reason == NULL)
            answer.largest_batch = cli_largest_batch(asked, point, &answer);
        if (json)
            status = cli_answer_print_json(asked, &answer, err);
        else
            cli_answer_print(asked, point, &answer);
        *exit_status = cli_answer_status(&answer);
    }
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status estimate(const struct options *options, int *exit_status,
                               struct vb_error *err)
{
    struct vb_point point;
    struct vb_arena arena = { 0 };
    struct cli_asked asked = { .arena = &arena };
    enum vb_status status = cli_open_question(&options->question, &point, &asked, err);
    if (status == VB_OK && point.workload == VB_AUTOBATCH)
        status = cli_estimate_autobatch(&asked, &point, options->json != NULL, exit_status, err);
    else if (status == VB_OK)
        status = answer_point(&asked, &point, options->json != NULL, exit_status, err);
    vb_device_close(asked.device);
    vb_arena_clear(&arena);
    return status;
}

int cmd_estimate(int argc, char **argv)
{
    struct options options = { 0 };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + 8];
    size_t n = 0;
    int exit_status = 0;
    struct cli_question *question = &options.question;
    cli_add_point_options(&question->point, table, &n);
    const struct cli_option own[] = {
        { "budget", "SIZE", "may be used, in place of the GPU's: 22.5GiB", &question->budget,
          NULL },
        { "risk", "1%", "of running out, that a batch which fits may have; 5%", &question->risk,
          NULL },
        { "shared", NULL, "in a notebook's kernel, where other models may still be on the GPU",
          &question->shared, NULL },
        { "calibration", "FILE|FOLDER", "of 'vrambench fit', in place of those in results/",
          &question->calibration, NULL },
        { "json", NULL, "the answer as one JSON object", &options.json, NULL },
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        table[n++] = own[i];
    const struct cli_command command = {
        .usage = "vrambench estimate --model NAME --batch N --imgsz N --gpu NAME [options]",
        .summary =
            "Will this training fit, what takes the memory, and what is the largest batch.\n"
            "Intervals and P(fits) are from the errors of plans for published runs\n"
            "(sweeps/published/residuals.csv); exit status 4: there are none to tell from.\n"
            "Where 'vrambench fit' left a calibration of such a GPU, need and intervals are\n"
            "from the nearest one, which is named.",
        .examples =
            "  vrambench estimate --model yolov5s --batch 32 --imgsz 640 --precision fp16 \\\n"
            "      --gpu rtx3090\n"
            "  vrambench estimate --model yolov8n --imgsz 640 --precision fp16 --gpu rtx3090 \\\n"
            "      --workload autobatch --trainer ultralytics-8.3.0",
        .options = table,
        .n_options = n,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = estimate(&options, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
