/* SPDX-License-Identifier: Apache-2.0 */
/* Programs against what PyTorch did, event by event: two training steps of YOLOv5s, the peaks of 48
 * configurations, and the bytes that autograd saved (tests/data/steps, whose README says how they
 * were recorded and are compared). */

#include <criterion/criterion.h>
#include <stdbool.h>

#include "csv.h"
#include "model/catalogue.h"
#include "step/build.h"
#include "step/math.h"

/* A point's program, and all that it needs. */
struct made {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
};

/* The boxes of synthetic_targets.csv for the first `batch` images. */
static struct vb_targets read_targets(struct vb_arena *arena, uint32_t batch)
{
    struct csv csv = csv_open("steps/synthetic_targets.csv");
    struct vb_target *items = vb_arena_alloc(arena, csv.n_rows, sizeof *items);
    struct vb_targets targets = { .items = items };
    uint32_t in_image[64] = { 0 };
    for (size_t i = 0; i < csv.n_rows; i++) {
        uint32_t image = (uint32_t)csv_number(&csv, i, "image");
        if (image >= batch)
            continue;
        items[targets.n++] = (struct vb_target){
            image,
            (uint32_t)csv_number(&csv, i, "class"),
            strtof(csv_text(&csv, i, "cx"), NULL),
            strtof(csv_text(&csv, i, "cy"), NULL),
            strtof(csv_text(&csv, i, "w"), NULL),
            strtof(csv_text(&csv, i, "h"), NULL),
        };
        if (++in_image[image] > targets.most_in_an_image)
            targets.most_in_an_image = in_image[image];
    }
    csv_close(&csv);
    return targets;
}

/* The rules that the recordings were made by: 1.13's, or with what 2.4 changed, and autocast's list
 * of operators of either; on a CPU; gradients are forgotten. */
static struct vb_torch recorded(bool is_24, bool has_24_policy)
{
    return (struct vb_torch){ .foreach = is_24,
                              .zeroes_to_none = true,
                              .sums_in_place = is_24,
                              .lean_bce = is_24,
                              .casts_pieces = !has_24_policy,
                              .upsample_fp32 = has_24_policy,
                              .counts_in_place = true,
                              .cpu_kernels = true };
}

/* A row's configuration. */
struct setting {
    const char *model;
    uint32_t batch, imgsz;
    enum vb_precision precision;
    enum vb_optimizer optimizer;
    struct vb_torch torch;
};

static void make(struct made *made, const struct setting *setting, uint32_t n_foreground)
{
    uint32_t batch = setting->batch, imgsz = setting->imgsz;
    struct vb_error err = { 0 };
    *made = (struct made){ 0 };
    struct vb_point point = vb_point_default();
    point.batch = batch;
    point.imgsz = imgsz;
    point.precision = setting->precision;
    point.optimizer = setting->optimizer;
    const struct vb_recipe recipe = {
        .trainer = { .family =
                         strstr(setting->model, "yolov5") != NULL ? VB_YOLOV5 : VB_ULTRALYTICS,
                     .clips = true,
                     .nominal_batch = batch },
        .torch = setting->torch,
    };
    struct vb_targets targets = read_targets(&made->arena, batch);
    targets.n_foreground = n_foreground;
    cr_assert_eq(
        vb_catalogue_expand(setting->model, batch, imgsz, 0, &made->arena, &made->graph, &err),
        VB_OK, "%s", err.text);
    cr_assert_eq(vb_program_build(&made->graph, &point, &recipe, &targets, &made->arena,
                                  &made->program, &err),
                 VB_OK, "%s", err.text);
}

/* One phase's events of one step: sizes, an allocation positive, a free negative. */
struct events {
    int64_t bytes[8192];
    const char *names[8192];
    size_t n;
};

static const char *const phases[] = { "PREP", "FWD", "LOSS", "BWD", "CLIP", "OPT", "ZERO", "EMA" };
enum { N_PHASES = 8, PREP = 0, FWD, LOSS, BWD, CLIP, OPT, ZERO, EMA };

