/* SPDX-License-Identifier: Apache-2.0 */
/* Rectangular batches: sides by hand from the loaders' rule, ceil(share x imgsz / stride + pad) x
 * stride, and what follows from them. */

#include <criterion/criterion.h>

#include "step/sized.h"
#include "step/targets.h"
#include "step/validate_epoch.h"

static const struct {
    const char *model;
    double rect;
    uint32_t imgsz;
    uint32_t height, width;                       /* of a batch of training */
    uint32_t validation_height, validation_width; /* of one of validation */
} cases[] = {
    { "yolov8n", 0, 640, 640, 640, 672, 672 },
    { "yolov8n", 1, 640, 640, 640, 672, 672 },
    { "yolov8n", 0.75, 640, 480, 640, 512, 672 },
    { "yolov8n", 0.5625, 640, 384, 640, 384, 672 }, /* 360 is 11.25 strides, 11.75 with the pad */
    { "yolov5n", 0.5625, 1280, 736, 1280, 736, 1312 },
    { "yolov5n", 0.01, 320, 32, 320, 32, 352 },
    { "yolov5n6", 0.75, 1280, 960, 1280, 1024, 1344 }, /* strides of 64 */
    { "yolov5n6", 0.7, 640, 448, 640, 512, 704 },
};

static void expect_sides(const struct vb_graph *graph, uint32_t height, uint32_t width,
                         const char *what, size_t row)
{
    const uint32_t *dims = graph->values[0].shape.dims;
    cr_expect(dims[2] == height && dims[3] == width, "row %zu, %s: %u x %u, by hand %u x %u", row,
              what, dims[2], dims[3], height, width);
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_level *level = &graph->levels[i];
        cr_expect(level->grid_h * level->stride == height && level->grid_w * level->stride == width,
                  "row %zu, level %u: %u x %u of stride %u", row, i, level->grid_h, level->grid_w,
                  level->stride);
    }
}

Test(sized, rectangles_have_the_loaders_sides)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_description description;
        struct vb_graph graph, validation;
        struct vb_recipe recipe;
        struct vb_builder builder;
        struct vb_program program = { .arena = &arena };
        struct vb_point point = vb_point_default();
        (void)snprintf(point.model, sizeof point.model, "%s", cases[i].model);
        point.batch = 2;
        point.imgsz = cases[i].imgsz;
        point.rect = cases[i].rect;
        cr_assert_eq(vb_point_graph(&point, &arena, &description, &graph, &err), VB_OK, "%s",
                     err.text);
        expect_sides(&graph, cases[i].height, cases[i].width, "training", i);
        cr_expect_eq(graph.imgsz, cases[i].imgsz);
        cr_assert_eq(vb_recipe_find(&point, vb_family_of(&graph), &recipe, &err), VB_OK);
        cr_assert_eq(vb_builder_init(&builder, &graph, &point, &recipe, &program, &err), VB_OK);
        cr_assert_eq(vb_expand_validation(&builder, &description, &validation, &err), VB_OK);
        expect_sides(&validation, cases[i].validation_height, cases[i].validation_width,
                     "validation", i);
        vb_arena_clear(&arena);
    }
}

Test(sized, rectangles_are_no_mosaics)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_point point = vb_point_default(), plain = point;
    (void)snprintf(point.model, sizeof point.model, "yolov8n");
    point.batch = 16;
    point.imgsz = 640;
    point.rect = 0.75;
    plain.mosaic = VB_MOSAIC_OFF;
    cr_expect_eq(vb_targets_most(&point, 16), vb_targets_most(&plain, 16));
    point.mosaic = VB_MOSAIC_ON;
    cr_expect_eq(vb_point_graph(&point, &arena, &description, &graph, &err), VB_E_INPUT);
    cr_expect_str_eq(err.text, "rect is 0.75, but mosaic is on: rectangular batches are not "
                               "composed; set mosaic to off or rect to 0");
    vb_arena_clear(&arena);
}

/* With one class the model is that of a data set of one. */
Test(sized, a_single_class_is_one_class)
{
    static const char *const models[] = { "yolov5n", "yolov8n" };
    for (size_t m = 0; m < 2; m++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_description description;
        struct vb_graph single, one, all;
        struct vb_point point = { .batch = 1, .imgsz = 128 };
        (void)snprintf(point.model, sizeof point.model, "%s", models[m]);
        cr_assert_eq(vb_point_graph(&point, &arena, &description, &all, &err), VB_OK);
        point.classes = 1;
        cr_assert_eq(vb_point_graph(&point, &arena, &description, &one, &err), VB_OK);
        point.classes = 20;
        point.single_cls = true;
        cr_assert_eq(vb_point_graph(&point, &arena, &description, &single, &err), VB_OK);
        cr_expect_eq(single.classes, 1);
        cr_expect_eq(single.parameter_elements, one.parameter_elements);
        cr_expect_lt(single.parameter_elements, all.parameter_elements);
        vb_arena_clear(&arena);
    }
}
