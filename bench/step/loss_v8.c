/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv8's loss, and YOLOv10's and YOLO26's, which are two of them: all anchors' predictions side
 * by side, boxes as distributions over distances (YOLO26's as distances), the assigner's targets,
 * then binary cross entropy on every class score, and the loss of the boxes. Names of the traced
 * program hold what they name until they are given something else or the function returns. */

#include <math.h>

#include "step/anchors.h"
#include "step/assign.h"
#include "step/box_loss.h"
#include "step/layers.h"
#include "step/loss.h"
#include "step/loss_tasks.h"
#include "step/math.h"
#include "step/view.h"

enum { MAX_LEVELS = 8, MAX_TERMS = 5 };

/* topk of ultralytics' assigners: YOLOv10's second, and YOLO26's, whose topk2 is 1. */
enum { ONE_TO_MANY = 10, ONE_TO_ONE = 1, FEW_TO_ONE = 7 };

/* What YOLO26's two losses count for before the first epoch has ended (ultralytics 8.4's E2ELoss).
 */
static const double share_of_many = 0.8, share_of_one = 0.2;

/* A task's terms, where which stands in its vector, and what each counts for: ultralytics 8.3's
 * cfg/default.yaml (box, cls, dfl, pose, kobj; masks count as boxes do). */
struct terms {
    uint32_t n, box, scores, distribution;
    double gains[MAX_TERMS];
};
static const struct terms terms_of[VB_N_TASKS] = {
    [VB_TASK_DETECT] = { 3, 0, 1, 2, { 7.5, 0.5, 1.5 } },
    [VB_TASK_SEGMENT] = { 4, 0, 2, 3, { 7.5, 7.5, 0.5, 1.5 } },
    [VB_TASK_POSE] = { 5, 0, 3, 4, { 7.5, 12, 1, 0.5, 1.5 } },
    [VB_TASK_OBB] = { 3, 0, 1, 2, { 7.5, 0.5, 1.5 } },
};
enum { OWN_TERM = 1 }; /* a task's own follow the boxes' */

/* What the loss names. */
struct names {
    struct vb_variable loss, scores, distances, image_size, centres, strides, boxes_known, valid,
        boxes;
    struct vb_variable score_sum; /* of what is wanted: every term is divided by it */
    struct vb_variable own;       /* [N,anchors,k]: coefficients, keypoints, angles */
};

static uint32_t count_anchors(const struct vb_graph *graph)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_levels; i++)
        n += graph->levels[i].grid_h * graph->levels[i].grid_w;
    return n;
}

/* [N,anchors,k] from one half of the levels' channels: a permuted view, copied into order. */
static struct vb_variable last_axis(struct vb_tape *tape, struct vb_variable channels)
{
    struct vb_variable view = vb_permute(tape, channels, (uint32_t[]){ 0, 2, 1 });
    struct vb_variable copy = vb_contiguous(tape, view);
    vb_done(tape, view);
    return copy;
}

static void side_by_side(struct vb_tape *tape, const struct vb_graph *graph,
                         const struct vb_variable *predictions, struct names *names)
{
    struct vb_variable flat[MAX_LEVELS];
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const uint32_t *dims = predictions[i].shape.dims;
        flat[i] = vb_view(tape, predictions[i], &VB_SHAPE(dims[0], dims[1], dims[2] * dims[3]));
    }
    struct vb_variable all = vb_concat(tape, flat, graph->n_levels, 2);
    struct vb_variable halves[2];
    vb_split(tape, all, 1, (uint32_t[]){ VB_SIDES * graph->bins, graph->classes }, 2, halves);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        vb_done(tape, flat[i]);
    vb_done(tape, all);
    names->scores = last_axis(tape, halves[1]);
    names->distances = last_axis(tape, halves[0]);
    vb_done(tape, halves[0]);
    vb_done(tape, halves[1]);
}

/* Height and width of the images: those of the finest level, in pixels. */
static struct vb_variable image_size_of(struct vb_tape *tape, const struct vb_graph *graph,
                                        enum vb_dtype dtype)
{
    const struct vb_level *level = &graph->levels[0];
    const uint32_t sides[] = { level->grid_h, level->grid_w };
    const struct vb_call scale = { .op = VB_OP_MUL_NUMBER, .a = level->stride };
    struct vb_variable cells = vb_tape_new(tape, "cells", &VB_SHAPE(2), dtype);
    for (uint32_t i = 0; i < 2; i++)
        vb_tape_fill(tape, vb_stretch_of(cells, 0, i, 1), sides[i]);
    struct vb_variable size =
        vb_make_named(tape, "image_size", &scale, &cells.shape, dtype, &cells, 1);
    vb_done(tape, cells);
    return size;
}

