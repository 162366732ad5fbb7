/* SPDX-License-Identifier: Apache-2.0 */
#include "step/infer.h"

#include "step/forward.h"
#include "step/layers.h"
#include "step/math.h"
#include "step/nms.h"

enum { BINS = 16, SIDES = 4 };

static struct vb_variable take(struct vb_tape *tape, enum vb_operator kind, struct vb_variable x,
                               double a)
{
    struct vb_variable y = vb_unary(tape, kind, x, a);
    vb_done(tape, x);
    return y;
}

/* A level's probabilities, their centres and sizes brought to pixels, side by side again. */
static struct vb_variable decode_level(struct vb_tape *tape, struct vb_variable prediction,
                                       uint32_t classes)
{
    const uint32_t *dims = prediction.shape.dims;
    const uint32_t sizes[] = { 2, 2, classes + 1 };
    struct vb_variable parts[3];
    struct vb_variable likely = vb_unary(tape, VB_OP_SIGMOID, prediction, 0);
    vb_split(tape, likely, 4, sizes, 3, parts);
    struct vb_variable centre =
        take(tape, VB_OP_MUL_NUMBER,
             take(tape, VB_OP_ADD_NUMBER, vb_unary(tape, VB_OP_MUL_NUMBER, parts[0], 2), -0.5), 1);
    struct vb_variable size =
        take(tape, VB_OP_MUL_NUMBER,
             take(tape, VB_OP_POWER, vb_unary(tape, VB_OP_MUL_NUMBER, parts[1], 2), 2), 1);
    const struct vb_variable pieces[] = { centre, size, parts[2] };
    struct vb_variable joined = vb_concat(tape, pieces, 3, 4);
    struct vb_variable rows =
        vb_view(tape, joined, &VB_SHAPE(dims[0], dims[1] * dims[2] * dims[3], classes + 5));
    struct vb_variable ended[] = { likely, parts[0], parts[1], parts[2], centre, size, joined };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return rows;
}

static struct vb_variable decode_v5(struct vb_tape *tape, const struct vb_graph *graph,
                                    const struct vb_variable *predictions)
{
    struct vb_variable levels[VB_MAX_LEVELS];
    for (uint32_t i = 0; i < graph->n_levels; i++)
        levels[i] = decode_level(tape, predictions[i], graph->classes);
    struct vb_variable all = vb_concat(tape, levels, graph->n_levels, 1);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        vb_done(tape, levels[i]);
    return all;
}

/* The distances' means, by a convolution whose weights are the bins. */
static struct vb_variable means_of(struct vb_tape *tape, struct vb_variable boxes)
{
    static const struct vb_conv_shape one_by_one = {
        { .kernel_h = 1, .kernel_w = 1, .stride = 1, .dilation = 1 }, 1
    };
    uint32_t n = boxes.shape.dims[0], anchors = boxes.shape.dims[2];
    struct vb_variable bins = vb_view(tape, boxes, &VB_SHAPE(n, BINS, SIDES, anchors));
    struct vb_variable likely = vb_softmax(tape, bins);
    vb_done(tape, bins);
    struct vb_variable weight = vb_tape_new(tape, "bins", &VB_SHAPE(1, BINS, 1, 1), boxes.dtype);
    struct vb_variable mean =
        vb_conv2d(tape, likely, weight, vb_undefined, &one_by_one, &VB_SHAPE(n, 1, SIDES, anchors));
    vb_done(tape, likely);
    vb_done(tape, weight);
    return mean;
}

/* Corners from the distances, or from their means, then centre and size. */
static struct vb_variable decode_distances(struct vb_tape *tape, struct vb_variable boxes)
{
    uint32_t n = boxes.shape.dims[0], anchors = boxes.shape.dims[2];
    struct vb_variable mean = boxes.shape.dims[1] == SIDES
                                  ? vb_view(tape, boxes, &VB_SHAPE(n, 1, SIDES, anchors))
                                  : means_of(tape, boxes);
    struct vb_variable halves[2];
    vb_split(tape, mean, 2, (uint32_t[]){ 2, 2 }, 2, halves);
    struct vb_variable low = vb_unary(tape, VB_OP_ADD_NUMBER, halves[0], 1);
    struct vb_variable high = vb_unary(tape, VB_OP_ADD_NUMBER, halves[1], 1);
    struct vb_variable sum = vb_binary(tape, VB_OP_ADD, low, high);
    struct vb_variable pair[2] = { take(tape, VB_OP_MUL_NUMBER, sum, 0.5),
                                   vb_binary(tape, VB_OP_SUB, high, low) };
    struct vb_variable joined = vb_concat(tape, pair, 2, 2);
    struct vb_variable ended[] = { mean, halves[0], halves[1], low, high, pair[0], pair[1] };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    struct vb_variable pixels = take(tape, VB_OP_MUL_NUMBER, joined, 1);
    pixels.shape = VB_SHAPE(n, SIDES, anchors);
    return pixels;
}

