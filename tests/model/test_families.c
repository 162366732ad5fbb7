/* SPDX-License-Identifier: Apache-2.0 */
/* Models of which tests/data/models has no row, or which are published in another form: fused, as
 * for inference. Held to what others print, to the last digit that they give. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "model/catalogue.h"

/* What a model has once each normalisation is part of its convolution, which has a bias then, the
 * two convolutions of a RepConv are the wider one, and of two heads the one that needs no
 * suppression is left. */
struct fused {
    uint64_t parameters, macs;
};

/* Of two heads the first: "model.23.cv2.0..", where there is a "model.23.one2one_cv2..". */
static bool is_dropped(const struct vb_graph *graph, const char *name)
{
    const char *last = graph->parameters[graph->n_parameters - 1].name;
    const char *second = strstr(last, "one2one_");
    size_t length = second != NULL ? (size_t)(second - last) : 0;
    return second != NULL && strncmp(name, last, length) == 0 &&
           strncmp(name + length, "cv", 2) == 0;
}

static struct fused fuse(const struct vb_graph *graph)
{
    struct fused fused = { 0 };
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (!is_dropped(graph, graph->parameters[i].name))
            fused.parameters += graph->parameters[i].elements;
    }
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        const struct vb_op *op = &graph->ops[i];
        bool is_absorbed = strstr(op->module, ".conv2.") != NULL;
        if (is_dropped(graph, op->module))
            continue;
        if (op->kind == VB_BATCHNORM) /* a weight and a bias become a bias, or nothing */
            fused.parameters -= op->weight_elements * (is_absorbed ? 2 : 1);
        if (op->kind == VB_CONV && is_absorbed)
            fused.parameters -= op->weight_elements;
        if (op->kind == VB_CONV && !is_absorbed)
            fused.macs += op->macs;
    }
    for (uint32_t i = 0; i < graph->n_levels && graph->head == VB_HEAD_V8 && graph->bins > 1; i++)
        fused.macs += (uint64_t)4 * graph->bins * graph->levels[i].grid_h * graph->levels[i].grid_w;
    return fused;
}

/* Empty: not given there. Sources: "v3", what ultralytics/yolov3 9.5 and 9.6 print before training
 * and, fused, before validation; "u", docs.ultralytics.com/models/yolov5, whose table is of fused
 * models, in millions; "log", what ultralytics 8.4 prints of yolov3u.pt as it is loaded; "v9", what
 * WongKinYiu/yolov9's val.py prints of ultralytics' yolov9t, fused; "12", the summaries in
 * ultralytics 8.4.35's cfg/models/12/yolo12.yaml and, fused, docs.ultralytics.com/models/yolo12.
 * The table of docs.ultralytics.com/models/yolov9 (2.0 M for YOLOv9t) is of the authors' own heads,
 * which group the convolutions of their boxes: not these models. */
static const struct {
    const char *model, *parameters, *gflops, *fused_parameters, *fused_gflops, *source;
} published[] = {
    { "yolov3", "61949149", "", "61922845", "155.9", "v3" },
    { "yolov3-spp", "62998749", "", "62971933", "", "v3" },
    { "yolov3-tiny", "8852366", "13.3", "8849182", "13.2", "v3" },
    { "yolov3u", "103754144", "", "", "", "log" },
    { "yolov5nu", "", "", "2.6", "7.7", "u" },
    { "yolov5su", "", "", "9.1", "24.0", "u" },
    { "yolov5mu", "", "", "25.1", "64.2", "u" },
    { "yolov5lu", "", "", "53.2", "135.0", "u" },
    { "yolov5xu", "", "", "97.2", "246.4", "u" },
    { "yolov9t", "", "", "2094000", "8.2", "v9" },
    { "yolo12n", "2602288", "6.7", "2.6", "6.5", "12" },
    { "yolo12s", "9284096", "21.7", "9.3", "21.4", "12" },
    { "yolo12m", "20199168", "68.1", "20.2", "", "12" },
    { "yolo12l", "26450784", "89.7", "26.4", "88.9", "12" },
    { "yolo12x", "59210784", "200.3", "59.1", "199.0", "12" },
    { "yolo26n", "2572280", "6.1", "2.4", "5.4", "26" },
    { "yolo26s", "10009784", "22.8", "9.5", "20.7", "26" },
    { "yolo26m", "21896248", "75.4", "20.4", "68.2", "26" },
    { "yolo26l", "26299704", "93.8", "24.8", "86.4", "26" },
    { "yolo26x", "58993368", "209.5", "55.7", "193.9", "26" },
};

/* `number` as the source writes it. */
static void expect(const char *model, const char *what, const char *real, double number)
{
    const char *dot = strchr(real, '.');
    char found[32];
    if (real[0] == '\0')
        return;
    (void)snprintf(found, sizeof found, "%.*f", dot != NULL ? (int)strlen(dot + 1) : 0, number);
    cr_expect_str_eq(found, real, "%s: %s %s, published %s", model, what, found, real);
}

Test(families, have_what_is_published_of_them)
{
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const char *model = published[i].model;
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_graph graph;
        cr_assert_eq(vb_catalogue_expand(model, 1, 640, 0, &arena, &graph, &err), VB_OK, "%s",
                     err.text);
        struct fused fused = fuse(&graph);
        bool in_millions = strchr(published[i].fused_parameters, '.') != NULL;
        expect(model, "parameters", published[i].parameters, (double)graph.parameter_elements);
        expect(model, "GFLOPs", published[i].gflops, graph.gflops_640);
        expect(model, "fused parameters", published[i].fused_parameters,
               (double)fused.parameters / (in_millions ? 1e6 : 1));
        expect(model, "fused GFLOPs", published[i].fused_gflops, 2e-9 * (double)fused.macs);
        vb_arena_clear(&arena);
    }
}

/* A pyramid of pools instead of a convolution is the same difference with either head; and heads of
 * one kind differ by the channels that they read. */
Test(families, of_three_differ_as_their_published_sisters)
{
    static const char *const models[] = { "yolov3", "yolov3-spp", "yolov3u", "yolov3-sppu" };
    uint64_t parameters[4];
    for (size_t i = 0; i < 4; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_graph graph;
        cr_assert_eq(vb_catalogue_expand(models[i], 1, 640, 0, &arena, &graph, &err), VB_OK, "%s",
                     err.text);
        parameters[i] = graph.parameter_elements;
        vb_arena_clear(&arena);
    }
    cr_expect_eq(parameters[3] - parameters[2], parameters[1] - parameters[0]);
}

/* YOLOv3 prints 190 modules once its 72 normalisations are gone (9.6, which builds it as YOLOv5 7.0
 * does). */
Test(families, count_the_modules_around_repeated_ones)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_graph graph;
    cr_assert_eq(vb_catalogue_expand("yolov3", 1, 640, 0, &arena, &graph, &err), VB_OK);
    cr_expect_eq(graph.n_layers, 190 + 72);
    vb_arena_clear(&arena);
}
