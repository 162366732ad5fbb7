/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of every program: a tensor is there once, a step leaves behind what the next one takes
 * over and nothing else; and what each setting adds or leaves out, in bytes. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>

#include "model/catalogue.h"
#include "step/build.h"

struct made {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
};

static struct vb_point small_point(const char *model)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    point.batch = 2;
    point.imgsz = 320;
    point.accumulate = 1;
    return point;
}

static void make(struct made *made, const struct vb_point *point)
{
    struct vb_error err = { 0 };
    struct vb_recipe recipe;
    *made = (struct made){ 0 };
    cr_assert_eq(vb_catalogue_expand(point->model, point->batch, point->imgsz, 0, &made->arena,
                                     &made->graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&made->graph), &recipe, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(vb_program_build(&made->graph, point, &recipe, NULL, VB_ONLY_PLANNED, &made->arena,
                                  &made->program, &err),
                 VB_OK, "%s", err.text);
}

/* Walks a stretch; each tensor is taken while it is not there and given while it is. */
static void walk(const struct vb_program *program, size_t from, size_t to, bool *alive)
{
    for (size_t i = from; i < to; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind != VB_ALLOC && instruction.kind != VB_FREE)
            continue;
        bool takes = instruction.kind == VB_ALLOC;
        cr_assert_eq(alive[instruction.index], !takes, "instruction %zu: %s", i,
                     program->tensors[instruction.index].name);
        alive[instruction.index] = takes;
    }
}

static void expect_balanced(const struct vb_point *point)
{
    struct made made;
    make(&made, point);
    const struct vb_program *program = &made.program;
    bool *alive = calloc(program->n_tensors, sizeof *alive);
    bool *start = calloc(program->n_tensors, sizeof *start);
    walk(program, 0, program->loop_start, alive);
    memcpy(start, alive, program->n_tensors);
    for (int round = 0; round < 3; round++) {
        walk(program, program->loop_start, program->n_instructions, alive);
        for (size_t i = 0; i < program->n_carries; i++) {
            cr_assert(alive[program->carries[i].end]);
            alive[program->carries[i].end] = false;
            alive[program->carries[i].start] = true;
        }
        for (size_t i = 0; i < program->n_tensors; i++)
            cr_assert_eq(alive[i], start[i], "%s %s %s: %s is %s", point->model,
                         vb_workload_names[point->workload], vb_precision_names[point->precision],
                         program->tensors[i].name, alive[i] ? "left over" : "gone");
    }
    free(alive);
    free(start);
    vb_arena_clear(&made.arena);
}

Test(program, leaves_from_step_to_step_what_the_next_takes_over)
{
    static const char *const models[] = { "yolov5n", "yolov8n", "yolov5n6" };
    for (size_t m = 0; m < 3; m++) {
        for (int setting = 0; setting < 3 * 3 * 3; setting++) {
            struct vb_point point = small_point(models[m]);
            point.imgsz = 256;
            point.precision = (enum vb_precision)(setting % 3);
            point.optimizer = (enum vb_optimizer)(setting / 3 % 3);
            point.mosaic = (enum vb_mosaic)(setting / 9);
            point.mixup = point.mosaic == VB_MOSAIC_ON && setting % 2 == 0;
            point.copy_paste = point.mosaic == VB_MOSAIC_ON && setting % 3 == 0;
            point.accumulate = 1 + (uint32_t)setting % 2;
            point.ema = setting % 4 != 0;
            point.batch = 1 + (uint32_t)setting % 3;
            expect_balanced(&point);
        }
    }
}

Test(program, of_a_classifier_leaves_the_same)
{
    for (int setting = 0; setting < 3 * 3 * 2; setting++) {
        struct vb_point point = small_point(VB_TEST_DATA "/models/resnet50.yaml");
        point.imgsz = 100;
        point.precision = (enum vb_precision)(setting % 3);
        point.optimizer = (enum vb_optimizer)(setting / 3 % 3);
        point.ema = setting % 2 == 0;
        (void)snprintf(point.torch, sizeof point.torch, setting / 9 == 0 ? "1.9" : "2.4");
        expect_balanced(&point);
    }
}