static struct vb_variable decode_v8(struct vb_tape *tape, const struct vb_graph *graph,
                                    const struct vb_variable *predictions)
{
    struct vb_variable flat[VB_MAX_LEVELS];
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const uint32_t *dims = predictions[i].shape.dims;
        flat[i] = vb_view(tape, predictions[i], &VB_SHAPE(dims[0], dims[1], dims[2] * dims[3]));
    }
    struct vb_variable all = vb_concat(tape, flat, graph->n_levels, 2);
    struct vb_variable halves[2];
    vb_split(tape, all, 1, (uint32_t[]){ SIDES * graph->bins, graph->classes }, 2, halves);
    struct vb_variable boxes = decode_distances(tape, halves[0]);
    struct vb_variable scores = vb_unary(tape, VB_OP_SIGMOID, halves[1], 0);
    const struct vb_variable pair[] = { boxes, scores };
    struct vb_variable decoded = vb_concat(tape, pair, 2, 1);
    struct vb_variable ended[] = { all, halves[0], halves[1], boxes, scores };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        vb_done(tape, flat[i]);
    return decoded;
}

/* What a task has beside boxes and scores, below them; keypoints are brought to pixels in a copy.
 */
static struct vb_variable join_own(struct vb_tape *tape, const struct vb_graph *graph,
                                   const struct vb_variable *predictions,
                                   struct vb_variable decoded)
{
    struct vb_variable own = predictions[vb_n_predictions(graph) - graph->n_extras];
    struct vb_variable typed = graph->task == VB_TASK_POSE
                                   ? vb_fresh(tape, "clone", own.dtype, own.shape)
                                   : vb_tape_hold(tape, own);
    const struct vb_variable pair[] = { decoded, typed };
    struct vb_variable joined = vb_concat(tape, pair, 2, 1);
    vb_done(tape, typed);
    vb_done(tape, decoded);
    return joined;
}

/* The best boxes, and the best pairs of those and a class, in place of suppression: [N,k,6].
 * Source: ultralytics 8.3, nn/modules/head.py, Detect.postprocess(). */
static struct vb_variable best_pairs(struct vb_tape *tape, const struct vb_graph *graph,
                                     struct vb_variable decoded)
{
    uint32_t n = graph->batch, classes = graph->classes, all = decoded.shape.dims[2];
    uint32_t k = all < VB_MAX_DETECTIONS ? all : VB_MAX_DETECTIONS;
    enum vb_dtype dtype = decoded.dtype;
    struct vb_variable best = vb_fresh(tape, "amax", dtype, VB_SHAPE(n, all));
    struct vb_variable values = vb_fresh(tape, "topk", dtype, VB_SHAPE(n, k));
    struct vb_variable places = vb_fresh(tape, "topk", VB_INT64, VB_SHAPE(n, k));
    vb_done(tape, values);
    vb_done(tape, best);
    struct vb_variable repeated = vb_fresh(tape, "repeat", VB_INT64, VB_SHAPE(n, k, SIDES));
    struct vb_variable boxes = vb_fresh(tape, "gather", dtype, VB_SHAPE(n, k, SIDES));
    vb_done(tape, repeated);
    repeated = vb_fresh(tape, "repeat", VB_INT64, VB_SHAPE(n, k, classes));
    struct vb_variable scores = vb_fresh(tape, "gather", dtype, VB_SHAPE(n, k, classes));
    vb_done(tape, repeated);
    struct vb_variable score = vb_fresh(tape, "topk", dtype, VB_SHAPE(n, k));
    struct vb_variable pair = vb_fresh(tape, "topk", VB_INT64, VB_SHAPE(n, k));
    vb_done(tape, scores);
    vb_done(tape, places);
    vb_passing(tape, "floor_divide", VB_INT64, VB_SHAPE(n, k));
    struct vb_variable box = vb_fresh(tape, "index", dtype, VB_SHAPE(n, k, SIDES));
    vb_passing(tape, "remainder", VB_INT64, VB_SHAPE(n, k));
    struct vb_variable label = vb_fresh(tape, "label", VB_FLOAT32, VB_SHAPE(n, k, 1));
    struct vb_variable joined =
        vb_fresh(tape, "cat", VB_FLOAT32, VB_SHAPE(n, k, VB_DETECTION_COLUMNS));
    struct vb_variable ended[] = { label, box, boxes, score, pair };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return joined;
}

/* Of an end-to-end head only the one-to-one branches' boxes. */
static struct vb_variable decode(struct vb_tape *tape, const struct vb_graph *graph,
                                 const struct vb_variable *predictions)
{
    if (graph->head == VB_HEAD_CLASSIFY)
        return vb_softmax(tape, predictions[0]);
    if (graph->head == VB_HEAD_V5)
        return decode_v5(tape, graph, predictions);
    uint32_t skipped = graph->is_end_to_end ? graph->n_levels : 0;
    struct vb_variable decoded = decode_v8(tape, graph, predictions + skipped);
    if (graph->n_extras > 0)
        decoded = join_own(tape, graph, predictions, decoded);
    if (!graph->is_end_to_end)
        return decoded;
    struct vb_variable pairs = best_pairs(tape, graph, decoded);
    vb_done(tape, decoded);
    return pairs;
}

enum vb_status vb_infer(struct vb_tape *tape, const struct vb_graph *graph, uint32_t *storages,
                        struct vb_variable images, struct vb_variable *predictions,
                        struct vb_variable *decoded, struct vb_error *err)
{
    tape->is_eval = true;
    enum vb_status status = vb_forward(tape, graph, storages, images, predictions, err);
    if (status == VB_OK)
        *decoded = decode(tape, graph, predictions);
    tape->is_eval = false;
    return status;
}
