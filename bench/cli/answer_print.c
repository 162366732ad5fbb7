/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/answer.h"
#include "cli/ranks_print.h"

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
    if (record->heaviest_rank > 0) /* logs are the first rank's */
        return;
    if (record->epoch_reserved_bytes > 0)
        printf("prints GPU_mem %.3gG in the first epoch",
               (double)record->epoch_reserved_bytes / unit);
    if (record->later_reserved_bytes > 0)
        printf(" and %.3gG after", (double)record->later_reserved_bytes / unit);
    if (record->epoch_reserved_bytes > 0)
        printf(" (%s)\n", record->unit);
    printf("nvidia-smi shows %s at the peak: reserved and context%s\n",
           vb_bytes_format(record->peak_device_bytes).text,
           record->n_ranks > 0 ? ", and NCCL's beside them" : "");
}

/* "= 0.93"; never 0 or 1. */
static const char *probability_text(double probability, char *text, size_t room)
{
    if (probability < 0.001)
        return "< 0.001";
    if (probability > 0.999)
        return "> 0.999";
    (void)snprintf(text, room, probability > 0.99 || probability < 0.01 ? "= %.3f" : "= %.2f",
                   probability);
    return text;
}

static struct vb_bytes_text size_text(double bytes)
{
    return vb_bytes_format((uint64_t)bytes);
}

static void print_verdict(const struct cli_asked *asked, const struct cli_answer *answer)
{
    const struct vb_record *record = &answer->record;
    const struct vb_estimate *estimate = &answer->estimate;
    const struct vb_interval *in50 = &estimate->interval50, *in90 = &estimate->interval90;
    char probability[16];
    printf("%s  %s of %s %s", vb_verdict_names[estimate->verdict],
           size_text(estimate->need_bytes).text, size_text(estimate->usable_bytes).text,
           asked->budget_bytes > 0 ? "allowed" : "usable");
    if (answer->reason == NULL)
        printf(", P(fits) %s; risk %g %%\n50 %%: %s to %s   90 %%: %s to %s",
               probability_text(estimate->probability, probability, sizeof probability),
               asked->risk * 100, size_text(in50->low).text, size_text(in50->high).text,
               size_text(in90->low).text, size_text(in90->high).text);
    printf("\nplanned for %.60s\n", record->gpu);
    if (record->state == VB_STATE_OOM)
        printf("ran out%s%s: %s asked for, %s free\n(the terms are those reached, the need is as "
               "planned with no limit)\n",
               has_parts(record) ? " in " : "",
               has_parts(record) ? vb_part_names[record->oom_part] : "",
               vb_bytes_format(record->oom_asked_bytes).text,
               vb_bytes_format(record->oom_free_bytes).text);
}

static void print_calibrated(const struct cli_asked *asked, const struct cli_answer *answer)
{
    const struct vb_calibration *of = asked->nearest.calibration;
    const struct vb_calibrated *calibrated = &answer->calibrated;
    printf("trust: calibrated: %s\n       %.60s, cuDNN %s,\n       %.40s %s, mosaic %s, %s; %zu "
           "points, %s\n       the plan alone says %s\n",
           vb_nearness_names[asked->nearest.nearness], of->gpu, of->cudnn, of->model,
           vb_precision_names[of->precision], vb_mosaic_names[of->mosaic],
           vb_optimizer_names[of->optimizer], of->n_points, asked->nearest.file->date,
           size_text(answer->planned_bytes).text);
    for (uint32_t i = 0, n = 0; i < VB_N_CALIBRATED_UNLIKE; i++) {
        if ((calibrated->unlike >> i & 1) != 0)
            printf("%s%s", n++ == 0 ? "       unlike it: " : ", ", vb_calibrated_unlike_names[i]);
    }
    if (calibrated->unlike != 0)
        printf(";\n       intervals are %.2f times as wide\n", calibrated->band.widening);
    if (calibrated->outside > 0)
        printf("       extrapolated: the question lies %.0f %% outside the measured range\n",
               calibrated->outside * 100);
    printf("       %.250s\n", asked->nearest.file->path);
}

static void print_trust(const struct cli_asked *asked, const struct cli_answer *answer)
{
    const struct vb_band *band = &answer->band;
    const char *kind = asked->is_shared ? "in notebook kernels" : "in processes of their own";
    if (answer->is_calibrated) {
        print_calibrated(asked, answer);
        return;
    }
    if (answer->reason != NULL) {
        printf("trust: plan only; %s\n", answer->reason);
        return;
    }
    printf("trust: the plan, and how far plans were off for %zu published runs\n"
           "       (%zu repositories) %s\n",
           band->n_rows, band->n_repositories, kind);
    for (uint32_t i = 0, n = 0; i < VB_N_UNLIKE; i++) {
        if ((band->unlike >> i & 1) != 0)
            printf("%s%s", n++ == 0 ? "       unlike those: " : ", ", vb_unlike_names[i]);
    }
    if (band->unlike != 0)
        printf(";\n       intervals are %.2f times as wide\n", band->widening);
    if (vb_band_is_tail(band, answer->estimate.need_bytes, answer->estimate.usable_bytes))
        printf("       no run seen was off so far: how rare it is rests on an assumed tail\n");
}

