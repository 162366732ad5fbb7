/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of every run's program: a tensor is there once, validation leaves behind what it
 * found, marks come in order, and what each part takes, in bytes counted by hand. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/catalogue.h"
#include "step/nms.h"
#include "step/run.h"
#include "stretch.h"

struct made {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program program;
};

static struct vb_point small_run(const char *model, const char *trainer)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    (void)snprintf(point.trainer, sizeof point.trainer, "%s", trainer);
    point.workload = VB_WHOLE_RUN;
    point.precision = VB_FP16;
    point.batch = 2;
    point.imgsz = 320;
    return point;
}

static void make(struct made *made, const struct vb_point *point)
{
    struct vb_error err = { 0 };
    struct vb_description description;
    *made = (struct made){ 0 };
    cr_assert_eq(vb_catalogue_describe(point->model, &made->arena, &description, &err), VB_OK);
    cr_assert_eq(vb_catalogue_expand(point->model, point->batch, point->imgsz, point->classes,
                                     &made->arena, &made->graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&made->graph), &made->recipe, &err), VB_OK,
                 "%s", err.text);
    cr_assert_eq(vb_run_build(&made->graph, &description, point, &made->recipe, &made->arena,
                              &made->program, &err),
                 VB_OK, "%s", err.text);
}

/* The first instruction from `from` on that begins the part; the program's end if none does. */
static size_t part_at(const struct vb_program *program, enum vb_part part, size_t from)
{
    size_t i = from;
    while (i < program->n_instructions && (program->instructions[i].kind != VB_MARK ||
                                           program->instructions[i].index != VB_MARK_PART + part))
        i++;
    return i;
}

static void sum_up(const struct vb_program *program, const bool *alive, uint64_t *bytes)
{
    memset(bytes, 0, VB_N_CATEGORIES * sizeof *bytes);
    for (size_t i = 0; i < program->n_tensors; i++)
        bytes[program->tensors[i].category] += alive[i] ? program->tensors[i].bytes : 0;
}

static void expect_clean(const struct vb_point *point)
{
    struct made made;
    uint64_t before[VB_N_CATEGORIES], after[VB_N_CATEGORIES], end[VB_N_CATEGORIES];
    make(&made, point);
    const struct vb_program *program = &made.program;
    bool *alive = calloc(program->n_tensors, sizeof *alive);
    size_t validation = part_at(program, VB_PART_VALIDATION, 0);
    size_t later = part_at(program, VB_PART_LATER, validation);
    cr_assert_lt(later, program->n_instructions);
    (void)walk(program, 0, validation, alive);
    sum_up(program, alive, before);
    (void)walk(program, validation, later, alive);
    sum_up(program, alive, after);
    cr_expect_arr_eq(before, after, sizeof before, "%s %s: validation leaves something",
                     point->model, made.recipe.name);
    (void)walk(program, later, program->n_instructions, alive);
    sum_up(program, alive, end);
    cr_expect_eq(end[VB_WEIGHTS], before[VB_WEIGHTS]);
    cr_expect_eq(end[VB_EMA], before[VB_EMA]);
    cr_expect_eq(end[VB_OPTIMIZER_STATE], before[VB_OPTIMIZER_STATE]);
    /* What the AMP check left, and the losses' running mean, made after a backward pass. */
    cr_expect_leq(end[VB_TEMPORARY], before[VB_TEMPORARY] + 12, "%s %s", point->model,
                  made.recipe.name);
    free(alive);
    vb_arena_clear(&made.arena);
}

static const struct {
    const char *model, *trainer;
} recipes[] = {
    { "yolov5n", "yolov5-v6.0" },         { "yolov5n", "yolov5-v6.2" },
    { "yolov5n", "yolov5-v7.0" },         { "yolov5n6", "" },
    { "yolov8n", "ultralytics-8.0.20" },  { "yolov8n", "ultralytics-8.1.34" },
    { "yolov8n", "ultralytics-8.3.100" }, { "yolov8n", "" },
};
enum { N_RECIPES = sizeof recipes / sizeof *recipes };