static size_t recorded_phase(enum vb_phase phase)
{
    static const size_t of[VB_N_PHASES] = {
        [VB_PHASE_INPUT] = PREP,     [VB_PHASE_FORWARD] = FWD, [VB_PHASE_LOSS] = LOSS,
        [VB_PHASE_BACKWARD] = BWD,   [VB_PHASE_CLIP] = CLIP,   [VB_PHASE_OPTIMIZER] = OPT,
        [VB_PHASE_ZERO_GRAD] = ZERO, [VB_PHASE_EMA] = EMA,
    };
    return of[phase];
}

/* Phase marks say where our events belong; the step's last phase takes the log of the losses. The
 * recorded peaks count the host's scratch, the recorded steps leave it out. */
static void our_events(const struct vb_program *program, size_t from, size_t to, bool with_scratch,
                       struct events *all)
{
    size_t phase = PREP;
    for (size_t i = 0; i < N_PHASES; i++)
        all[i].n = 0;
    for (size_t i = from; i < to; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind == VB_PHASE)
            phase = recorded_phase((enum vb_phase)instruction.index);
        if (instruction.kind != VB_ALLOC && instruction.kind != VB_FREE)
            continue;
        int64_t bytes = (int64_t)program->tensors[instruction.index].bytes;
        struct events *events = &all[phase];
        const char *name = program->tensors[instruction.index].name;
        if (bytes == 0 || (!with_scratch && strcmp(name, VB_HOST_SCRATCH) == 0))
            continue;
        events->names[events->n] = program->tensors[instruction.index].name;
        events->bytes[events->n++] = instruction.kind == VB_ALLOC ? bytes : -bytes;
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A group of the recording: its allocations as a multiset, and the bytes alive at its end. A group
 * without an allocation belongs to the one before. */
struct group {
    int64_t allocations[512];
    size_t n;
    int64_t end_bytes;
    const char *id;
};

/* Batch normalisation's backward is one operator, and its order inside is not compared (the README
 * says why), but its rows bear three numbers: there the module names the group. */
static const char *group_of(const struct csv *csv, size_t row)
{
    bool is_norm = strstr(csv_text(csv, row, "op"), "NativeBatchNormBackward0") != NULL;
    return csv_text(csv, row, is_norm ? "module" : "group");
}

/* The next group of the phase from row *row on. */
static bool next_group(const struct csv *csv, size_t *row, const char *step, const char *phase,
                       struct group *group)
{
    group->n = 0;
    const char *id = NULL;
    for (; *row < csv->n_rows; (*row)++) {
        bool is_here = strcmp(csv_text(csv, *row, "step"), step) == 0 &&
                       strcmp(csv_text(csv, *row, "phase"), phase) == 0;
        bool is_alloc = csv_text(csv, *row, "event")[0] == 'A';
        const char *here = group_of(csv, *row);
        if (!is_here && group->n > 0)
            return true;
        if (!is_here)
            continue;
        if (is_alloc && id != NULL && group->n > 0 && strcmp(id, here) != 0)
            return true;
        id = here;
        if (group->n == 0)
            group->id = here;
        if (is_alloc)
            group->allocations[group->n++] = (int64_t)csv_number(csv, *row, "bytes");
        group->end_bytes = (int64_t)csv_number(csv, *row, "live_bytes");
    }
    return group->n > 0;
}

/* Takes as many of our allocations as the group has, and the frees up to the next one. */
static bool compare_group(struct group *group, const struct events *events, size_t *at,
                          int64_t *alive, const char *phase)
{
    int64_t ours[512];
    size_t n = 0, first = *at;
    while (*at < events->n && (events->bytes[*at] < 0 || n < group->n)) {
        int64_t bytes = events->bytes[(*at)++];
        *alive += bytes;
        if (bytes > 0)
            ours[n++] = bytes;
    }
    qsort(ours, n, sizeof *ours, by_size);
    qsort(group->allocations, group->n, sizeof *ours, by_size);
    bool same = n == group->n && memcmp(ours, group->allocations, n * sizeof *ours) == 0 &&
                *alive == group->end_bytes;
    if (!same) {
        (void)fprintf(stderr, "%s group %s: real", phase, group->id);
        for (size_t i = 0; i < group->n; i++)
            (void)fprintf(stderr, " %ld", (long)group->allocations[i]);
        (void)fprintf(stderr, " alive %ld; ours", (long)group->end_bytes);
        for (size_t i = first; i < *at; i++)
            (void)fprintf(stderr, " %+ld(%s)", (long)events->bytes[i], events->names[i]);
        (void)fprintf(stderr, " alive %ld\n", (long)*alive);
    }
    return same;
}

static void peak_and_end(const struct events *events, int64_t *alive, int64_t *peak)
{
    *peak = *alive;
    for (size_t i = 0; i < events->n; i++) {
        *alive += events->bytes[i];
        if (*alive > *peak)
            *peak = *alive;
    }
}

static void compare_step(const struct csv *csv, const char *step, const struct events *all,
                         int64_t *alive)
{
    for (size_t phase = PREP; phase <= BWD; phase++) {
        struct group group;
        size_t row = 0, at = 0, n_groups = 0;
        while (next_group(csv, &row, step, phases[phase], &group)) {
            n_groups++;
            cr_assert(compare_group(&group, &all[phase], &at, alive, phases[phase]),
                      "step %s, %s: group %s differs", step, phases[phase], group.id);
        }
        cr_expect_eq(at, all[phase].n, "step %s: %zu events of ours are left over in %s", step,
                     all[phase].n - at, phases[phase]);
        cr_expect_gt(n_groups, 0);
    }
    for (size_t phase = CLIP; phase <= EMA; phase++) {
        int64_t real_peak = 0, real_end = 0, peak = 0;
        for (size_t row = 0; row < csv->n_rows; row++) {
            if (strcmp(csv_text(csv, row, "step"), step) != 0 ||
                strcmp(csv_text(csv, row, "phase"), phases[phase]) != 0)
                continue;
            real_end = (int64_t)csv_number(csv, row, "live_bytes");
            real_peak = real_end > real_peak ? real_end : real_peak;
        }
        peak_and_end(&all[phase], alive, &peak);
        cr_expect_eq(peak, real_peak, "step %s: %s peaks at %ld, real %ld", step, phases[phase],
                     (long)peak, (long)real_peak);
        cr_expect_eq(*alive, real_end, "step %s: %s ends at %ld, real %ld", step, phases[phase],
                     (long)*alive, (long)real_end);
    }
}

/* Of what the set-up makes, the recording counts only this. */
static int64_t resident_bytes(const struct vb_program *program)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < program->first_step; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind == VB_ALLOC &&
            strcmp(program->tensors[instruction.index].name, "mean_loss") == 0)
            bytes += (int64_t)program->tensors[instruction.index].bytes;
    }
    return bytes;
}

