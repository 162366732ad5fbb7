/* SPDX-License-Identifier: Apache-2.0 */
/* AutoBatch's profile: which gradients it makes, what autocast's cache keeps, and how often each
 * version reads and empties. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/catalogue.h"
#include "model/expand.h"
#include "step/autobatch.h"

enum { IMGSZ = 64, SIZES = 5, IMAGES = 1 + 2 + 4 + 8 + 16 };
#define SMALL_DEVICE (UINT64_C(8) << 30)
#define LARGE_DEVICE (UINT64_C(24) << 30)

struct made {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
    bool *alive; /* of each tensor, at the end */
};

struct setting {
    const char *model, *trainer;
    enum vb_precision precision;
    enum vb_choice thop;
};

static enum vb_status build(struct made *made, const struct setting *setting,
                            uint64_t capacity_bytes, struct vb_error *err)
{
    struct vb_point point = vb_point_default();
    struct vb_description description;
    struct vb_recipe recipe;
    const struct vb_extent extent = { 1, IMGSZ, IMGSZ };
    *made = (struct made){ 0 };
    (void)snprintf(point.model, sizeof point.model, "%s", setting->model);
    (void)snprintf(point.trainer, sizeof point.trainer, "%s", setting->trainer);
    point.batch = 1;
    point.imgsz = IMGSZ;
    point.precision = setting->precision;
    point.thop = setting->thop;
    cr_assert_eq(vb_catalogue_describe(point.model, &made->arena, &description, err), VB_OK);
    cr_assert_eq(vb_expand_for(&description, &extent, 0, &made->arena, &made->graph, err), VB_OK);
    cr_assert_eq(vb_recipe_find(&point, vb_family_of(&made->graph), &recipe, err), VB_OK, "%s",
                 err->text);
    return vb_autobatch_build(&made->graph, &description, &point, &recipe, capacity_bytes,
                              &made->arena, &made->program, err);
}

/* Each tensor is taken while it is not there and given while it is. */
static void walk(struct made *made)
{
    const struct vb_program *program = &made->program;
    made->alive = calloc(program->n_tensors, sizeof *made->alive);
    for (size_t i = 0; i < program->n_instructions; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind != VB_ALLOC && instruction.kind != VB_FREE)
            continue;
        bool takes = instruction.kind == VB_ALLOC;
        cr_assert_eq(made->alive[instruction.index], !takes, "instruction %zu: %s", i,
                     program->tensors[instruction.index].name);
        made->alive[instruction.index] = takes;
    }
}

static void make(struct made *made, const struct setting *setting, uint64_t capacity_bytes)
{
    struct vb_error err = { 0 };
    cr_assert_eq(build(made, setting, capacity_bytes, &err), VB_OK, "%s: %s", setting->trainer,
                 err.text);
    walk(made);
}

static void clear(struct made *made)
{
    free(made->alive);
    vb_arena_clear(&made->arena);
}

static uint64_t gradient_bytes(const struct made *made)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < made->program.n_tensors; i++) {
        const struct vb_tensor *tensor = &made->program.tensors[i];
        if (made->alive[i] && tensor->category == VB_GRADIENTS)
            bytes += tensor->bytes;
    }
    return bytes;
}

/* Casts that are there when it ends: autocast's cache. */
static uint64_t cast_bytes(const struct made *made)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < made->program.n_tensors; i++) {
        const struct vb_tensor *tensor = &made->program.tensors[i];
        const char *name = strrchr(tensor->name, '/');
        if (made->alive[i] && name != NULL && strcmp(name, "/cast") == 0)
            bytes += tensor->bytes;
    }
    return bytes;
}

/* Numbers in the parameters of one kind of operator, or of all that train. */
static uint64_t elements_of(const struct vb_graph *graph, enum vb_op_kind kind, bool all)
{
    uint64_t elements = 0;
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        const struct vb_parameter *parameter = &graph->parameters[i];
        if (parameter->op != UINT32_MAX && (all || graph->ops[parameter->op].kind == kind))
            elements += parameter->elements;
    }
    return elements;
}

