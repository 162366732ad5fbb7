/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/bands.h"
#include "cli/commands.h"
#include "cli/point_options.h"
#include "device/gpu_spec.h"
#include "model/catalogue.h"
#include "sweep/measure.h"

enum { EXIT_DOES_NOT_FIT = 1, EXIT_CANNOT_TELL = 4, MAX_BATCH = 4096 };

/* What is asked, the same for every batch. */
struct asked {
    const char *device_name;
    struct vb_device *device;
    uint64_t budget_bytes; /* 0: none */
    double risk;
    bool is_shared;
    char family[64];
    struct vb_arena *arena; /* the residuals' */
    struct vb_residuals residuals;
};

struct answer {
    struct vb_record record;
    struct vb_estimate estimate;
    struct vb_band band;
    const char *reason;     /* why there is no band; NULL: there is */
    uint32_t largest_batch; /* that fits; 0: none */
};

static enum vb_status judge(const struct asked *asked, double need_bytes, struct vb_arena *arena,
                            struct answer *out, struct vb_error *err)
{
    const struct vb_record *record = &out->record;
    const struct vb_device_info *info = vb_device_info(asked->device);
    const struct vb_question question = {
        .is_shared = asked->is_shared,
        .traits = { .architecture = vb_gpu_spec_architecture(info->compute_capability),
                    .family = asked->family,
                    .precision = record->point.precision,
                    .workload = record->point.workload,
                    .torch = vb_band_torch(record->recipe),
                    .boxes = record->point.targets,
                    .planned_bytes = need_bytes,
                    .has_fitted_workspaces = vb_band_is_fitted(record->workspaces),
                    .is_own_model = cli_is_own_model(record->point.model) },
    };
    uint64_t usable = asked->budget_bytes > 0 ? asked->budget_bytes : record->usable_bytes;
    enum vb_status status =
        vb_band_find(asked->residuals.rows, asked->residuals.n, &question, arena, &out->band, err);
    if (status == VB_E_UNSUPPORTED && err != NULL)
        out->reason = vb_arena_copy(asked->arena, err->text);
    if (status != VB_OK && status != VB_E_UNSUPPORTED)
        return status;
    out->estimate = vb_estimate_judge(need_bytes, (double)usable,
                                      status == VB_OK ? &out->band : NULL, asked->risk);
    if (record->state == VB_STATE_OOM && out->estimate.verdict == VB_FITS)
        out->estimate.verdict = VB_TIGHT; /* the plan itself runs out */
    return VB_OK;
}

static enum vb_status plan(const struct asked *asked, const struct vb_point *point,
                           struct vb_arena *arena, struct answer *out, struct vb_error *err)
{
    struct vb_record need;
    enum vb_status status =
        vb_measure_need(point, asked->device_name, asked->device, arena, &out->record, &need, err);
    if (status == VB_OK)
        status = judge(asked, (double)need.peak_reserved_bytes, arena, out, err);
    return status;
}

static bool fits(const struct asked *asked, const struct vb_point *point, uint32_t batch)
{
    struct vb_arena arena = { 0 };
    struct vb_point other = *point;
    struct answer answer = { 0 };
    other.batch = batch;
    bool does =
        vb_measure(&other, asked->device, false, &arena, &answer.record, NULL) == VB_OK &&
        answer.record.state == VB_STATE_OK &&
        judge(asked, (double)answer.record.peak_reserved_bytes, &arena, &answer, NULL) == VB_OK &&
        answer.estimate.verdict == VB_FITS;
    vb_arena_clear(&arena);
    return does;
}