/* How often the loop makes a tensor whose name ends so. */
static size_t count_made(const struct vb_program *program, const char *name)
{
    size_t n = 0;
    for (size_t i = program->loop_start; i < program->loop_end; i++) {
        const struct vb_tensor *tensor = &program->tensors[program->instructions[i].index];
        const char *found =
            program->instructions[i].kind == VB_ALLOC ? strstr(tensor->name, name) : NULL;
        n += found != NULL && strcmp(found, name) == 0;
    }
    return n;
}

/* YOLOv5n has 57 batch normalisations. */
Test(program, counts_batches_in_new_tensors_up_to_1_11)
{
    static const struct {
        char torch[8];
        size_t n;
    } cases[] = { { "1.9", 57 }, { "1.11", 57 }, { "1.12", 0 }, { "2.4", 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_point point = small_point("yolov5n");
        struct made made;
        (void)snprintf(point.torch, sizeof point.torch, "%.7s", cases[i].torch);
        expect_balanced(&point);
        make(&made, &point);
        cr_expect_eq(count_made(&made.program, "num_batches_tracked"), cases[i].n, "%s",
                     cases[i].torch);
        vb_arena_clear(&made.arena);
    }
}

/* Bytes of a category that are there when a step ends. */
static uint64_t left_bytes(const struct vb_program *program, enum vb_category category)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < program->loop_start; i++) {
        const struct vb_tensor *tensor = &program->tensors[program->instructions[i].index];
        if (program->instructions[i].kind == VB_ALLOC && tensor->category == category)
            bytes += tensor->bytes;
        if (program->instructions[i].kind == VB_FREE && tensor->category == category)
            bytes -= tensor->bytes;
    }
    return bytes;
}

static uint64_t left_with(struct vb_point point, enum vb_category category)
{
    struct made made;
    make(&made, &point);
    uint64_t bytes = left_bytes(&made.program, category);
    vb_arena_clear(&made.arena);
    return bytes;
}

/* Each thread that multiplies matrices has a handle with a workspace: the forward one, and that of
 * backward(). Source: torch-memory.md, part A, 2.3. */
Test(program, of_a_classifier_has_two_cublas_workspaces_from_1_13)
{
    struct vb_point point = small_point(VB_TEST_DATA "/models/resnet50.yaml");
    (void)snprintf(point.torch, sizeof point.torch, "1.13");
    cr_expect_eq(left_with(point, VB_WORKSPACE), 2 * 8519680);
    (void)snprintf(point.torch, sizeof point.torch, "1.12");
    cr_expect_eq(left_with(point, VB_WORKSPACE), 0);
}

/* YOLOv5n: 1,872,157 parameters, 9,522 float and 57 int64 numbers in buffers (tests/data/models).
 */
enum { PARAMETERS = 1872157, FLOATS = 9522, COUNTERS = 57 };

Test(program, keeps_what_each_setting_says)
{
    struct vb_point point = small_point("yolov5n");
    uint64_t model = 4ull * (PARAMETERS + FLOATS) + 8ull * COUNTERS;
    cr_expect_eq(left_with(point, VB_WEIGHTS), model);
    cr_expect_eq(left_with(point, VB_EMA), model, "the average is a whole copy");
    cr_expect_eq(left_with(point, VB_OPTIMIZER_STATE), 4ull * PARAMETERS, "SGD: one");
    cr_expect_eq(left_with(point, VB_GRADIENTS), 0, "zeroed to None");
    cr_expect_eq(left_with(point, VB_AUGMENTATION), 0);
    point.optimizer = VB_ADAMW;
    cr_expect_eq(left_with(point, VB_OPTIMIZER_STATE), 8ull * PARAMETERS, "AdamW: two");
    point.ema = false;
    cr_expect_eq(left_with(point, VB_EMA), 0);
}

static uint64_t peak_of(struct vb_point point, enum vb_phase until)
{
    struct made made;
    uint64_t alive = 0, peak = 0;
    make(&made, &point);
    for (size_t i = 0; i < made.program.n_instructions; i++) {
        struct vb_instruction instruction = made.program.instructions[i];
        if (instruction.kind == VB_PHASE && instruction.index == until)
            break;
        if (instruction.kind == VB_ALLOC)
            alive += made.program.tensors[instruction.index].bytes;
        if (instruction.kind == VB_FREE)
            alive -= made.program.tensors[instruction.index].bytes;
        peak = alive > peak ? alive : peak;
    }
    vb_arena_clear(&made.arena);
    return peak;
}