Test(run, leaves_weights_and_state_and_validation_nothing)
{
    for (size_t i = 0; i < N_RECIPES; i++) {
        for (int setting = 0; setting < 6; setting++) {
            struct vb_point point = small_run(recipes[i].model, recipes[i].trainer);
            point.precision = (enum vb_precision)(setting % 3);
            point.ema = setting != 4;
            point.multiscale = setting % 2 == 1;
            point.batch = setting == 5 ? 1 : 2;
            expect_clean(&point);
        }
    }
}

/* Letters: s a step, E the epoch, L the later one, e and f the cache emptied before and after
 * validation; digits: the parts by their number. */
struct order {
    const char *model, *trainer, *expected;
};

static void expect_order(const struct order *order)
{
    static const char letters[] = { 's', 'E', 'L', '?', 'f', 'e' };
    struct vb_point point = small_run(order->model, order->trainer);
    char found[128] = "";
    struct made made;
    size_t n = 0;
    make(&made, &point);
    for (size_t i = 0; i < made.program.n_instructions && n + 1 < sizeof found; i++) {
        struct vb_instruction instruction = made.program.instructions[i];
        if (instruction.kind == VB_MARK)
            found[n++] = instruction.index < VB_MARK_PART
                             ? letters[instruction.index]
                             : (char)('0' + instruction.index - VB_MARK_PART);
    }
    cr_expect_str_eq(found, order->expected);
    vb_arena_clear(&made.arena);
}

Test(run, marks_its_places_in_order)
{
    expect_order(
        &(struct order){ "yolov5n", "yolov5-v6.0", "003s24s4s4s4s6s4s4s4s4s7sEe8f9ssssL" });
    expect_order(
        &(struct order){ "yolov5n", "yolov5-v7.0", "0103s24s4s4s4s6s4s4s4s4s7sEe8f9ssssL" });
    expect_order(&(struct order){ "yolov8n", "ultralytics-8.3.100",
                                  "01023s4s4s4s4s6s4s4s4s4s7sEe8f9ssssL" });
    expect_order(
        &(struct order){ "yolov8n", "ultralytics-8.0.20", "0103s4s4s4s4s6s4s4s4s4s7sEe8f9ssssL" });
}

/* A bit for each pair of boxes, in words of 64 bits: 30,000 boxes are 469 words each. */
/* Of two programs of one point the second is the first's beginning, up to the end of a batch. */
static void expect_beginning(const struct vb_program *whole, const struct vb_program *start)
{
    cr_assert_lt(start->n_instructions, whole->n_instructions);
    cr_assert_leq(start->n_tensors, whole->n_tensors);
    for (size_t i = 0; i < start->n_instructions; i++) {
        struct vb_instruction a = whole->instructions[i], b = start->instructions[i];
        cr_assert(a.kind == b.kind && a.index == b.index, "instruction %zu", i);
        if (a.kind == VB_RUN)
            cr_assert(whole->calls[a.index].op == start->calls[a.index].op &&
                          whole->calls[a.index].flops == start->calls[a.index].flops &&
                          whole->calls[a.index].dtype == start->calls[a.index].dtype &&
                          strcmp(whole->calls[a.index].module, start->calls[a.index].module) == 0,
                      "call %u", a.index);
    }
    for (size_t i = 0; i < start->n_tensors; i++)
        cr_assert_eq(whole->tensors[i].bytes, start->tensors[i].bytes, "tensor %zu", i);
    cr_assert_eq(start->first_step, whole->first_step);
    cr_assert_eq(start->empties_above_percent, whole->empties_above_percent);
    cr_assert_eq(start->lazy_modules, whole->lazy_modules);
    cr_assert(start->deterministic == whole->deterministic &&
              start->fixed_algorithms == whole->fixed_algorithms &&
              start->benchmark == whole->benchmark);
    size_t steps = 0;
    for (size_t i = 0; i < start->n_instructions; i++)
        steps +=
            start->instructions[i].kind == VB_MARK && start->instructions[i].index == VB_MARK_STEP;
    cr_expect_eq(steps, 1, "%zu batches", steps);
}

