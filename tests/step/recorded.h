/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_RECORDED_H
#define VB_TESTS_STEP_RECORDED_H

/* Programs as the recordings of tests/data/steps were made, and their events as recorded ones. */

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
static inline struct vb_targets read_targets(struct vb_arena *arena, uint32_t batch)
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
static inline struct vb_torch recorded(bool is_24, bool has_24_policy)
{
    return (struct vb_torch){ .foreach = is_24,
                              .zeroes_to_none = true,
                              .sums_in_place = is_24,
                              .lean_bce = is_24,
                              .lean_adam = true,
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

/* The program for these boxes; `made` has its arena, which may hold them. */
static inline void make_for(struct made *made, const struct setting *setting,
                            const struct vb_targets *targets)
{
    uint32_t batch = setting->batch, imgsz = setting->imgsz;
    bool is_v5 = strncmp(setting->model, "yolov5", 6) == 0;
    const struct vb_recipe recipe = {
        .trainer = { .family = is_v5 ? VB_YOLOV5 : VB_ULTRALYTICS,
                     .clips = true,
                     .holds_predictions = is_v5,
                     .keeps_bytes = !is_v5,
                     .nominal_batch = batch },
        .torch = setting->torch,
    };
    struct vb_error err = { 0 };
    struct vb_point point = vb_point_default();
    point.batch = batch;
    point.imgsz = imgsz;
    point.precision = setting->precision;
    point.optimizer = setting->optimizer;
    cr_assert_eq(
        vb_catalogue_expand(setting->model, batch, imgsz, 0, &made->arena, &made->graph, &err),
        VB_OK, "%s", err.text);
    cr_assert_eq(vb_program_build(&made->graph, &point, &recipe, targets, VB_ONLY_PLANNED,
                                  &made->arena, &made->program, &err),
                 VB_OK, "%s", err.text);
}

/* Foreground anchors of the one-to-many assigner, and of the one-to-one. */
struct foreground {
    uint32_t many, one;
};

/* "130", or "130/13" where there are two heads. */
static inline struct foreground read_foreground(const char *text)
{
    char *rest = NULL;
    struct foreground n = { (uint32_t)strtoul(text, &rest, 10), 0 };
    if (*rest == '/')
        n.one = (uint32_t)strtoul(rest + 1, NULL, 10);
    return n;
}

static inline void make(struct made *made, const struct setting *setting, struct foreground n)
{
    *made = (struct made){ 0 };
    struct vb_targets targets = read_targets(&made->arena, setting->batch);
    targets.n_foreground = n.many;
    targets.n_one_to_one = n.one;
    make_for(made, setting, &targets);
}

/* One phase's events of one step: sizes, an allocation positive, a free negative. */
struct events {
    int64_t bytes[8192];
    const char *names[8192];
    size_t n;
};

static const char *const phases[] = { "PREP", "FWD", "LOSS", "BWD", "CLIP", "OPT", "ZERO", "EMA" };
enum { N_PHASES = 8, PREP = 0, FWD, LOSS, BWD, CLIP, OPT, ZERO, EMA };

static inline size_t recorded_phase(enum vb_phase phase)
{
    static const size_t of[VB_N_PHASES] = {
        [VB_PHASE_INPUT] = PREP,     [VB_PHASE_FORWARD] = FWD, [VB_PHASE_LOSS] = LOSS,
        [VB_PHASE_BACKWARD] = BWD,   [VB_PHASE_CLIP] = CLIP,   [VB_PHASE_OPTIMIZER] = OPT,
        [VB_PHASE_ZERO_GRAD] = ZERO, [VB_PHASE_EMA] = EMA,
    };
    return of[phase];
}

/* What the recordings leave out: the host's scratch (the recorded peaks count it); and some tensors
 * of the device that have the size of what their filter looks for, the host's numbers and shapes of
 * four and five int64: YOLOv8's image size in fp32, its cells along an axis and the places of its
 * boxes where these are 40 bytes, and the bins' distances cast to 16 bits. Of these the recorded
 * peaks leave out the first alone. */
static inline bool is_left_out(const struct vb_tensor *tensor, bool is_peaks)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } taken_for_the_hosts[] = {
        { "image_size", 8 }, { "arange", 40 }, { "add", 40 }, { "nonzero", 40 }, { "cast", 32 }
    };
    if (tensor->bytes == 0)
        return true;
    if (strcmp(tensor->name, VB_HOST_SCRATCH) == 0)
        return !is_peaks;
    size_t n = is_peaks ? 1 : sizeof taken_for_the_hosts / sizeof *taken_for_the_hosts;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(tensor->name, taken_for_the_hosts[i].name) == 0 &&
            tensor->bytes == taken_for_the_hosts[i].bytes)
            return true;
    }
    return false;
}

/* Where a step begins, counted from 1. In the recordings of YOLOv8 the second step begins once the
 * first one's batch has gone: where ours is uploaded. */
static inline size_t step_begin(const struct vb_program *program, int step)
{
    bool has_second = program->second_step != program->loop_start;
    size_t begin = program->second_step;
    if (step == 1)
        return program->first_step;
    if (step == 3)
        return has_second ? program->loop_start : program->n_instructions;
    while (has_second && (program->instructions[begin].kind != VB_PHASE ||
                          program->instructions[begin].index != VB_PHASE_INPUT))
        begin++;
    return begin;
}

/* Phase marks say where our events belong; the step's last phase takes the log of the losses. */
static inline void our_events(const struct vb_program *program, int step, bool is_peaks,
                              struct events *all)
{
    size_t phase = PREP;
    size_t from = step_begin(program, step), to = step_begin(program, step + 1);
    for (size_t i = 0; i < N_PHASES; i++)
        all[i].n = 0;
    for (size_t i = from; i < to; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind == VB_PHASE)
            phase = recorded_phase((enum vb_phase)instruction.index);
        if (instruction.kind != VB_ALLOC && instruction.kind != VB_FREE)
            continue;
        const struct vb_tensor *tensor = &program->tensors[instruction.index];
        int64_t bytes = (int64_t)tensor->bytes;
        struct events *events = &all[phase];
        if (is_left_out(tensor, is_peaks))
            continue;
        events->names[events->n] = tensor->name;
        events->bytes[events->n++] = instruction.kind == VB_ALLOC ? bytes : -bytes;
    }
}

static inline void peak_and_end(const struct events *events, int64_t *alive, int64_t *peak)
{
    *peak = *alive;
    for (size_t i = 0; i < events->n; i++) {
        *alive += events->bytes[i];
        if (*alive > *peak)
            *peak = *alive;
    }
}

/* Of what the set-up makes, the recording counts only this. */
static inline int64_t resident_bytes(const struct vb_program *program)
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

#endif
