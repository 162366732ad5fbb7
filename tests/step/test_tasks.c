/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of the other tasks: they balance, grow with the batch, keep for each foreground anchor
 * what is counted by hand from the published losses, and where they cannot run they say so. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/catalogue.h"
#include "step/build.h"
#include "step/run.h"
#include "step/sized.h"
#include "stretch.h"

struct made {
    struct vb_arena arena;
    struct vb_description description;
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program program;
};

static struct vb_point point_of(const char *model)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    point.batch = 2;
    point.imgsz = 128;
    point.accumulate = 1;
    return point;
}

static void make(struct made *made, const struct vb_point *point)
{
    struct vb_error err = { 0 };
    *made = (struct made){ 0 };
    cr_assert_eq(vb_point_graph(point, &made->arena, &made->description, &made->graph, &err), VB_OK,
                 "%s", err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&made->graph), &made->recipe, &err), VB_OK,
                 "%s", err.text);
    enum vb_status status =
        point->workload == VB_WHOLE_RUN
            ? vb_run_build(&made->graph, &made->description, point, &made->recipe, &made->arena,
                           &made->program, &err)
            : vb_program_build(&made->graph, point, &made->recipe, NULL, VB_ONLY_PLANNED,
                               &made->arena, &made->program, &err);
    cr_assert_eq(status, VB_OK, "%s", err.text);
}

static uint64_t peak_of(const struct vb_point *point)
{
    struct made made;
    make(&made, point);
    bool *alive = calloc(made.program.n_tensors, sizeof *alive);
    uint64_t peak = walk(&made.program, 0, made.program.n_instructions, alive);
    free(alive);
    vb_arena_clear(&made.arena);
    return peak;
}

static void expect_balanced(const struct vb_point *point)
{
    struct made made;
    make(&made, point);
    const struct vb_program *program = &made.program;
    bool *alive = calloc(program->n_tensors, sizeof *alive);
    bool *start = calloc(program->n_tensors, sizeof *start);
    (void)walk(program, 0, program->loop_start, alive);
    memcpy(start, alive, program->n_tensors);
    for (int round = 0; round < 2; round++) {
        (void)walk(program, program->loop_start, program->n_instructions, alive);
        for (size_t i = 0; i < program->n_carries; i++) {
            cr_assert(alive[program->carries[i].end]);
            alive[program->carries[i].end] = false;
            alive[program->carries[i].start] = true;
        }
        for (size_t i = 0; i < program->n_tensors; i++)
            cr_assert_eq(alive[i], start[i], "%s %s: %s is %s", point->model,
                         vb_precision_names[point->precision], program->tensors[i].name,
                         alive[i] ? "left over" : "gone");
    }
    free(alive);
    free(start);
    vb_arena_clear(&made.arena);
}

static const char *const small_models[] = {
    "yolov8n-seg", "yolov8n-pose", "yolov8n-obb", "yolov8n-cls",
    "yolo11n-seg", "yolo11n-pose", "yolo11n-obb", "yolo11n-cls",
};
enum { N_SMALL = sizeof small_models / sizeof *small_models };

Test(tasks, leave_from_step_to_step_what_the_next_takes_over)
{
    static const char *const torches[] = { "1.13", "2.3", "" };
    static const char *const trainers[] = { "", "ultralytics-8.3.100" };
    for (size_t m = 0; m < N_SMALL; m++) {
        for (int setting = 0; setting < 3 * 3; setting++) {
            struct vb_point point = point_of(small_models[m]);
            point.precision = (enum vb_precision)(setting % 3);
            point.optimizer = (enum vb_optimizer)(setting / 3);
            point.freeze = setting % 2 == 0 ? 0 : 8;
            point.batch = 1 + (uint32_t)setting % 3;
            point.accumulate = 1 + (uint32_t)setting % 2;
            (void)snprintf(point.torch, sizeof point.torch, "%s", torches[setting % 3]);
            (void)snprintf(point.trainer, sizeof point.trainer, "%s", trainers[setting % 2]);
            expect_balanced(&point);
        }
    }
}

/* 33 images: more than a node has inputs. */
Test(tasks, take_any_number_of_images)
{
    for (size_t m = 0; m < N_SMALL; m++) {
        struct vb_point point = point_of(small_models[m]);
        point.batch = 33;
        point.imgsz = 64;
        point.targets = 2;
        expect_balanced(&point);
    }
}

/* All sizes of a family, and one image more each. */
Test(tasks, peak_higher_with_each_image)
{
    static const char *const kinds[] = { "seg", "pose", "obb", "cls" };
    for (size_t i = 0; i < 2 * 4 * 5; i++) {
        char model[32];
        (void)snprintf(model, sizeof model, "%s%c-%s", i % 2 == 0 ? "yolov8" : "yolo11",
                       "nsmlx"[i / 8], kinds[i / 2 % 4]);
        struct vb_point point = point_of(model);
        uint64_t before = 0;
        for (uint32_t batch = 2; batch <= 8; batch += 3) {
            point.batch = batch;
            uint64_t peak = peak_of(&point);
            cr_expect_gt(peak, before, "%s, batch %u", model, batch);
            before = peak;
        }
    }
}