/* What the task predicts beside boxes and scores. A head of oriented boxes ends with angles from a
 * quarter of a turn below to three above, which are made here. */
static void prepare_own(struct vb_tape *tape, const struct vb_graph *graph,
                        const struct vb_variable *predictions, struct names *names)
{
    if (graph->n_extras == 0)
        return;
    struct vb_variable x =
        vb_tape_hold(tape, predictions[vb_n_predictions(graph) - graph->n_extras]);
    if (graph->task == VB_TASK_OBB) {
        vb_tape_assign(tape, &x, vb_unary(tape, VB_OP_SIGMOID, x, 0));
        vb_tape_assign(tape, &x, vb_unary(tape, VB_OP_ADD_NUMBER, x, -0.25));
        vb_tape_assign(tape, &x, vb_unary(tape, VB_OP_MUL_NUMBER, x, M_PI));
    }
    names->own = last_axis(tape, x);
    vb_done(tape, x);
}

/* Cell centres and strides of all anchors, and the boxes padded to as many an image. */
static void prepare(struct vb_tape *tape, struct vb_assignment *s, const struct vb_graph *graph,
                    const struct vb_targets *targets, struct names *names)
{
    enum vb_dtype dtype = names->scores.dtype;
    names->image_size = image_size_of(tape, graph, dtype);
    vb_make_anchors(tape, graph, dtype, &names->centres, &names->strides);
    names->boxes_known = vb_pad_boxes(tape, graph, targets, names->image_size);
    struct vb_variable corners = vb_stretch_of(names->boxes_known, 2, 1, s->sides);
    names->valid = vb_make_named(tape, "valid", &(struct vb_call){ .op = VB_OP_SUM },
                                 &VB_SHAPE(s->batch, s->boxes, 1), VB_FLOAT32, &corners, 1);
    struct vb_variable both[] = { names->valid, names->valid };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_GREATER_NUMBER }, both, 2);
    vb_cpu_number(tape, VB_FLOAT32);
    s->centres = names->centres;
    s->strides = names->strides;
    s->known = names->boxes_known;
    s->valid = names->valid;
    s->n_inside = vb_targets_count_inside(targets, graph, dtype);
}

/* Each side's distance is the mean of its distribution, or what was predicted itself. */
static struct vb_variable means_of(struct vb_tape *tape, const struct vb_assignment *s,
                                   struct vb_variable distances, struct vb_variable projection)
{
    if (distances.shape.dims[2] == VB_SIDES)
        return vb_tape_hold(tape, distances);
    struct vb_variable bins =
        vb_view(tape, distances, &VB_SHAPE(s->batch, s->anchors, VB_SIDES, VB_BINS));
    struct vb_variable likely = vb_softmax(tape, bins);
    vb_done(tape, bins);
    struct vb_variable mean = vb_matvec(tape, likely, projection);
    vb_done(tape, likely);
    return mean;
}

static void join_corners(struct vb_tape *tape, struct names *names, struct vb_variable mean)
{
    struct vb_variable halves[2];
    vb_split(tape, mean, 2, (uint32_t[]){ 2, 2 }, 2, halves);
    struct vb_variable corners[2] = { vb_binary(tape, VB_OP_SUB, names->centres, halves[0]),
                                      vb_binary(tape, VB_OP_ADD, names->centres, halves[1]) };
    names->boxes = vb_concat(tape, corners, 2, 2);
    vb_done(tape, halves[0]);
    vb_done(tape, halves[1]);
    vb_done(tape, corners[0]);
    vb_done(tape, corners[1]);
}

/* Boxes from the distances. */
static void decode(struct vb_tape *tape, const struct vb_assignment *s, struct names *names,
                   struct vb_variable projection)
{
    struct vb_variable mean = means_of(tape, s, names->distances, projection);
    if (s->sides == VB_ORIENTED)
        names->boxes = vb_decode_rotated(tape, mean, names->own, names->centres);
    else
        join_corners(tape, names, mean);
    vb_done(tape, mean);
}

static void score_term(struct vb_tape *tape, const struct vb_assignment *s,
                       const struct terms *terms, struct names *names)
{
    struct vb_variable typed = vb_tape_cast(tape, s->scores_wanted, names->scores.dtype);
    struct vb_variable each = vb_bce(tape, names->scores, typed);
    vb_done(tape, typed);
    struct vb_variable part = vb_share(tape, each, names->score_sum);
    vb_set_entry(tape, &names->loss, terms->scores, part);
    vb_done(tape, part);
}