Test(program, of_each_built_in_model_is_balanced_and_grows_with_the_batch)
{
    for (size_t i = 0; i < vb_catalogue_size; i++) {
        uint64_t peaks[3] = { 0 };
        for (uint32_t batch = 1; batch <= 2; batch++) {
            struct vb_point point = small_point(vb_catalogue_names[i]);
            point.imgsz = 128;
            point.batch = batch;
            expect_balanced(&point);
            point.precision = VB_FP16;
            expect_balanced(&point);
            peaks[batch] = peak_of(point, VB_PHASE_OPTIMIZER);
        }
        cr_expect_gt(peaks[2], peaks[1], "%s", vb_catalogue_names[i]);
    }
}

Test(program, composes_a_mosaic_in_twelve_bytes_a_pixel_twice)
{
    struct vb_point point = small_point("yolov5n");
    uint64_t pixels = 2ull * 320 * 320;
    uint64_t off = peak_of(point, VB_PHASE_FORWARD);
    point.mosaic = VB_MOSAIC_CPU;
    cr_expect_eq(peak_of(point, VB_PHASE_FORWARD), off, "composed on the host: no cost here");
    point.mosaic = VB_MOSAIC_ON;
    /* Four sources and a canvas of four times the area, three bytes a pixel each, above what is
     * there before a batch is; without a mosaic the batch takes 4 + 4 bytes a value of 3. */
    cr_expect_eq(peak_of(point, VB_PHASE_FORWARD), off);
    uint64_t composing = peak_of(point, VB_PHASE_INPUT);
    point.mosaic = VB_MOSAIC_OFF;
    cr_expect_eq(composing - peak_of(point, VB_PHASE_INPUT), 24 * pixels);
}

/* Three bytes a pixel each: four sources beside a canvas of four times the area; a canvas, its
 * mirror image and both in one; one image is there while the second for MixUp is composed. */
Test(program, composes_mixup_and_copy_paste_in_so_many_bytes_a_pixel)
{
    static const struct {
        bool mixup, copy_paste;
        uint64_t bytes;
    } cases[] = { { false, false, 12 + 12 },
                  { true, false, 3 + 12 + 12 },
                  { false, true, 12 + 12 + 12 },
                  { true, true, 3 + 12 + 12 + 12 } };
    struct vb_point point = small_point("yolov5n");
    uint64_t pixels = 2ull * 320 * 320;
    uint64_t before = peak_of(point, VB_PHASE_INPUT);
    point.mosaic = VB_MOSAIC_ON;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        point.mixup = cases[i].mixup;
        point.copy_paste = cases[i].copy_paste;
        uint64_t bytes = peak_of(point, VB_PHASE_INPUT) - before;
        cr_expect_eq(bytes, cases[i].bytes * pixels, "case %zu: %lu bytes a pixel", i,
                     (unsigned long)(bytes / pixels));
    }
}

Test(program, refuses_mixup_and_copy_paste_where_no_mosaic_is_composed_on_the_device)
{
    for (int setting = 0; setting < 4; setting++) {
        struct vb_point point = small_point("yolov5n");
        struct vb_recipe recipe;
        struct vb_error err = { 0 };
        struct made made = { 0 };
        bool is_mixup = setting % 2 == 0;
        point.mosaic = setting / 2 == 0 ? VB_MOSAIC_OFF : VB_MOSAIC_CPU;
        point.mixup = is_mixup;
        point.copy_paste = !is_mixup;
        cr_assert_eq(vb_catalogue_expand(point.model, point.batch, point.imgsz, 0, &made.arena,
                                         &made.graph, &err),
                     VB_OK);
        cr_assert_eq(vb_recipe_find(&point, VB_YOLOV5, &recipe, &err), VB_OK);
        cr_expect_eq(vb_program_build(&made.graph, &point, &recipe, NULL, VB_ONLY_PLANNED,
                                      &made.arena, &made.program, &err),
                     VB_E_INPUT);
        cr_expect(strstr(err.text, is_mixup ? "mixup is on" : "copy_paste is on") != NULL, "%s",
                  err.text);
        cr_expect(strstr(err.text, "set mosaic to on") != NULL, "%s", err.text);
        vb_arena_clear(&made.arena);
    }
}