/* Memory grows with the batch, so the largest that fits is found by halving. */
static uint32_t largest_batch(const struct asked *asked, const struct vb_point *point,
                              const struct answer *answer)
{
    double a_batch = answer->estimate.need_bytes / point->batch;
    double guess = answer->estimate.usable_bytes / a_batch;
    uint32_t low = 0, high = 1;
    if (guess > 8)
        high = (uint32_t)(fmin(guess, MAX_BATCH) * 0.8) & ~7u;
    while (high < MAX_BATCH && fits(asked, point, high)) {
        low = high;
        high += high / 8 > 0 ? high / 8 : 1;
    }
    high = high < MAX_BATCH ? high : MAX_BATCH;
    while (high - low > (low >= 16 ? 2u : 1u)) {
        uint32_t middle = (low + high) / 2;
        if (fits(asked, point, middle))
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

static void print_verdict(const struct answer *answer, const struct asked *asked)
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
    printf("\nplanned for %s, workspaces of cuDNN %s (%s)\n", record->gpu,
           record->cudnn[0] != '\0' ? record->cudnn : "none", record->workspaces);
    if (record->state == VB_STATE_OOM)
        printf("ran out: %s asked for, %s free; the terms are those reached, the need as planned "
               "with no limit\n",
               vb_bytes_format(record->oom_asked_bytes).text,
               vb_bytes_format(record->oom_free_bytes).text);
}

static void print_trust(const struct answer *answer, const struct asked *asked)
{
    const struct vb_band *band = &answer->band;
    const char *kind = asked->is_shared ? "in notebook kernels" : "in processes of their own";
    if (answer->reason != NULL) {
        printf("trust: plan only; %s\n", answer->reason);
        return;
    }
    printf("trust: plan, and the errors of %zu published runs %s, of %zu repositories\n",
           band->n_rows, kind, band->n_repositories);
    for (uint32_t i = 0, n = 0; i < VB_N_UNLIKE; i++) {
        if ((band->unlike >> i & 1) != 0)
            printf("%s%s", n++ == 0 ? "       unlike those runs: " : ", ", vb_unlike_names[i]);
    }
    if (band->unlike != 0)
        printf("; intervals are %.2f times as wide\n", band->widening);
    if (vb_band_is_tail(band, answer->estimate.need_bytes, answer->estimate.usable_bytes))
        printf("       no run seen was off so far: how rare it is rests on an assumed tail\n");
}

static void print_use(const struct vb_point *point, const struct answer *answer)
{
    const char *amp = point->precision == VB_FP32 ? "False" : "True";
    if (answer->largest_batch == 0)
        return;
    printf("use:   yolo train model=%s batch=%" PRIu32 " imgsz=%" PRIu32 " amp=%s\n", point->model,
           answer->largest_batch, point->imgsz, amp);
    if (strncmp(point->model, "yolov5", 6) == 0)
        printf("       python train.py --weights %s.pt --batch-size %" PRIu32 " --img %" PRIu32
               "\n",
               point->model, answer->largest_batch, point->imgsz);
}

static void print_answer(const struct vb_point *point, const struct answer *answer,
                         const struct asked *asked)
{
    print_verdict(answer, asked);
    print_terms(&answer->record);
    if (answer->largest_batch > 0)
        printf("largest batch that fits: %" PRIu32 "\n", answer->largest_batch);
    else if (answer->reason == NULL)
        printf("no batch fits: take a smaller image or model, fp16, or a larger --risk\n");
    print_trust(answer, asked);
    print_use(point, answer);
    printf("the rule of thumb (parameters x 4 B x 3 + the batch) says %s\n",
           vb_bytes_format(answer->record.rule_of_thumb_bytes).text);
}

static void print_json_band(const struct answer *answer, const struct asked *asked)
{
    const struct vb_estimate *estimate = &answer->estimate;
    const struct vb_band *band = &answer->band;
    bool is_first = true;
    printf(",\"probability\":%.6f,\"low50_bytes\":%.0f,\"high50_bytes\":%.0f,\"low_bytes\":%.0f,"
           "\"high_bytes\":%.0f,\"largest_batch\":%" PRIu32,
           estimate->probability, estimate->interval50.low, estimate->interval50.high,
           estimate->interval90.low, estimate->interval90.high, answer->largest_batch);
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

static enum vb_status print_json(struct answer *answer, const struct asked *asked,
                                 struct vb_error *err)
{
    char *line = NULL;
    enum vb_status status = vb_record_print(&answer->record, &line, err);
    if (status == VB_OK) {
        line[strlen(line) - 1] = '\0'; /* the closing brace: more follows */
        printf("%s,\"verdict\":\"%s\",\"risk\":%.6g,\"need_bytes\":%.0f", line,
               vb_verdict_names[answer->estimate.verdict], asked->risk,
               answer->estimate.need_bytes);
        if (answer->reason == NULL)
            print_json_band(answer, asked);
        printf("}\n");
    }
    free(line);
    return status;
}

/* Of a model of the user's own whose file is not named as a family: who trains it. */
static enum vb_status name_family(const struct vb_point *point, struct asked *asked,
                                  struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_graph graph;
    vb_band_family(point->model, asked->family, sizeof asked->family);
    if (!cli_is_own_model(point->model) || strncmp(asked->family, "yolo", 4) == 0)
        return VB_OK;
    enum vb_status status =
        vb_catalogue_expand(point->model, 1, point->imgsz, point->classes, &arena, &graph, err);
    if (status == VB_OK && graph.head == VB_HEAD_V5)
        (void)snprintf(asked->family, sizeof asked->family, "yolov5");
    else if (status == VB_OK && graph.head == VB_HEAD_V8)
        (void)snprintf(asked->family, sizeof asked->family, "yolov8");
    vb_arena_clear(&arena);
    return status;
}

struct options {
    struct cli_point_options point;
    const char *budget, *risk, *shared, *json;
};

static enum vb_status answer_point(const struct vb_point *point, struct asked *asked, bool json,
                                   int *exit_status, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct answer answer = { 0 };
    enum vb_status status = plan(asked, point, &arena, &answer, err);
    if (status == VB_OK) {
        if (answer.reason == NULL)
            answer.largest_batch = largest_batch(asked, point, &answer);
        if (json)
            status = print_json(&answer, asked, err);
        else
            print_answer(point, &answer, asked);
        if (answer.estimate.verdict == VB_CANNOT_TELL)
            *exit_status = EXIT_CANNOT_TELL;
        else
            *exit_status = answer.estimate.verdict == VB_DOES_NOT_FIT ? EXIT_DOES_NOT_FIT : 0;
    }
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status estimate(const struct options *options, int *exit_status,
                               struct vb_error *err)
{
    struct vb_point point;
    struct vb_arena arena = { 0 };
    struct asked asked = { .is_shared = options->shared != NULL, .arena = &arena };
    char name[320];
    enum vb_status status = cli_read_point(&options->point, &point, err);
    if (status == VB_OK && options->budget != NULL)
        status = vb_bytes_parse(options->budget, &asked.budget_bytes, err);
    if (status == VB_OK)
        status = cli_read_risk(options->risk, &asked.risk, err);
    if (status == VB_OK)
        status = cli_read_residuals(&arena, &asked.residuals, err);
    if (status == VB_OK)
        status = name_family(&point, &asked, err);
    cli_device_name(&options->point, name, sizeof name);
    asked.device_name = name;
    if (status == VB_OK)
        status = vb_device_open(name, &asked.device, err);
    if (status == VB_OK)
        status = answer_point(&point, &asked, options->json != NULL, exit_status, err);
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
    cli_add_point_options(&options.point, table, &n);
    const struct cli_option own[] = {
        { "budget", "SIZE", "may be used, in place of the GPU's: 22.5GiB", &options.budget, NULL },
        { "risk", "1%", "of running out, that a batch which fits may have; 5%", &options.risk,
          NULL },
        { "shared", NULL, "in a notebook's kernel, where other models may still be on the GPU",
          &options.shared, NULL },
        { "json", NULL, "the answer as one JSON object", &options.json, NULL },
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        table[n++] = own[i];
    const struct cli_command command = {
        .usage = "vrambench estimate --model NAME --batch N --imgsz N --gpu NAME [options]",
        .summary = "Will this training fit, what takes the memory, and what is the largest batch.\n"
                   "Intervals and P(fits) are from the errors of plans for published runs\n"
                   "(sweeps/published/residuals.csv); exit status 4: there are none to tell from.",
        .examples =
            "  vrambench estimate --model yolov5s --batch 32 --imgsz 640 --precision fp16 \\\n"
            "      --gpu rtx3090",
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
