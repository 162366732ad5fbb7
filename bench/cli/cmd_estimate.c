/* SPDX-License-Identifier: Apache-2.0 */
/* About a run, unless another workload is asked for: what people want to fit is all of it. */

#include <stdio.h>

#include "base/bytes.h"
#include "cli/answer.h"
#include "cli/autobatch.h"
#include "cli/commands.h"
#include "cli/point_options.h"

static enum vb_status estimate(const struct cli_point_options *options, const char *budget,
                               bool json, int *exit_status, struct vb_error *err)
{
    struct vb_point point;
    struct vb_device *device = NULL;
    struct vb_arena arena = { 0 };
    struct cli_answer answer = { 0 };
    uint64_t budget_bytes = 0;
    char name[320];
    enum vb_status status = cli_read_point(options, &point, err);
    if (status == VB_OK && !cli_is_given(options, "workload"))
        point.workload = VB_WHOLE_RUN;
    if (status == VB_OK && budget != NULL)
        status = vb_bytes_parse(budget, &budget_bytes, err);
    cli_device_name(options, name, sizeof name);
    if (status == VB_OK)
        status = vb_device_open(name, &device, err);
    if (status == VB_OK && point.workload == VB_AUTOBATCH) {
        status = cli_estimate_autobatch(&point, device, budget_bytes, json, exit_status, err);
        goto out;
    }
    if (status == VB_OK)
        status = cli_answer_plan(&point, device, budget_bytes, &arena, &answer, err);
    if (status == VB_OK) {
        answer.largest_batch = cli_largest_batch(&point, device, budget_bytes, &answer);
        if (json)
            status = cli_answer_print_json(&answer, err);
        else
            cli_answer_print(&point, &answer, budget != NULL);
        *exit_status = answer.estimate.verdict == VB_DOES_NOT_FIT ? CLI_DOES_NOT_FIT : 0;
    }
out:
    vb_device_close(device);
    vb_arena_clear(&arena);
    return status;
}

int cmd_estimate(int argc, char **argv)
{
    struct cli_point_options options = { 0 };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + 4];
    const char *budget = NULL, *json = NULL;
    size_t n = 0;
    int exit_status = 0;
    cli_add_point_options(&options, table, &n);
    table[n++] =
        (struct cli_option){ "budget", "SIZE", "may be used, in place of the GPU's: 22.5GiB",
                             &budget, NULL };
    table[n++] = (struct cli_option){ "json", NULL, "the answer as one JSON object", &json, NULL };
    const struct cli_command command = {
        .usage = "vrambench estimate --model NAME --batch N --imgsz N --gpu NAME [options]",
        .summary = "Will this training fit, what takes the memory, and what is the largest batch.",
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
    enum vb_status status = estimate(&options, budget, json != NULL, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