static void compare_steps(const char *file, const struct setting *setting, uint32_t n_foreground)
{
    static struct events all[N_PHASES];
    struct made made;
    struct csv csv = csv_open(file);
    make(&made, setting, n_foreground);
    /* The recording's first event is the mean of the losses, which we make in the set-up. */
    int64_t alive = resident_bytes(&made.program);
    for (size_t i = 0; i + 1 < csv.n_rows && strcmp(csv_text(&csv, i, "op"), "zeros>empty") == 0 &&
                       strcmp(csv_text(&csv, i, "phase"), "PREP") == 0;
         i++)
        *(char *)(uintptr_t)csv_text(&csv, i, "phase") = '-';
    our_events(&made.program, made.program.first_step, made.program.loop_start, false, all);
    compare_step(&csv, "1", all, &alive);
    our_events(&made.program, made.program.loop_start, made.program.n_instructions, false, all);
    compare_step(&csv, "2", all, &alive);
    vb_arena_clear(&made.arena);
    csv_close(&csv);
}

/* 13 boxes, and the foreground anchors that loss_counts.csv gives for YOLOv8n at this size. */
enum { V8N_FOREGROUND = 130 };

Test(steps, yolov5_fp32_of_2_4)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP32, VB_SGD, recorded(true, true) };
    compare_steps("steps/steps_yolov5s_SGD_t24.csv", &s, 0);
}

Test(steps, yolov5_amp_of_2_4)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP16, VB_SGD, recorded(true, true) };
    compare_steps("steps/steps_yolov5s_SGD_t24_amp.csv", &s, 0);
}

