/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/autobatch.h"
#include "cli/commands.h"
#include "cli/plan_point.h"
#include "cli/point_options.h"

enum { MAX_BATCH = 4096 };

static bool fits(const struct vb_point *point, uint32_t batch, struct vb_device *device,
                 uint64_t budget_bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_point other = *point;
    struct cli_answer answer;
    other.batch = batch;
    bool does = cli_plan_point(&other, device, budget_bytes, &arena, &answer, NULL) == VB_OK &&
                answer.estimate.verdict == VB_FITS;
    vb_arena_clear(&arena);
    return does;
}

/* Memory grows with the batch, so the largest that fits is found by halving. */
static uint32_t largest_batch(const struct vb_point *point, struct vb_device *device,
                              uint64_t budget_bytes, const struct cli_answer *answer)
{
    double a_batch = (double)answer->estimate.need_bytes / point->batch;
    double guess = (double)answer->estimate.usable_bytes / a_batch;
    uint32_t low = 0, high = 1;
    if (guess > 8)
        high = (uint32_t)(guess * 0.8) & ~7u;
    while (high < MAX_BATCH && fits(point, high, device, budget_bytes)) {
        low = high;
        high += high / 8 > 0 ? high / 8 : 1;
    }
    if (low == 0) {
        high = high < MAX_BATCH ? high : MAX_BATCH;
        low = 0;
    }
    while (high - low > (low >= 16 ? 2u : 1u)) {
        uint32_t middle = (low + high) / 2;
        if (fits(point, middle, device, budget_bytes))
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void print_terms(const struct vb_record *record)
{
    printf("terms, at the peak (%s phase):\n", vb_phase_names[record->peak_phase]);
    for (int c = 0; c < VB_N_CATEGORIES; c++) {
        if (record->peak_category_bytes[c] > 0)
            printf("  %-13s %10s\n", vb_category_names[c],
                   vb_bytes_format(record->peak_category_bytes[c]).text);
    }
    uint64_t slack = record->peak_reserved_bytes > record->peak_allocated_bytes
                         ? record->peak_reserved_bytes - record->peak_allocated_bytes
                         : 0;
    printf("  %-13s %10s  cached by the allocator\n", "slack", vb_bytes_format(slack).text);
    printf("  %-13s %10s  outside the allocator, not counted above\n", "context",
           vb_bytes_format(record->context_bytes).text);
    printf("largest tensors then:\n");
    for (uint32_t i = 0; i < record->n_largest; i++)
        printf("  %10s  %-12s %.50s\n", vb_bytes_format(record->largest[i].bytes).text,
               vb_category_names[record->largest[i].category], record->largest[i].name);
}

static void print_answer(const struct vb_point *point, const struct cli_answer *answer,
                         bool has_budget)
{
    const struct vb_record *record = &answer->record;
    const struct vb_estimate *estimate = &answer->estimate;
    printf("%s  %s (90 %%: %s to %s) of %s %s\n", vb_verdict_names[estimate->verdict],
           vb_bytes_format(estimate->need_bytes).text, vb_bytes_format(estimate->low_bytes).text,
           vb_bytes_format(estimate->high_bytes).text, vb_bytes_format(estimate->usable_bytes).text,
           has_budget ? "allowed" : "usable");
    printf("P(fits) = %.2f   planned for %s, workspaces of cuDNN %s (%s)\n", estimate->probability,
           record->gpu, record->cudnn[0] != '\0' ? record->cudnn : "none", record->workspaces);
    if (record->state == VB_STATE_OOM)
        printf("ran out: %s asked for, %s free; what is shown is what was reached\n",
               vb_bytes_format(record->oom_asked_bytes).text,
               vb_bytes_format(record->oom_free_bytes).text);
    print_terms(record);
    if (answer->largest_batch > 0)
        printf("largest batch that fits: %" PRIu32 "\n", answer->largest_batch);
    else
        printf("no batch fits: take a smaller image or model, or fp16\n");
    printf("trust: plan only, not calibrated on this GPU\n");
    if (answer->largest_batch > 0) {
        const char *amp = point->precision == VB_FP32 ? "False" : "True";
        printf("use:   yolo train model=%s batch=%" PRIu32 " imgsz=%" PRIu32 " amp=%s\n",
               point->model, answer->largest_batch, point->imgsz, amp);
        if (strncmp(point->model, "yolov5", 6) == 0)
            printf("       python train.py --weights %s.pt --batch-size %" PRIu32 " --img %" PRIu32
                   "\n",
                   point->model, answer->largest_batch, point->imgsz);
    }
    printf("the rule of thumb (parameters x 4 B x 3 + the batch) says %s\n",
           vb_bytes_format(record->rule_of_thumb_bytes).text);
}

static enum vb_status print_json(struct cli_answer *answer, struct vb_error *err)
{
    char *line = NULL;
    enum vb_status status = vb_record_print(&answer->record, &line, err);
    if (status == VB_OK) {
        line[strlen(line) - 1] = '\0'; /* the closing brace: more follows */
        printf("%s,\"verdict\":\"%s\",\"probability\":%.4f,\"need_bytes\":%" PRIu64
               ",\"low_bytes\":%" PRIu64 ",\"high_bytes\":%" PRIu64 ",\"largest_batch\":%" PRIu32
               "}\n",
               line, vb_verdict_names[answer->estimate.verdict], answer->estimate.probability,
               answer->estimate.need_bytes, answer->estimate.low_bytes, answer->estimate.high_bytes,
               answer->largest_batch);
    }
    free(line);
    return status;
}

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
        status = cli_plan_point(&point, device, budget_bytes, &arena, &answer, err);
    if (status == VB_OK) {
        answer.largest_batch = largest_batch(&point, device, budget_bytes, &answer);
        if (json)
            status = print_json(&answer, err);
        else
            print_answer(&point, &answer, budget != NULL);
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
