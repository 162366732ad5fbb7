/* SPDX-License-Identifier: Apache-2.0 */
/* Source: YOLOv5 utils/general.py and ultralytics utils/ops.py, non_max_suppression(); torchvision
 * csrc/ops/cuda/nms_kernel.cu. Their sorts' temporaries are CUB's and are left out: they are
 * smaller than the matrix. */

#include "step/nms.h"

#include "step/math.h"

enum { SIDES = 4, COLUMNS = VB_DETECTION_COLUMNS, WORD_BITS = 64 };

static uint64_t words_of(uint64_t n)
{
    return (n + WORD_BITS - 1) / WORD_BITS;
}

uint64_t vb_nms_mask_bytes(uint64_t n)
{
    return n * words_of(n) * sizeof(uint64_t);
}

static uint32_t count_boxes(const struct vb_graph *graph)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_level *level = &graph->levels[i];
        n += level->grid_h * level->grid_w * (graph->head == VB_HEAD_V5 ? level->n_anchors : 1);
    }
    return n;
}

uint32_t vb_nms_pairs(const struct vb_graph *graph)
{
    uint64_t pairs = (uint64_t)count_boxes(graph) * graph->classes;
    return pairs < VB_MAX_NMS ? (uint32_t)pairs : VB_MAX_NMS;
}

/* torchvision.ops.nms() of `n` boxes: sorted by score, then the matrix. The indices are held. */
static struct vb_variable suppress(struct vb_tape *tape, uint32_t n)
{
    struct vb_variable sorted = vb_fresh(tape, "sort", VB_FLOAT32, VB_SHAPE(n));
    struct vb_variable order = vb_fresh(tape, "sort", VB_INT64, VB_SHAPE(n));
    vb_done(tape, sorted);
    struct vb_variable boxes = vb_fresh(tape, "index_select", VB_FLOAT32, VB_SHAPE(n, SIDES));
    struct vb_variable mask =
        vb_fresh(tape, "nms mask", VB_INT64, VB_SHAPE(n, (uint32_t)words_of(n)));
    struct vb_variable keep = vb_fresh(tape, "keep", VB_INT64, VB_SHAPE(n));
    struct vb_variable kept = vb_fresh(tape, "kept", VB_INT64, VB_SHAPE(n));
    struct vb_variable ended[] = { keep, mask, boxes, order };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return kept;
}

/* The rows above the threshold, their corners, and one row a pair of box and class: [pairs,6]. */
static struct vb_variable pairs_of_image(struct vb_tape *tape, const struct vb_graph *graph,
                                         enum vb_dtype dtype, uint32_t pairs)
{
    uint32_t all = count_boxes(graph), rows = all < pairs ? all : pairs;
    uint32_t width = graph->classes + SIDES + (graph->head == VB_HEAD_V5);
    struct vb_variable places = vb_fresh(tape, "nonzero", VB_INT64, VB_SHAPE(rows, 1));
    struct vb_variable x = vb_fresh(tape, "candidates", dtype, VB_SHAPE(rows, width));
    vb_done(tape, places);
    struct vb_variable box = vb_undefined;
    if (graph->head == VB_HEAD_V5)
        box = vb_fresh(tape, "corners", dtype, VB_SHAPE(rows, SIDES));
    struct vb_variable likely = vb_fresh(tape, "gt", VB_BOOL, VB_SHAPE(rows, graph->classes));
    struct vb_variable which = vb_fresh(tape, "nonzero", VB_INT64, VB_SHAPE(pairs, 2));
    vb_done(tape, likely);
    struct vb_variable corners = vb_fresh(tape, "index", dtype, VB_SHAPE(pairs, SIDES));
    vb_passing(tape, "column", VB_INT64, VB_SHAPE(pairs));
    struct vb_variable score = vb_fresh(tape, "index", dtype, VB_SHAPE(pairs, 1));
    struct vb_variable label = vb_fresh(tape, "label", VB_FLOAT32, VB_SHAPE(pairs, 1));
    struct vb_variable joined = vb_fresh(tape, "cat", VB_FLOAT32, VB_SHAPE(pairs, COLUMNS));
    struct vb_variable ended[] = { x, corners, score, label, box, which };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return joined;
}

/* Sorted by score; classes moved apart, so that one suppression serves all. */
static void suppress_image(struct vb_tape *tape, struct vb_variable joined)
{
    uint32_t n = joined.shape.dims[0];
    struct vb_variable values = vb_fresh(tape, "argsort", VB_FLOAT32, VB_SHAPE(n));
    struct vb_variable order = vb_fresh(tape, "argsort", VB_INT64, VB_SHAPE(n));
    vb_done(tape, values);
    struct vb_variable sorted = vb_fresh(tape, "index", VB_FLOAT32, VB_SHAPE(n, COLUMNS));
    vb_done(tape, joined);
    vb_done(tape, order);
    struct vb_variable shift = vb_fresh(tape, "shift", VB_FLOAT32, VB_SHAPE(n, 1));
    struct vb_variable boxes = vb_fresh(tape, "boxes", VB_FLOAT32, VB_SHAPE(n, SIDES));
    struct vb_variable kept = suppress(tape, n);
    struct vb_variable ended[] = { kept, boxes, shift, sorted };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
}

/* ultralytics brings all images' boxes to corners at once, v5 each image's. */
static void find_candidates(struct vb_tape *tape, const struct vb_graph *graph, enum vb_dtype dtype,
                            struct vb_variable *mask)
{
    uint32_t n = graph->batch, all = count_boxes(graph);
    if (graph->head == VB_HEAD_V5) {
        *mask = vb_fresh(tape, "candidates", VB_BOOL, VB_SHAPE(n, all));
        return;
    }
    struct vb_variable best = vb_fresh(tape, "amax", dtype, VB_SHAPE(n, all));
    *mask = vb_fresh(tape, "candidates", VB_BOOL, VB_SHAPE(n, all));
    vb_done(tape, best);
    struct vb_variable corners = vb_fresh(tape, "corners", dtype, VB_SHAPE(n, all, SIDES));
    struct vb_variable half = vb_fresh(tape, "half sides", dtype, VB_SHAPE(n, all, 2));
    vb_passing(tape, "sub", dtype, VB_SHAPE(n, all, 2));
    vb_passing(tape, "add", dtype, VB_SHAPE(n, all, 2));
    vb_done(tape, half);
    vb_done(tape, corners);
}

void vb_nms(struct vb_tape *tape, const struct vb_graph *graph, struct vb_variable decoded,
            struct vb_variable *kept)
{
    struct vb_variable mask = vb_undefined;
    if (graph->is_end_to_end) {
        *kept = vb_fresh(tape, "detections", VB_FLOAT32, decoded.shape);
        for (uint32_t i = 0; i < graph->batch; i++)
            vb_passing(tape, "gt", VB_BOOL, VB_SHAPE(decoded.shape.dims[1]));
        return;
    }
    uint32_t pairs = vb_nms_pairs(graph);
    uint32_t found = pairs < VB_MAX_DETECTIONS ? pairs : VB_MAX_DETECTIONS;
    find_candidates(tape, graph, decoded.dtype, &mask);
    *kept = vb_fresh(tape, "detections", VB_FLOAT32, VB_SHAPE(graph->batch, found, COLUMNS));
    for (uint32_t i = 0; i < graph->batch; i++)
        suppress_image(tape, pairs_of_image(tape, graph, decoded.dtype, pairs));
    vb_done(tape, mask);
}