/* What is wanted is brought to cells; for poses and oriented boxes in place. */
static void box_terms(struct vb_tape *tape, const struct vb_assignment *s,
                      const struct terms *terms, bool in_place, struct names *names)
{
    struct vb_variable in_cells = in_place
                                      ? vb_tape_hold(tape, s->boxes_wanted)
                                      : vb_binary(tape, VB_OP_DIV, s->boxes_wanted, s->strides);
    struct vb_box_loss parts = vb_box_loss(tape, s, names->distances, names->boxes, in_cells,
                                           names->score_sum, names->image_size);
    vb_done(tape, in_cells);
    vb_set_entry(tape, &names->loss, terms->box, parts.iou);
    vb_set_entry(tape, &names->loss, terms->distribution, parts.distribution);
    vb_done(tape, parts.iou);
    vb_done(tape, parts.distribution);
}

/* max(scores_wanted.sum(), 1) */
static struct vb_variable sum_scores(struct vb_tape *tape, const struct vb_assignment *s)
{
    struct vb_variable sum = vb_sum(tape, s->scores_wanted);
    struct vb_variable both[] = { sum, sum };
    vb_done(tape, vb_unary(tape, VB_OP_LESS_NUMBER, sum, 1));
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_CLAMP, .a = 1, .b = HUGE_VAL }, both, 2);
    return sum;
}

/* The task's own terms. Where the trainer did not upload their labels with the batch they are
 * uploaded here. */
static void own_terms(struct vb_tape *tape, const struct vb_own *given, struct names *names)
{
    struct vb_variable parts[2] = { vb_undefined, vb_undefined };
    struct vb_own own = *given;
    own.labels = vb_is_defined(&given->labels) ? vb_tape_hold(tape, given->labels)
                                               : vb_upload_own(tape, own.graph, own.targets);
    if (own.graph->task == VB_TASK_SEGMENT)
        parts[0] = vb_mask_part(tape, &own);
    if (own.graph->task == VB_TASK_POSE)
        vb_keypoint_parts(tape, &own, &parts[0], &parts[1]);
    vb_done(tape, own.labels);
    for (uint32_t i = 0; i < 2; i++) {
        if (vb_is_defined(&parts[i]))
            vb_set_entry(tape, &names->loss, OWN_TERM + i, parts[i]);
        vb_done(tape, parts[i]);
    }
}

static void all_terms(struct vb_tape *tape, const struct vb_own *own, struct names *names)
{
    const struct vb_assignment *s = own->assignment;
    const struct terms *terms = &terms_of[own->graph->task];
    bool in_place = own->graph->task == VB_TASK_POSE || own->graph->task == VB_TASK_OBB;
    names->score_sum = sum_scores(tape, s);
    score_term(tape, s, terms, names);
    vb_done(tape, vb_count(tape, s->foreground));
    if (s->n_foreground > 0) {
        box_terms(tape, s, terms, in_place, names);
        own_terms(tape, own, names);
    }
    for (uint32_t i = 0; i < terms->n; i++)
        vb_scale_entry(tape, &names->loss, i, terms->gains[i]);
}

/* One head's assigner: how many anchors a box may have, and how many there are in all. */
struct rules {
    uint32_t top_k, top_k_last, n_foreground;
};

static struct vb_assignment sizes_of(const struct vb_graph *graph, const struct vb_targets *targets,
                                     const struct rules *rules)
{
    uint32_t anchors = count_anchors(graph), most = graph->batch * anchors;
    return (struct vb_assignment){
        .batch = graph->batch,
        .anchors = anchors,
        .classes = graph->classes,
        .boxes = targets->most_in_an_image,
        .top_k = rules->top_k,
        .top_k_last = rules->top_k_last,
        .sides = graph->task == VB_TASK_OBB ? VB_ORIENTED : VB_CORNERS,
        .n_foreground = rules->n_foreground < most ? rules->n_foreground : most,
    };
}

