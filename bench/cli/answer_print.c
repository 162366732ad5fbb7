/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/answer.h"

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

/* A step has none. */
static bool has_parts(const struct vb_record *record)
{
    return record->point.workload == VB_WHOLE_RUN;
}

static void print_parts(const struct vb_record *record)
{
    if (!has_parts(record))
        return;
    printf("parts of the run:  allocated    reserved\n");
    for (int i = 0; i < VB_N_PARTS; i++) {
        const struct vb_part_peaks *part = &record->parts[i];
        bool ran_out = record->state == VB_STATE_OOM && record->oom_part == (enum vb_part)i;
        bool is_peak = record->state == VB_STATE_OK && record->peak_part == (enum vb_part)i;
        if (part->allocated_bytes > 0)
            printf("  %-14s  %10s  %10s%s\n", vb_part_names[i],
                   vb_bytes_format(part->allocated_bytes).text,
                   vb_bytes_format(part->reserved_bytes).text,
                   ran_out   ? "  runs out"
                   : is_peak ? "  the peak"
                             : "");
    }
}

/* In the run's own unit and form: "%.3gG". */
static void print_log(const struct vb_record *record)
{
    double unit = strcmp(record->unit, "GiB") == 0 ? 1073741824.0 : 1e9;
    if (record->epoch_reserved_bytes > 0)
        printf("prints GPU_mem %.3gG in the first epoch",
               (double)record->epoch_reserved_bytes / unit);
    if (record->later_reserved_bytes > 0)
        printf(" and %.3gG after", (double)record->later_reserved_bytes / unit);
    if (record->epoch_reserved_bytes > 0)
        printf(" (%s)\n", record->unit);
    printf("nvidia-smi shows %s at the peak: reserved and context\n",
           vb_bytes_format(record->peak_device_bytes).text);
}

void cli_answer_print(const struct vb_point *point, const struct cli_answer *answer,
                      bool has_budget)
{
    const struct vb_record *record = &answer->record;
    const struct vb_estimate *estimate = &answer->estimate;
    printf("%s  %s (90 %%: %s to %s) of %s %s\n", vb_verdict_names[estimate->verdict],
           vb_bytes_format(estimate->need_bytes).text, vb_bytes_format(estimate->low_bytes).text,
           vb_bytes_format(estimate->high_bytes).text, vb_bytes_format(estimate->usable_bytes).text,
           has_budget ? "allowed" : "usable");
    printf("P(fits) = %.2f   planned for %.50s\n", estimate->probability, record->gpu);
    if (record->state == VB_STATE_OOM)
        printf("ran out%s%s: %s asked for, %s free\n(shown is what was reached)\n",
               has_parts(record) ? " in " : "",
               has_parts(record) ? vb_part_names[record->oom_part] : "",
               vb_bytes_format(record->oom_asked_bytes).text,
               vb_bytes_format(record->oom_free_bytes).text);
    print_terms(record);
    print_parts(record);
    print_log(record);
    printf("recipe: %.70s\nworkspaces: cuDNN %s (%s)\n", record->recipe,
           record->cudnn[0] != '\0' ? record->cudnn : "none", record->workspaces);
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

enum vb_status cli_answer_print_json(const struct cli_answer *answer, struct vb_error *err)
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