/* So what runs out in it runs out in the run, and nothing has to be assumed. */
Test(run, starts_as_its_start_alone)
{
    static const char *const models[] = { "yolov5n", "yolov8n", "yolov8n-seg" };
    for (size_t i = 0; i < 3 * 4; i++) {
        struct made made;
        struct vb_program start;
        struct vb_description description;
        struct vb_error err = { 0 };
        struct vb_point point = small_run(models[i / 4], "");
        point.precision = i % 2 == 0 ? VB_FP32 : VB_FP16;
        point.mosaic = i % 4 < 2 ? VB_MOSAIC_ON : VB_MOSAIC_CPU;
        point.multiscale = i % 4 == 1;
        point.gpus = i % 4 == 3 ? 2 : 0;
        make(&made, &point);
        cr_assert_eq(vb_catalogue_describe(point.model, &made.arena, &description, &err), VB_OK);
        cr_assert_eq(vb_run_build_start(&made.graph, &description, &point, &made.recipe,
                                        &made.arena, &start, &err),
                     VB_OK, "%s", err.text);
        expect_beginning(&made.program, &start);
        vb_arena_clear(&made.arena);
    }
}

Test(nms, has_a_mask_of_as_many_words_as_counted_by_hand)
{
    cr_expect_eq(vb_nms_mask_bytes(1), 8);
    cr_expect_eq(vb_nms_mask_bytes(64), 64 * 8);
    cr_expect_eq(vb_nms_mask_bytes(65), 65 * 2 * 8);
    cr_expect_eq(vb_nms_mask_bytes(30000), 112560000);
}

/* The largest tensor of that name. */
static uint64_t largest(const struct vb_program *program, const char *name)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < program->n_tensors; i++) {
        if (strcmp(program->tensors[i].name, name) == 0 && program->tensors[i].bytes > bytes)
            bytes = program->tensors[i].bytes;
    }
    return bytes;
}

/* Images of 320 are validated at 352: cells of 44, 22 and 11 a side, with three anchors each in v5.
 * 80 classes are more pairs than are kept, one class is 7,623 pairs of 120 words. */
Test(nms, takes_all_pairs_of_an_image_or_30000)
{
    struct made made;
    struct vb_point point = small_run("yolov5n", "");
    make(&made, &point);
    cr_expect_eq(largest(&made.program, "nms mask"), 112560000);
    vb_arena_clear(&made.arena);
    point.classes = 1;
    make(&made, &point);
    cr_expect_eq(largest(&made.program, "nms mask"), 7623 * 120 * 8);
    vb_arena_clear(&made.arena);
    point = small_run("yolov8n", "");
    point.classes = 1;
    make(&made, &point);
    cr_expect_eq(largest(&made.program, "nms mask"), 2541 * 40 * 8);
    vb_arena_clear(&made.arena);
}

/* What stands in the place of the average when validation's images come. */
static uint64_t average_in_validation(const struct vb_point *point, uint64_t *fp32_bytes,
                                      uint64_t *half_bytes)
{
    struct made made;
    uint64_t bytes[VB_N_CATEGORIES];
    make(&made, point);
    const struct vb_program *program = &made.program;
    bool *alive = calloc(program->n_tensors, sizeof *alive);
    size_t i = part_at(program, VB_PART_VALIDATION, 0);
    while (program->instructions[i].kind != VB_ALLOC ||
           program->tensors[program->instructions[i].index].category != VB_INPUT)
        i++;
    (void)walk(program, 0, i, alive);
    sum_up(program, alive, bytes);
    *fp32_bytes = *half_bytes = 0;
    for (uint32_t k = 0; k < made.graph.n_parameters + made.graph.n_buffers; k++) {
        const struct vb_parameter *parameter = &made.graph.parameters[k];
        *fp32_bytes += parameter->elements * (parameter->is_int64 ? 8 : 4);
        *half_bytes += parameter->elements * (parameter->is_int64 ? 8 : 2);
    }
    free(alive);
    vb_arena_clear(&made.arena);
    return bytes[VB_EMA];
}