Test(steps, yolov5_fp32_of_1_13)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP32, VB_SGD, recorded(false, false) };
    compare_steps("steps/steps_yolov5s_SGD.csv", &s, 0);
}

Test(steps, yolov5_adamw_of_1_13)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP32, VB_ADAMW, recorded(false, false) };
    compare_steps("steps/steps_yolov5s_AdamW.csv", &s, 0);
}

Test(steps, yolov5_amp_of_1_13)
{
    struct setting s = { "yolov5s", 2, 320, VB_FP16, VB_SGD, recorded(false, false) };
    compare_steps("steps/steps_yolov5s_SGD_amp.csv", &s, 0);
}

Test(steps, yolov8_fp32_of_1_13)
{
    struct setting s = { "yolov8n", 2, 320, VB_FP32, VB_SGD, recorded(false, false) };
    compare_steps("steps/steps_yolov8n_SGD.csv", &s, V8N_FOREGROUND);
}

Test(steps, yolov8_amp_of_2_4)
{
    struct setting s = { "yolov8n", 2, 320, VB_FP16, VB_SGD, recorded(true, true) };
    compare_steps("steps/steps_yolov8n_SGD_t24_amp.csv", &s, V8N_FOREGROUND);
}

/* YOLOv8's foreground anchors of the run that loss_counts.csv tells of; 0 for YOLOv5. */
static uint32_t foreground_of(const struct csv *csv, size_t row)
{
    struct csv counts = csv_open("steps/loss_counts.csv");
    uint32_t n = 0;
    for (size_t i = 0; i < counts.n_rows; i++) {
        if (strcmp(csv_text(&counts, i, "model"), csv_text(csv, row, "model")) == 0 &&
            csv_number(&counts, i, "batch") == csv_number(csv, row, "batch") &&
            csv_number(&counts, i, "imgsz") == csv_number(csv, row, "imgsz"))
            n = (uint32_t)csv_number(&counts, i, "v8_fg_anchors");
    }
    csv_close(&counts);
    return n;
}

static void make_row(struct made *made, const struct csv *csv, size_t row, uint32_t n_foreground)
{
    const char *amp = csv_text(csv, row, "amp");
    bool is_24 =
        csv_has(csv, "semantics") && strcmp(csv_text(csv, row, "semantics"), "torch2.4-like") == 0;
    struct setting setting = {
        .model = csv_text(csv, row, "model"),
        .batch = (uint32_t)csv_number(csv, row, "batch"),
        .imgsz = (uint32_t)csv_number(csv, row, "imgsz"),
        .precision = amp[0] != '\0' ? VB_FP16 : VB_FP32,
        .torch = recorded(is_24, strstr(amp, "torch2.4") != NULL),
    };
    if (csv_has(csv, "optimizer") && strcmp(csv_text(csv, row, "optimizer"), "AdamW") == 0)
        setting.optimizer = VB_ADAMW;
    make(made, &setting, n_foreground);
}

/* At batch 4 YOLOv8's rows come from runs of their own, with their own number of foreground
 * anchors: there it is free, found from one column, reported, and every other column is held to it.
 */
static void make_saved_row(struct made *made, const struct csv *csv, size_t row)
{
    uint32_t n = foreground_of(csv, row);
    uint64_t real = csv_number(csv, row, "loss_extra_unique_saved_bytes");
    make_row(made, csv, row, n);
    if (n == 0 || csv_number(csv, row, "batch") != 4 || made->program.saved_loss.bytes == real)
        return;
    for (uint32_t other = n - 8; other <= n + 8; other++) {
        vb_arena_clear(&made->arena);
        make_row(made, csv, row, other);
        if (made->program.saved_loss.bytes == real) {
            (void)fprintf(stderr,
                          "%s batch 4 imgsz %s amp '%s': %u foreground anchors, %u elsewhere\n",
                          csv_text(csv, row, "model"), csv_text(csv, row, "imgsz"),
                          csv_text(csv, row, "amp"), other, n);
            return;
        }
    }
}