Test(autobatch, makes_gradients_of_normalisations_alone_where_thop_ran_on_the_model)
{
    static const struct {
        struct setting setting;
        bool is_whole;
        bool has_images; /* they have been cast, with a gradient */
    } cases[] = {
        { { "yolov5n", "yolov5-6.2", VB_FP16, VB_AS_RECIPE }, false, false },
        { { "yolov8n", "ultralytics-8.0.50", VB_FP16, VB_AS_RECIPE }, false, false },
        { { "yolov8n", "ultralytics-8.3.60", VB_BF16, VB_ON }, false, false },
        { { "yolov8n", "ultralytics-8.0.50", VB_FP16, VB_OFF }, true, true },
        { { "yolov5n", "yolov5-6.2", VB_FP32, VB_AS_RECIPE }, true, false },
        { { "yolov8n", "ultralytics-8.3.69", VB_FP16, VB_AS_RECIPE }, true, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made;
        make(&made, &cases[i].setting, SMALL_DEVICE);
        uint64_t expected = 4 * elements_of(&made.graph, VB_BATCHNORM, cases[i].is_whole) +
                            (cases[i].has_images ? 4 * 16 * 3 * IMGSZ * IMGSZ : 0);
        cr_expect_eq(gradient_bytes(&made), expected, "%s: %lu, expected %lu",
                     cases[i].setting.trainer, (unsigned long)gradient_bytes(&made),
                     (unsigned long)expected);
        clear(&made);
    }
}

/* Convolutions' weights and biases once, and once more a copy that operations were counted on; and
 * the images of each size. */
Test(autobatch, keeps_what_autocast_has_cast_to_the_end)
{
    static const struct {
        struct setting setting;
        uint64_t copies;
    } cases[] = {
        { { "yolov5n", "yolov5-6.2", VB_FP16, VB_AS_RECIPE }, 1 },
        { { "yolov8n", "ultralytics-8.0.50", VB_FP16, VB_OFF }, 1 },
        { { "yolov8n", "ultralytics-8.3.69", VB_FP16, VB_AS_RECIPE }, 1 + SIZES },
        { { "yolov8n", "ultralytics-8.0.50", VB_FP32, VB_AS_RECIPE }, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made;
        make(&made, &cases[i].setting, SMALL_DEVICE);
        uint64_t images = cases[i].copies > 0 ? IMAGES * 3 * IMGSZ * IMGSZ : 0;
        uint64_t expected =
            2 * (elements_of(&made.graph, VB_CONV, false) * cases[i].copies + images);
        cr_expect_eq(cast_bytes(&made), expected, "%s: %lu, expected %lu", cases[i].setting.trainer,
                     (unsigned long)cast_bytes(&made), (unsigned long)expected);
        clear(&made);
    }
}

static uint32_t count_marks(const struct vb_program *program, enum vb_mark mark)
{
    uint32_t n = 0;
    for (size_t i = 0; i < program->n_instructions; i++)
        n += program->instructions[i].kind == VB_MARK &&
             program->instructions[i].index == (uint32_t)mark;
    return n;
}

static uint32_t count_boxes(const struct vb_program *program)
{
    uint32_t n = 0;
    for (size_t i = 0; i < program->n_tensors; i++)
        n += strcmp(program->tensors[i].name, "boxes") == 0;
    return n;
}

Test(autobatch, reads_and_empties_as_each_version_does)
{
    static const struct {
        const char *trainer;
        uint64_t capacity_bytes;
        uint32_t sizes, more, empties, boxes;
    } cases[] = {
        { "ultralytics-8.0.50", LARGE_DEVICE, 5, 0, 5, 0 },
        { "ultralytics-8.3.6", LARGE_DEVICE, 5, 0, 5, 0 },
        { "ultralytics-8.3.7", LARGE_DEVICE, 5, 0, 6, 0 },
        { "ultralytics-8.3.9", LARGE_DEVICE, 7, 0, 8, 0 },
        { "ultralytics-8.3.9", SMALL_DEVICE, 5, 0, 6, 0 },
        { "ultralytics-8.3.31", SMALL_DEVICE, 5, 0, 6, 5 },
        { "ultralytics-8.3.52", SMALL_DEVICE, 5, 5, 1 + 3 * 5, 5 },
        { "ultralytics-8.3.109", LARGE_DEVICE, 7, 7, 1 + 3 * 7, 7 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct setting setting = { "yolov8n", cases[i].trainer, VB_FP16, VB_AS_RECIPE };
        struct made made;
        make(&made, &setting, cases[i].capacity_bytes);
        const struct vb_program *program = &made.program;
        cr_expect_eq(program->n_profiled, cases[i].sizes, "%s", cases[i].trainer);
        cr_expect_eq(count_marks(program, VB_MARK_PROFILE), 1, "%s", cases[i].trainer);
        cr_expect_eq(count_marks(program, VB_MARK_SIZE), cases[i].sizes, "%s", cases[i].trainer);
        cr_expect_eq(count_marks(program, VB_MARK_SIZE_MORE), cases[i].more, "%s",
                     cases[i].trainer);
        cr_expect_eq(count_marks(program, VB_MARK_EMPTY), cases[i].empties, "%s", cases[i].trainer);
        cr_expect_eq(count_boxes(program), cases[i].boxes, "%s", cases[i].trainer);
        clear(&made);
    }
}

Test(autobatch, is_refused_where_the_version_has_none)
{
    const struct setting setting = { "yolov5n", "yolov5-6.0", VB_FP16, VB_AS_RECIPE };
    struct vb_error err = { 0 };
    struct made made;
    cr_expect_eq(build(&made, &setting, SMALL_DEVICE, &err), VB_E_INPUT);
    cr_expect_neq(strstr(err.text, "has no AutoBatch"), NULL, "%s", err.text);
    vb_arena_clear(&made.arena);
}