Test(validation, has_half_the_weights_as_each_version_says)
{
    static const struct {
        const char *model, *trainer;
        enum vb_precision precision;
        bool is_half;
    } cases[] = {
        { "yolov5n", "yolov5-v6.0", VB_FP16, true },
        { "yolov5n", "yolov5-v6.0", VB_FP32, true },
        { "yolov5n", "yolov5-v6.2", VB_FP32, false },
        { "yolov8n", "ultralytics-8.2.95", VB_FP32, true },
        { "yolov8n", "ultralytics-8.2.96", VB_FP32, false },
        { "yolov8n", "", VB_FP16, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_point point = small_run(cases[i].model, cases[i].trainer);
        uint64_t fp32_bytes = 0, half_bytes = 0;
        point.precision = cases[i].precision;
        uint64_t bytes = average_in_validation(&point, &fp32_bytes, &half_bytes);
        cr_expect_eq(bytes, cases[i].is_half ? half_bytes : fp32_bytes, "%s %s", cases[i].model,
                     cases[i].trainer);
    }
}

enum { LOADED = 8 * 3 * 320 * 320 * 4, LARGEST = 8 * 3 * 480 * 480 * 4 };

/* Bytes of images alive that are no larger than those loaded, and of larger ones. */
static void sum_images(const struct vb_program *program, const bool *alive, uint64_t sizes[2])
{
    sizes[0] = sizes[1] = 0;
    for (size_t i = 0; i < program->n_tensors; i++)
        if (alive[i] && strcmp(program->tensors[i].name, "images") == 0)
            sizes[program->tensors[i].bytes > LOADED] += program->tensors[i].bytes;
}

/* Images of 320 go up to 480: 320 and half of it and a stride, less one, in strides of 32. Both
 * sizes are there at once, beside what plotting holds. */
Test(multiscale, draws_the_largest_size_once_beside_the_loaded_one)
{
    struct made plain, scaled;
    struct vb_point point = small_run("yolov5n", "");
    point.batch = 8;
    make(&plain, &point);
    point.multiscale = true;
    make(&scaled, &point);
    const struct vb_program *program = &scaled.program;
    cr_expect_eq(largest(&plain.program, "images"), LOADED);
    cr_expect_eq(largest(program, "images"), LARGEST);
    size_t at = part_at(program, VB_PART_LARGEST, 0);
    cr_assert_lt(at, program->n_instructions);
    cr_expect_eq(part_at(program, VB_PART_LARGEST, at + 1), program->n_instructions);
    cr_expect_eq(part_at(&plain.program, VB_PART_LARGEST, 0), plain.program.n_instructions);

    bool *alive = calloc(program->n_tensors, sizeof *alive);
    bool *other = calloc(plain.program.n_tensors, sizeof *other);
    uint64_t peak = walk(program, 0, program->n_instructions, alive);
    uint64_t plain_peak = walk(&plain.program, 0, plain.program.n_instructions, other);
    cr_expect_gt(peak, plain_peak + plain_peak / 2);
    memset(alive, 0, program->n_tensors);
    (void)walk(program, 0, at, alive);
    uint64_t plotted[2], sizes[2];
    sum_images(program, alive, plotted);
    cr_expect_eq(plotted[1], 0);
    sizes[1] = 0;
    for (size_t i = at; sizes[1] < LARGEST && i < program->n_instructions; i++) {
        (void)walk(program, i, i + 1, alive);
        sum_images(program, alive, sizes);
    }
    cr_expect_eq(sizes[1], LARGEST);
    cr_expect_eq(sizes[0], plotted[0] + LOADED);
    free(alive);
    free(other);
    vb_arena_clear(&plain.arena);
    vb_arena_clear(&scaled.arena);
}
