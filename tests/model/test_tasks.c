/* SPDX-License-Identifier: Apache-2.0 */
/* The models of ultralytics' other tasks: parameters, layers and operations as its model files
 * print them, parameters to the digits of its documentation, and the shapes of what they predict.
 */

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/catalogue.h"
#include "model/expand.h"

/* Source: ultralytics 8.4.35, cfg/models/11 and v8: the comments beside the scales, which are of 80
 * classes whatever nc says. A classifier's operations are those of a smaller image. */
static const struct {
    const char *model;
    uint64_t parameters;
    uint32_t layers;
    const char *gflops;
} printed[] = {
    { "yolo11n-cls", 1633584, 86, NULL },       { "yolo11s-cls", 5545488, 86, NULL },
    { "yolo11m-cls", 10455696, 106, NULL },     { "yolo11l-cls", 12937104, 176, NULL },
    { "yolo11x-cls", 28458544, 176, NULL },     { "yolo11n-obb", 2695747, 196, "6.9" },
    { "yolo11s-obb", 9744931, 196, "22.7" },    { "yolo11m-obb", 20963523, 246, "72.2" },
    { "yolo11l-obb", 26220995, 372, "91.3" },   { "yolo11x-obb", 58875331, 372, "204.3" },
    { "yolo11n-pose", 2908507, 196, "7.7" },    { "yolo11s-pose", 9948811, 196, "23.5" },
    { "yolo11m-pose", 20973273, 246, "72.3" },  { "yolo11l-pose", 26230745, 372, "91.4" },
    { "yolo11x-pose", 58889881, 372, "204.3" }, { "yolo11n-seg", 2876848, 203, "10.5" },
    { "yolo11s-seg", 10113248, 203, "35.8" },   { "yolo11m-seg", 22420896, 253, "123.9" },
    { "yolo11l-seg", 27678368, 379, "143.0" },  { "yolo11x-seg", 62142656, 379, "320.2" },
    { "yolov8n-obb", 3228867, 144, "9.1" },     { "yolov8s-obb", 11452739, 144, "29.8" },
    { "yolov8m-obb", 26463235, 184, "81.5" },   { "yolov8l-obb", 44540355, 224, "169.4" },
    { "yolov8x-obb", 69555651, 224, "264.3" },
};

/* Source: the same, docs/en/models/yolov8.md and yolo11.md: of COCO, COCO-Pose, DOTA and ImageNet.
 */
static const struct {
    const char *model;
    uint32_t classes;
    double millions;
} documented[] = {
    { "yolov8n-seg", 80, 3.4 },    { "yolov8s-seg", 80, 11.8 },   { "yolov8m-seg", 80, 27.3 },
    { "yolov8l-seg", 80, 46.0 },   { "yolov8x-seg", 80, 71.8 },   { "yolov8n-cls", 1000, 2.7 },
    { "yolov8s-cls", 1000, 6.4 },  { "yolov8m-cls", 1000, 17.0 }, { "yolov8l-cls", 1000, 37.5 },
    { "yolov8x-cls", 1000, 57.4 }, { "yolov8n-pose", 1, 3.3 },    { "yolov8s-pose", 1, 11.6 },
    { "yolov8m-pose", 1, 26.4 },   { "yolov8l-pose", 1, 44.4 },   { "yolov8x-pose", 1, 69.4 },
    { "yolov8n-obb", 15, 3.1 },    { "yolov8s-obb", 15, 11.4 },   { "yolov8m-obb", 15, 26.4 },
    { "yolov8l-obb", 15, 44.5 },   { "yolov8x-obb", 15, 69.5 },   { "yolo11n-seg", 80, 2.9 },
    { "yolo11s-seg", 80, 10.1 },   { "yolo11m-seg", 80, 22.4 },   { "yolo11l-seg", 80, 27.6 },
    { "yolo11x-seg", 80, 62.1 },   { "yolo11n-cls", 1000, 2.8 },  { "yolo11s-cls", 1000, 6.7 },
    { "yolo11m-cls", 1000, 11.6 }, { "yolo11l-cls", 1000, 14.1 }, { "yolo11x-cls", 1000, 29.6 },
    { "yolo11n-pose", 1, 2.9 },    { "yolo11s-pose", 1, 9.9 },    { "yolo11m-pose", 1, 20.9 },
    { "yolo11l-pose", 1, 26.1 },   { "yolo11x-pose", 1, 58.8 },   { "yolo11n-obb", 15, 2.7 },
    { "yolo11s-obb", 15, 9.7 },    { "yolo11m-obb", 15, 20.9 },   { "yolo11l-obb", 15, 26.1 },
    { "yolo11x-obb", 15, 58.8 },
};