static void print_use(const struct vb_point *point, const struct cli_answer *answer)
{
    const char *amp = point->precision == VB_FP32 ? "False" : "True";
    if (answer->largest_batch == 0)
        return;
    if (vb_world_of(point) > 1) {
        cli_print_ranks_use(point, answer->largest_batch);
        return;
    }
    printf("use:   yolo train model=%s batch=%" PRIu32 " imgsz=%" PRIu32 " amp=%s", point->model,
           answer->largest_batch, point->imgsz, amp);
    if (point->freeze > 0)
        printf(" freeze=%" PRIu32, point->freeze);
    printf("%s%s\n", point->rect > 0 ? " rect=True" : "",
           point->single_cls ? " single_cls=True" : "");
    if (strncmp(point->model, "yolov5", 6) != 0)
        return;
    printf("       python train.py --weights %s.pt --batch-size %" PRIu32 " --img %" PRIu32,
           point->model, answer->largest_batch, point->imgsz);
    if (point->freeze > 0)
        printf(" --freeze %" PRIu32, point->freeze);
    printf("%s%s\n", point->rect > 0 ? " --rect" : "", point->single_cls ? " --single-cls" : "");
}

void cli_answer_print_why(const struct cli_asked *asked, const struct cli_answer *answer)
{
    print_verdict(asked, answer);
    print_terms(&answer->record);
    print_parts(&answer->record);
    cli_print_ranks(&answer->record);
}

void cli_answer_print(const struct cli_asked *asked, const struct vb_point *point,
                      const struct cli_answer *answer)
{
    const struct vb_record *record = &answer->record;
    cli_answer_print_why(asked, answer);
    print_log(record);
    printf("recipe: %.70s\nworkspaces: cuDNN %s (%s)\n", record->recipe,
           record->cudnn[0] != '\0' ? record->cudnn : "none", record->workspaces);
    if (record->modelled[0] != '\0')
        printf("modelled: the %s, from its published code; no recording was compared\n",
               record->modelled);
    if (answer->largest_batch > 0)
        printf("largest batch that fits: %" PRIu32 "\n", answer->largest_batch);
    else if (answer->reason == NULL)
        printf("no batch fits: take a smaller image or model, fp16, or a larger --risk\n");
    print_trust(asked, answer);
    print_use(point, answer);
    printf("the rule of thumb (parameters x 4 B x 3 + the batch) says %s\n",
           vb_bytes_format(record->rule_of_thumb_bytes).text);
}

static void print_json_calibration(const struct cli_asked *asked, const struct cli_answer *answer)
{
    const struct vb_calibrated *calibrated = &answer->calibrated;
    bool is_first = true;
    printf(",\"calibration\":{\"nearness\":\"%s\",\"journal\":\"%s\",\"date\":\"%s\","
           "\"points\":%zu,\"planned_bytes\":%.0f,\"outside\":%.4f,\"widening\":%.4f,"
           "\"unlike\":[",
           vb_nearness_names[asked->nearest.nearness], asked->nearest.file->journal_hash,
           asked->nearest.file->date, asked->nearest.calibration->n_points, answer->planned_bytes,
           calibrated->outside, calibrated->band.widening);
    for (uint32_t i = 0; i < VB_N_CALIBRATED_UNLIKE; i++) {
        if ((calibrated->unlike >> i & 1) == 0)
            continue;
        printf("%s\"%s\"", is_first ? "" : ",", vb_calibrated_unlike_names[i]);
        is_first = false;
    }
    printf("]}");
}

static void print_json_band(const struct cli_asked *asked, const struct cli_answer *answer)
{
    const struct vb_estimate *estimate = &answer->estimate;
    const struct vb_band *band = &answer->band;
    bool is_first = true;
    printf(",\"probability\":%.6f,\"low50_bytes\":%.0f,\"high50_bytes\":%.0f,\"low_bytes\":%.0f,"
           "\"high_bytes\":%.0f,\"largest_batch\":%" PRIu32,
           estimate->probability, estimate->interval50.low, estimate->interval50.high,
           estimate->interval90.low, estimate->interval90.high, answer->largest_batch);
    if (answer->is_calibrated) {
        print_json_calibration(asked, answer);
        return;
    }
    printf(",\"band\":{\"runs\":%zu,\"repositories\":%zu,\"process\":\"%s\",\"widening\":%.4f,"
           "\"tail\":%s,\"unlike\":[",
           band->n_rows, band->n_repositories, asked->is_shared ? "shared" : "own", band->widening,
           vb_band_is_tail(band, estimate->need_bytes, estimate->usable_bytes) ? "true" : "false");
    for (uint32_t i = 0; i < VB_N_UNLIKE; i++) {
        if ((band->unlike >> i & 1) == 0)
            continue;
        printf("%s\"%s\"", is_first ? "" : ",", vb_unlike_names[i]);
        is_first = false;
    }
    printf("]}");
}

enum vb_status cli_print_open_record(const struct vb_record *record, struct vb_error *err)
{
    char *line = NULL;
    enum vb_status status = vb_record_print(record, &line, err);
    if (status == VB_OK)
        printf("%.*s", (int)strlen(line) - 1, line);
    free(line);
    return status;
}

enum vb_status cli_answer_print_json(const struct cli_asked *asked, const struct cli_answer *answer,
                                     struct vb_error *err)
{
    enum vb_status status = cli_print_open_record(&answer->record, err);
    if (status != VB_OK)
        return status;
    printf(",\"verdict\":\"%s\",\"risk\":%.6g,\"need_bytes\":%.0f",
           vb_verdict_names[answer->estimate.verdict], asked->risk, answer->estimate.need_bytes);
    if (answer->reason == NULL)
        print_json_band(asked, answer);
    printf("}\n");
    return VB_OK;
}