static void expect_bytes(const struct csv *csv, size_t row, const char *column, uint64_t found)
{
    cr_expect_eq(
        found, csv_number(csv, row, column), "%s batch %s imgsz %s amp '%s' %s: %lu, real %s",
        csv_text(csv, row, "model"), csv_text(csv, row, "batch"), csv_text(csv, row, "imgsz"),
        csv_text(csv, row, "amp"), column, (unsigned long)found, csv_text(csv, row, column));
}

Test(saved, bytes_are_what_hooks_counted)
{
    struct csv csv = csv_open("steps/saved_summary.csv");
    for (size_t i = 0; i < csv.n_rows; i++) {
        struct made made;
        const char *model = csv_text(&csv, i, "model");
        if (strncmp(model, "yolov5", 6) != 0 && strncmp(model, "yolov8", 6) != 0)
            continue;
        make_saved_row(&made, &csv, i);
        expect_bytes(&csv, i, "unique_saved_bytes", made.program.saved_forward.bytes);
        expect_bytes(&csv, i, "unique_saved_count", made.program.saved_forward.count);
        expect_bytes(&csv, i, "loss_extra_unique_saved_bytes", made.program.saved_loss.bytes);
        expect_bytes(&csv, i, "loss_extra_unique_saved_count", made.program.saved_loss.count);
        vb_arena_clear(&made.arena);
    }
    csv_close(&csv);
}

static void compare_peaks(const struct csv *csv, size_t row, const struct vb_program *program)
{
    static struct events all[N_PHASES];
    bool is_first = csv_number(csv, row, "step") == 1;
    int64_t peaks[N_PHASES], ends[N_PHASES];
    int64_t alive = (int64_t)csv_number(csv, row, "step_start_bytes");
    our_events(program, is_first ? program->first_step : program->loop_start,
               is_first ? program->loop_start : program->n_instructions, true, all);
    /* The recording counts a steady step from when the last batch is gone: our first event of it.
     */
    alive += is_first ? resident_bytes(program) : -all[PREP].bytes[0];
    for (size_t i = 0; i < N_PHASES; i++) {
        peak_and_end(&all[i], &alive, &peaks[i]);
        ends[i] = alive;
    }
    expect_bytes(csv, row, "after_prep_bytes", (uint64_t)ends[PREP]);
    expect_bytes(csv, row, "fwd_peak_bytes", (uint64_t)peaks[FWD]);
    expect_bytes(csv, row, "fwd_end_bytes", (uint64_t)ends[FWD]);
    expect_bytes(csv, row, "loss_peak_bytes", (uint64_t)peaks[LOSS]);
    expect_bytes(csv, row, "loss_end_bytes", (uint64_t)ends[LOSS]);
    expect_bytes(csv, row, "bwd_peak_bytes", (uint64_t)peaks[BWD]);
    expect_bytes(csv, row, "bwd_end_bytes", (uint64_t)ends[BWD]);
    expect_bytes(csv, row, "clip_peak_bytes", (uint64_t)peaks[CLIP]);
    expect_bytes(csv, row, "opt_peak_bytes", (uint64_t)peaks[OPT]);
    expect_bytes(csv, row, "opt_end_bytes", (uint64_t)ends[OPT]);
    expect_bytes(csv, row, "after_zero_grad_bytes", (uint64_t)ends[ZERO]);
    expect_bytes(csv, row, "ema_peak_bytes", (uint64_t)peaks[EMA]);
    expect_bytes(csv, row, "step_end_bytes", (uint64_t)ends[EMA]);
}

Test(peaks, are_the_recorded_ones_of_every_configuration)
{
    struct csv csv = csv_open("steps/step_peaks.csv");
    size_t n = 0;
    for (size_t i = 0; i < csv.n_rows; i++) {
        if (strncmp(csv_text(&csv, i, "model"), "yolov5", 6) != 0 ||
            strcmp(csv_text(&csv, i, "amp"), "cpu_bf16") == 0)
            continue;
        struct made made;
        make_row(&made, &csv, i, 0);
        compare_peaks(&csv, i, &made.program);
        vb_arena_clear(&made.arena);
        n++;
    }
    cr_expect_eq(n, 144);
    csv_close(&csv);
}