static void expand(const char *model, uint32_t imgsz, uint32_t classes, struct vb_arena *arena,
                   struct vb_graph *graph)
{
    struct vb_error err = { 0 };
    cr_assert_eq(vb_catalogue_expand(model, 2, imgsz, classes, arena, graph, &err), VB_OK, "%s",
                 err.text);
}

Test(tasks, count_what_model_files_print)
{
    for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
        struct vb_arena arena = { 0 };
        struct vb_graph graph;
        char gflops[32];
        expand(printed[i].model, 256, 80, &arena, &graph);
        cr_expect_eq(graph.parameter_elements, printed[i].parameters, "%s: %lu parameters",
                     printed[i].model, (unsigned long)graph.parameter_elements);
        cr_expect_eq(graph.n_layers, printed[i].layers, "%s: %u layers", printed[i].model,
                     graph.n_layers);
        (void)snprintf(gflops, sizeof gflops, "%.1f", graph.gflops_640);
        if (printed[i].gflops != NULL)
            cr_expect_str_eq(gflops, printed[i].gflops, "%s: %s", printed[i].model, gflops);
        vb_arena_clear(&arena);
    }
}

/* Documented are fused models, whose normalisations' scales are in the convolutions; whether the
 * last digit is cut or rounded differs from page to page. */
Test(tasks, count_what_is_documented_to_the_last_digit)
{
    for (size_t i = 0; i < sizeof documented / sizeof *documented; i++) {
        struct vb_arena arena = { 0 };
        struct vb_graph graph;
        expand(documented[i].model, 256, documented[i].classes, &arena, &graph);
        uint64_t fused = graph.parameter_elements;
        for (uint32_t k = 0; k < graph.n_parameters; k++) {
            if (graph.parameters[k].role == VB_ROLE_NORM)
                fused -= graph.parameters[k].elements;
        }
        cr_expect(fabs((double)fused / 1e6 - documented[i].millions) < 0.1,
                  "%s: %lu parameters, documented %.1f M", documented[i].model,
                  (unsigned long)fused, documented[i].millions);
        vb_arena_clear(&arena);
    }
}

static bool has_shape(const struct vb_graph *graph, uint32_t value, uint32_t n_dims,
                      const uint32_t *dims)
{
    const struct vb_shape *shape = &graph->values[value].shape;
    return graph->values[value].is_output && shape->n_dims == n_dims &&
           memcmp(shape->dims, dims, n_dims * sizeof *dims) == 0;
}

/* Two images of 256 pixels: 32, 16 and 8 cells a side, 1344 in all. */
Test(tasks, predict_what_each_head_says)
{
    enum { CELLS = 32 * 32 + 16 * 16 + 8 * 8 };
    static const struct {
        const char *task;
        enum vb_task kind;
        uint32_t values, n_extras;
    } heads[] = {
        { "seg", VB_TASK_SEGMENT, 32, 2 },
        { "pose", VB_TASK_POSE, 17 * 3, 1 },
        { "obb", VB_TASK_OBB, 1, 1 },
    };
    static const char *const families[] = { "yolov8", "yolo11" };
    for (size_t i = 0; i < 2 * 3 * 5; i++) {
        struct vb_arena arena = { 0 };
        struct vb_graph graph;
        char model[32];
        (void)snprintf(model, sizeof model, "%s%c-%s", families[i % 2], "nsmlx"[i / 6],
                       heads[i / 2 % 3].task);
        expand(model, 256, 7, &arena, &graph);
        uint32_t values = heads[i / 2 % 3].values;
        cr_expect_eq(graph.task, heads[i / 2 % 3].kind, "%s", model);
        cr_assert_eq(graph.n_extras, heads[i / 2 % 3].n_extras, "%s", model);
        cr_expect_eq(graph.n_levels, 3);
        cr_expect_eq(vb_n_predictions(&graph), 3 + graph.n_extras);
        cr_expect(has_shape(&graph, graph.levels[0].output, 4, (uint32_t[]){ 2, 71, 32, 32 }));
        cr_expect(has_shape(&graph, graph.extras[0], 3, (uint32_t[]){ 2, values, CELLS }), "%s",
                  model);
        if (graph.task == VB_TASK_SEGMENT)
            cr_expect(has_shape(&graph, graph.extras[1], 4, (uint32_t[]){ 2, 32, 64, 64 }));
        vb_arena_clear(&arena);
    }
}