/* What the function returns, and its other names end. */
static struct vb_loss hand_over(struct vb_tape *tape, const struct vb_assignment *s,
                                const struct names *names)
{
    const struct vb_variable *all = &names->loss;
    struct vb_loss loss = { .total = vb_undefined };
    loss.parts = vb_unary(tape, VB_OP_MUL_NUMBER, names->loss, s->batch);
    loss.items = vb_tape_hold(tape, names->loss);
    loss.items.node = VB_NONE;
    loss.items.requires_grad = false;
    struct vb_variable handed[] = { s->boxes_wanted, s->scores_wanted, s->foreground, s->which };
    for (size_t i = 0; i < sizeof handed / sizeof *handed; i++)
        vb_tape_drop(tape, handed[i]);
    for (size_t i = 0; i < sizeof *names / sizeof *all; i++)
        vb_tape_drop(tape, all[i]);
    return loss;
}

static struct vb_loss loss_of(struct vb_tape *tape, const struct vb_graph *graph,
                              const struct vb_variable *predictions,
                              const struct vb_targets *targets, const struct rules *rules,
                              struct vb_variable projection, struct vb_variable labels)
{
    struct vb_assignment s = sizes_of(graph, targets, rules);
    struct names names;
    struct vb_variable *all = &names.loss;
    for (size_t i = 0; i < sizeof names / sizeof *all; i++)
        all[i] = vb_undefined;
    names.loss = vb_filled(tape, "loss_items", 0, VB_FLOAT32, VB_SHAPE(terms_of[graph->task].n));
    side_by_side(tape, graph, predictions, &names);
    prepare_own(tape, graph, predictions, &names);
    prepare(tape, &s, graph, targets, &names);
    decode(tape, &s, &names, projection);
    if (graph->task == VB_TASK_POSE)
        names.own = vb_decode_keypoints(tape, graph, names.own);
    vb_assign_targets(tape, &s, names.scores, names.boxes);
    const struct vb_own own = { .graph = graph,
                                .targets = targets,
                                .assignment = &s,
                                .values = names.own,
                                .prototypes = predictions[vb_n_predictions(graph) - 1],
                                .labels = labels };
    all_terms(tape, &own, &names);
    return hand_over(tape, &s, &names);
}

static void make_projection(struct vb_tape *tape, uint32_t bins, struct vb_variable *projection)
{
    if (!vb_is_defined(projection))
        *projection =
            vb_make_named(tape, "projection", &(struct vb_call){ .op = VB_OP_RANGE, .b = 1 },
                          &VB_SHAPE(bins), VB_FLOAT32, NULL, 0);
}

/* Both losses are held until the sums are made. */
static struct vb_loss sum_losses(struct vb_tape *tape, struct vb_loss many, struct vb_loss one)
{
    struct vb_loss sum = { .total = vb_undefined };
    sum.parts = vb_binary(tape, VB_OP_ADD, many.parts, one.parts);
    sum.items = vb_binary(tape, VB_OP_ADD, many.items, one.items);
    struct vb_variable ended[] = { many.parts, many.items, one.parts, one.items };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return sum;
}

/* The same by their shares; what is logged is the second's. */
static struct vb_loss weigh_losses(struct vb_tape *tape, struct vb_loss many, struct vb_loss one)
{
    struct vb_loss sum = { .total = vb_undefined, .items = one.items };
    struct vb_variable most = vb_unary(tape, VB_OP_MUL_NUMBER, many.parts, share_of_many);
    struct vb_variable rest = vb_unary(tape, VB_OP_MUL_NUMBER, one.parts, share_of_one);
    sum.parts = vb_binary(tape, VB_OP_ADD, most, rest);
    struct vb_variable ended[] = { most, rest, many.parts, many.items, one.parts };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return sum;
}

struct vb_loss vb_loss_v8(struct vb_tape *tape, const struct vb_graph *graph,
                          const struct vb_variable *predictions, const struct vb_targets *targets,
                          struct vb_loss_constants *constants)
{
    bool is_weighed = graph->bins == 1;
    const struct rules of_many = { ONE_TO_MANY, 0, targets->n_foreground };
    const struct rules of_one = { is_weighed ? FEW_TO_ONE : ONE_TO_ONE, is_weighed ? 1 : 0,
                                  targets->n_one_to_one };
    make_projection(tape, graph->bins, &constants->projection);
    if (graph->is_end_to_end)
        make_projection(tape, graph->bins, &constants->projection_one_to_one);
    struct vb_loss many = loss_of(tape, graph, predictions, targets, &of_many,
                                  constants->projection, constants->labels);
    if (!graph->is_end_to_end)
        return many;
    struct vb_loss one = loss_of(tape, graph, predictions + graph->n_levels, targets, &of_one,
                                 constants->projection_one_to_one, constants->labels);
    return is_weighed ? weigh_losses(tape, many, one) : sum_losses(tape, many, one);
}