Test(tasks, take_more_for_masks_than_for_boxes_alone)
{
    static const char *const families[] = { "yolov8", "yolo11" };
    for (size_t i = 0; i < 2 * 3 * 2; i++) {
        char name[16], masks[32];
        (void)snprintf(name, sizeof name, "%s%c", families[i % 2], "nmx"[i / 2 % 3]);
        (void)snprintf(masks, sizeof masks, "%s-seg", name);
        struct vb_point boxes = point_of(name), segments = point_of(masks);
        boxes.workload = segments.workload = i / 6 == 0 ? VB_TRAIN : VB_WHOLE_RUN;
        boxes.precision = segments.precision = VB_FP16;
        cr_expect_gt(peak_of(&segments), peak_of(&boxes), "%s", name);
    }
}

/* What the loss keeps for one foreground anchor more, beside what detection does: bytes counted
 * from the operators of the published losses. 128 pixels have prototypes of 32 a side. */
static const struct {
    const char *model, *detector;
    enum vb_precision precision;
    uint64_t bytes;
} kept[] = {
    /* 32 coefficients; the logits of a plane and what is wanted of it in fp32, what is within the
     * box as bools; the box's area */
    { "yolov8n-seg", "yolov8n", VB_FP32, 32 * 4 + 32 * 32 * (4 + 4 + 1) + 4 },
    { "yolo11n-seg", "yolo11n", VB_FP32, 32 * 4 + 32 * 32 * (4 + 4 + 1) + 4 },
    { "yolov8n-seg", "yolov8n", VB_FP16, 32 * 2 + 32 * 32 * (4 + 4 + 1) + 4 },
    /* 51 values; of each of 17 points both differences, the size, the exponential, what is wanted
     * of being seen, whether it is; and a factor */
    { "yolov8n-pose", "yolov8n", VB_FP32, 51 * 4 + 17 * (2 * 4 + 4 + 4 + 4 + 1) + 4 },
};

static uint64_t saved_with(const char *model, enum vb_precision precision, uint32_t targets,
                           uint32_t *n_foreground)
{
    struct made made;
    struct vb_point point = point_of(model);
    point.precision = precision;
    point.targets = targets;
    point.most = 20;
    point.classes = 1;
    (void)snprintf(point.torch, sizeof point.torch, "2.4");
    make(&made, &point);
    uint64_t bytes = made.program.saved_loss.bytes;
    *n_foreground = 10 * targets * point.batch;
    vb_arena_clear(&made.arena);
    return bytes;
}

Test(tasks, keep_for_an_anchor_what_is_counted_by_hand)
{
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        uint32_t few = 0, many = 0;
        uint64_t own_few = saved_with(kept[i].model, kept[i].precision, 3, &few);
        uint64_t own_many = saved_with(kept[i].model, kept[i].precision, 8, &many);
        uint64_t boxes_few = saved_with(kept[i].detector, kept[i].precision, 3, &few);
        uint64_t boxes_many = saved_with(kept[i].detector, kept[i].precision, 8, &many);
        uint64_t more = own_many - own_few - (boxes_many - boxes_few);
        cr_expect_eq(more, (many - few) * kept[i].bytes, "%s: %lu bytes an anchor, by hand %lu",
                     kept[i].model, (unsigned long)(more / (many - few)),
                     (unsigned long)kept[i].bytes);
    }
}

/* Predictions in fp32 of M = 2 x 336 anchors, of 128 pixels: what the loss of oriented boxes makes
 * of each. */
Test(tasks, make_oriented_boxes_of_five_numbers)
{
    struct made made;
    struct vb_point point = point_of("yolov8n-obb");
    make(&made, &point);
    size_t n_wanted = 0;
    for (size_t i = made.program.loop_start; i < made.program.loop_end; i++) {
        struct vb_instruction instruction = made.program.instructions[i];
        const struct vb_tensor *tensor = &made.program.tensors[instruction.index];
        if (instruction.kind != VB_ALLOC || strcmp(tensor->name, "boxes_wanted") != 0)
            continue;
        cr_expect_eq(tensor->bytes, 2 * 336 * 5 * 4);
        n_wanted++;
    }
    cr_expect_eq(n_wanted, 1);
    vb_arena_clear(&made.arena);
}

/* Ultralytics' classifiers are trained by its own loop, with an average of the weights. */
Test(tasks, classify_in_ultralytics_loop)
{
    struct made made;
    struct vb_point point = point_of("yolov8n-cls");
    make(&made, &point);
    cr_expect_eq(made.recipe.trainer.family, VB_ULTRALYTICS);
    bool clips = false;
    for (size_t i = made.program.loop_start; i < made.program.loop_end; i++)
        clips = clips || (made.program.instructions[i].kind == VB_PHASE &&
                          made.program.instructions[i].index == VB_PHASE_CLIP);
    cr_expect(clips);
    vb_arena_clear(&made.arena);
}