Test(tasks, classify_with_one_output)
{
    static const char *const models[] = { "yolov8n-cls", "yolo11x-cls" };
    for (size_t i = 0; i < 2; i++) {
        struct vb_arena arena = { 0 };
        struct vb_graph graph;
        expand(models[i], 224, 0, &arena, &graph);
        cr_expect_eq(graph.head, VB_HEAD_CLASSIFY);
        cr_expect_eq(graph.task, VB_TASK_CLASSIFY);
        cr_expect(has_shape(&graph, graph.levels[0].output, 2, (uint32_t[]){ 2, 1000 }));
        vb_arena_clear(&arena);
    }
}

/* A file of one's own, and what may be wrong in it. */
Test(tasks, read_their_arguments_or_say_what_is_wrong)
{
    static const struct {
        const char *text;
        const char *fault; /* NULL: none */
    } files[] = {
        { "[[0, 1, 2], 1, Segment, [nc, 8, 64]]", NULL },
        { "[[0, 1, 2], 1, Segment, [nc, many]]",
          "own:9: Segment is 'many', expected a whole number" },
        { "[[0, 1, 2], 1, Segment, []]", "own:9: Segment takes [nc, masks=32, prototype "
                                         "channels=256]" },
        { "[[0, 1, 2], 1, Pose, [nc, kpt_shape]]", NULL },
        { "[[0, 1, 2], 1, OBB, [nc]]", NULL },
        { "[2, 1, Classify, [nc]]", NULL },
        { "[[1, 2], 1, Classify, [nc]]", "own:9: Classify reads one layer, not 2" },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct vb_arena arena = { 0 };
        struct vb_description description;
        struct vb_graph graph;
        struct vb_error err = { 0 };
        char text[512];
        (void)snprintf(text, sizeof text,
                       "nc: 3\nkpt_shape: [5, 2]\nbackbone:\n  - [-1, 1, Conv, [16, 3, 8]]\n"
                       "  - [-1, 1, Conv, [32, 3, 2]]\n  - [-1, 1, Conv, [64, 3, 2]]\n\n"
                       "head:\n  - %s\n",
                       files[i].text);
        enum vb_status status =
            vb_description_parse("own", text, strlen(text), &arena, &description, &err);
        if (status == VB_OK)
            status = vb_expand(&description, 1, 128, 0, &arena, &graph, &err);
        cr_expect_eq(status, files[i].fault == NULL ? VB_OK : VB_E_INPUT, "%s", err.text);
        if (files[i].fault != NULL)
            cr_expect(strncmp(err.text, files[i].fault, strlen(files[i].fault)) == 0, "%s",
                      err.text);
        vb_arena_clear(&arena);
    }
}

Test(tasks, refuse_other_shapes_of_keypoints)
{
    static const char *const shapes[] = { "[17, 4]", "[0, 3]", "17", "[17]" };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct vb_arena arena = { 0 };
        struct vb_description description;
        struct vb_error err = { 0 };
        char text[256];
        (void)snprintf(text, sizeof text, "nc: 1\nkpt_shape: %s\nbackbone: []\nhead: []\n",
                       shapes[i]);
        cr_expect_eq(vb_description_parse("own", text, strlen(text), &arena, &description, &err),
                     VB_E_INPUT, "%s", shapes[i]);
        cr_expect_eq(strncmp(err.text, "own:2: kpt_shape is", 19), 0, "%s", err.text);
        vb_arena_clear(&arena);
    }
}