/* fp16 has a scale and a count of steps beside the momentum; bf16 needs none. A step ends with the
 * scale's update, and has neither the numbers that it unscaled with nor what it found any more. */
Test(program, scales_the_loss_in_fp16_alone)
{
    for (int precision = 0; precision < 3; precision++) {
        struct vb_point point = small_point("yolov5n");
        struct made made;
        size_t n[VB_N_OPERATORS] = { 0 };
        bool is_fp16 = precision == VB_FP16;
        point.precision = (enum vb_precision)precision;
        cr_expect_eq(left_with(point, VB_OPTIMIZER_STATE), 4ull * PARAMETERS + (is_fp16 ? 8 : 0));
        expect_balanced(&point);
        make(&made, &point);
        for (size_t i = made.program.loop_start; i < made.program.loop_end; i++) {
            struct vb_instruction instruction = made.program.instructions[i];
            if (instruction.kind == VB_RUN)
                n[made.program.calls[instruction.index].op]++;
        }
        cr_expect_eq(n[VB_OP_UNSCALE], is_fp16 ? n[VB_OP_SGD] : 0);
        cr_expect_eq(n[VB_OP_RESCALE], is_fp16);
        cr_expect_eq(count_made(&made.program, "found_inf"), is_fp16 ? 2 : 0);
        cr_expect_eq(count_made(&made.program, "inverse_scale"), is_fp16 ? 2 : 0);
        cr_expect_eq(count_made(&made.program, "growth_tracker"), 0, "it is there for good");
        vb_arena_clear(&made.arena);
    }
}

Test(program, sums_gradients_over_the_batches_it_accumulates)
{
    struct vb_point point = small_point("yolov5n");
    struct made made;
    size_t n_forward = 0, n_optimizer = 0;
    point.accumulate = 3;
    make(&made, &point);
    for (size_t i = made.program.loop_start; i < made.program.n_instructions; i++) {
        struct vb_instruction instruction = made.program.instructions[i];
        n_forward += instruction.kind == VB_PHASE && instruction.index == VB_PHASE_FORWARD;
        n_optimizer += instruction.kind == VB_PHASE && instruction.index == VB_PHASE_OPTIMIZER;
    }
    cr_expect_eq(n_forward, 3);
    cr_expect_eq(n_optimizer, 1);
    vb_arena_clear(&made.arena);
}

/* Source: torch-memory.md, part B, 7: the peak of v8's loss above the end of the forward pass for
 * boxes below the crossing: M (29 nc + 588 + 12 n) + 20 A, verified against traced runs to 920
 * bytes. What the formula leaves out: the loss's three items, the image's size, the padded boxes
 * with what marks them as valid, the images' numbers, and the zero that where() fills in. */
Test(program, peaks_in_v8s_loss_where_the_formula_says)
{
    struct vb_point point = small_point("yolov8n");
    struct made made;
    uint64_t alive = 0, forward_end = 0, peak = 0;
    enum vb_phase phase = VB_PHASE_SETUP;
    point.targets = 4;
    point.most = 12;
    make(&made, &point);
    for (size_t i = 0; i < made.program.loop_start; i++) {
        struct vb_instruction instruction = made.program.instructions[i];
        const struct vb_tensor *tensor = &made.program.tensors[instruction.index];
        if (instruction.kind == VB_PHASE) {
            if (instruction.index == VB_PHASE_LOSS)
                forward_end = peak = alive;
            phase = (enum vb_phase)instruction.index;
        }
        if (instruction.kind == VB_ALLOC && strcmp(tensor->name, "cublas") != 0)
            alive += tensor->bytes;
        if (instruction.kind == VB_FREE)
            alive -= tensor->bytes;
        if (phase == VB_PHASE_LOSS && alive > peak)
            peak = alive;
    }
    uint64_t anchors = 2100, batch = 2, m = batch * anchors, n = 12, classes = 80;
    uint64_t formula = m * (29 * classes + 588 + 12 * n) + 20 * anchors;
    uint64_t small = 3 * 4 + 2 * 4 + batch * n * (5 + 1) * 4 + batch * 8 + 8;
    cr_expect_eq(peak - forward_end, formula + small, "%lu, formula %lu",
                 (unsigned long)(peak - forward_end), (unsigned long)(formula + small));
    vb_arena_clear(&made.arena);
}
