/* SPDX-License-Identifier: Apache-2.0 */
/* About a run, unless another workload is asked for: what people want to fit is all of it. */

#include "cli/autobatch.h"
#include "cli/commands.h"
#include "cli/question.h"

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

static enum vb_status estimate(const struct cli_question_options *options, bool json,
                               int *exit_status, struct vb_error *err)
{
    struct cli_question question;
    enum vb_status status = cli_question_open(options, &question, err);
    if (status == VB_OK && question.point.workload == VB_AUTOBATCH)
        status = cli_estimate_autobatch(&question.asked, &question.point, json, exit_status, err);
    else if (status == VB_OK)
        status = answer_point(&question.asked, &question.point, json, exit_status, err);
    cli_question_close(&question);
    return status;
}

int cmd_estimate(int argc, char **argv)
{
    struct cli_question_options options = { 0 };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + CLI_N_QUESTION_OPTIONS + 1];
    const char *json = NULL;
    size_t n = 0;
    int exit_status = 0;
    cli_add_question_options(&options, table, &n);
    table[n++] = (struct cli_option){ "json", NULL, "the answer as one JSON object", &json, NULL };
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
    enum vb_status status = estimate(&options, json != NULL, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
