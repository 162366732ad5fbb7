/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv5's loss: boxes are matched to anchors and cells by shape alone, then CIoU on the matches,
 * binary cross entropy on their classes and on every cell's objectness. Names of the traced program
 * hold what they name until they are given something else or the function returns. */

#include <stddef.h>

#include "step/layers.h"
#include "step/loss.h"
#include "step/match_v5.h"
#include "step/math.h"
#include "step/upload.h"
#include "step/view.h"

/* What the parts count for: YOLOv5 v7.0, data/hyps/hyp.scratch-low.yaml (box, cls, obj; cls_pw and
 * obj_pw are 1, fl_gamma and label smoothing 0), scaled to levels, classes and image size as its
 * train.py does; each level's objectness as its utils/loss.py balances it, which has no more than
 * five levels. */
static const double box_gain = 0.05, class_gain = 0.5, objectness_gain = 1.0;
static const double balance_of_three[] = { 4.0, 1.0, 0.4 };
static const double balance_of_more[] = { 4.0, 1.0, 0.25, 0.06, 0.02 };
enum { MAX_LEVELS = 8, BALANCED = 5, NOMINAL_LEVELS = 3, NOMINAL_CLASSES = 80, NOMINAL_SIZE = 640 };

static double balance_of(const struct vb_graph *graph, uint32_t level)
{
    if (graph->n_levels == NOMINAL_LEVELS)
        return balance_of_three[level];
    return balance_of_more[level < BALANCED ? level : BALANCED - 1];
}

/* What the loss proper names. */
struct terms {
    struct vb_variable objectness_target, pxy, pwh, rest, classes, box, iou, class_target,
        objectness;
    struct vb_variable class_loss, box_loss, objectness_loss;
    const struct vb_loss_constants *constants;
};
enum { N_TERMS = offsetof(struct terms, constants) / sizeof(struct vb_variable) };

/* x.sigmoid() * 2 */
static struct vb_variable twice_sigmoid(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable probability = vb_unary(tape, VB_OP_SIGMOID, x, 0);
    struct vb_variable twice = vb_unary(tape, VB_OP_MUL_NUMBER, probability, 2);
    vb_done(tape, probability);
    return twice;
}

/* Where the matches are in a prediction: image, anchor, row and column. */
enum { N_INDICES = 4 };
static void indices_of(const struct vb_match *match, struct vb_variable *indices)
{
    indices[0] = vb_at(match->image_and_label, 1, 0);
    indices[1] = match->anchor;
    indices[2] = vb_at(match->cell, 1, 1);
    indices[3] = vb_at(match->cell, 1, 0);
}

/* The matched predictions, their boxes decoded. */
static void decode(struct vb_tape *tape, struct terms *terms, struct vb_variable prediction,
                   const struct vb_match *match, uint32_t classes)
{
    uint32_t n = match->count.n;
    struct vb_variable indices[N_INDICES];
    struct vb_variable views[4];
    uint32_t sizes[] = { 2, 2, 1, classes };

    indices_of(match, indices);
    struct vb_variable rows =
        vb_index(tape, prediction, indices, N_INDICES, &VB_SHAPE(n, classes + 5));
    vb_split(tape, rows, 1, sizes, 4, views);
    vb_done(tape, rows);
    vb_tape_assign(tape, &terms->pxy, views[0]);
    vb_tape_assign(tape, &terms->pwh, views[1]);
    vb_tape_assign(tape, &terms->rest, views[2]);
    vb_tape_assign(tape, &terms->classes, views[3]);

    struct vb_variable twice = twice_sigmoid(tape, terms->pxy);
    struct vb_variable centre = vb_unary(tape, VB_OP_ADD_NUMBER, twice, -0.5);
    vb_done(tape, twice);
    vb_tape_assign(tape, &terms->pxy, centre);
    twice = twice_sigmoid(tape, terms->pwh);
    struct vb_variable square = vb_unary(tape, VB_OP_POWER, twice, 2);
    vb_done(tape, twice);
    struct vb_variable size = vb_binary(tape, VB_OP_MUL, square, match->anchor_size);
    vb_done(tape, square);
    vb_tape_assign(tape, &terms->pwh, size);
    const struct vb_variable pair[] = { terms->pxy, terms->pwh };
    vb_tape_assign(tape, &terms->box, vb_concat(tape, pair, 2, 1));
}

/* CIoU's loss; what is left of it without a gradient becomes the objectness that is wanted. */
static void box_term(struct vb_tape *tape, struct terms *terms, const struct vb_match *match,
                     enum vb_dtype dtype)
{
    struct vb_variable column = vb_ciou(tape, terms->box, match->box, false);
    vb_tape_assign(tape, &terms->iou, vb_view(tape, column, &VB_SHAPE(match->count.n)));
    vb_done(tape, column);
    struct vb_variable missing = vb_unary(tape, VB_OP_SUBTRACT_FROM, terms->iou, 1);
    struct vb_variable mean = vb_mean(tape, missing);
    vb_done(tape, missing);
    vb_add_in_place(tape, &terms->box_loss, mean);
    vb_done(tape, mean);

    struct vb_variable detached = terms->iou;
    detached.requires_grad = false;
    struct vb_variable clamped = vb_unary(tape, VB_OP_CLAMP, detached, 0);
    struct vb_variable typed = vb_tape_cast(tape, clamped, dtype);
    vb_done(tape, clamped);
    vb_tape_assign(tape, &terms->iou, typed);
    struct vb_variable put[N_INDICES + 2] = { typed };
    indices_of(match, put + 1);
    put[N_INDICES + 1] = terms->objectness_target;
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_INDEX_PUT }, put, N_INDICES + 2);
}

static void class_term(struct vb_tape *tape, struct terms *terms, const struct vb_match *match)
{
    const struct vb_call count = { .op = VB_OP_RANGE, .b = 1 };
    struct vb_variable target =
        vb_filled(tape, "class_target", 0, terms->classes.dtype, terms->classes.shape);
    vb_tape_assign(tape, &terms->class_target, target);
    struct vb_variable one = vb_filled(tape, "one", 1, target.dtype, VB_SCALAR);
    struct vb_variable rows =
        vb_make_named(tape, "range", &count, &VB_SHAPE(match->count.n), VB_INT64, NULL, 0);
    struct vb_variable put[] = { one, rows, vb_at(match->image_and_label, 1, 1), target };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_INDEX_PUT }, put, 4);
    vb_done(tape, rows);
    vb_done(tape, one);
    struct vb_variable mean =
        vb_bce_mean(tape, terms->classes, terms->class_target, terms->constants->class_weight);
    vb_add_in_place(tape, &terms->class_loss, mean);
    vb_done(tape, mean);
}

static void level_terms(struct vb_tape *tape, struct terms *terms, struct vb_variable prediction,
                        const struct vb_match *match, uint32_t classes, double balance)
{
    const uint32_t *dims = prediction.shape.dims;
    struct vb_variable wanted = vb_filled(tape, "objectness_target", 0, prediction.dtype,
                                          VB_SHAPE(dims[0], dims[1], dims[2], dims[3]));
    vb_tape_assign(tape, &terms->objectness_target, wanted);
    if (match->count.n > 0) {
        decode(tape, terms, prediction, match, classes);
        box_term(tape, terms, match, prediction.dtype);
        class_term(tape, terms, match);
    }
    struct vb_variable logits = vb_select_last(tape, prediction, 4);
    struct vb_variable mean =
        vb_bce_mean(tape, logits, terms->objectness_target, terms->constants->objectness_weight);
    vb_done(tape, logits);
    vb_tape_assign(tape, &terms->objectness, mean);
    struct vb_variable balanced = vb_unary(tape, VB_OP_MUL_NUMBER, mean, balance);
    vb_add_in_place(tape, &terms->objectness_loss, balanced);
    vb_done(tape, balanced);
}

/* The parts beside each other, without their history. */
static struct vb_variable list_parts(struct vb_tape *tape, const struct terms *terms)
{
    const struct vb_variable parts[] = { terms->box_loss, terms->objectness_loss,
                                         terms->class_loss };
    struct vb_variable items = vb_tape_new(tape, "loss_items", &VB_SHAPE(3), VB_FLOAT32);
    for (uint32_t i = 0; i < 3; i++)
        vb_tape_copy(tape, parts[i], vb_stretch_of(items, 0, i, 1));
    return items;
}

/* The parts weighted, added up and scaled by the batch. */
static struct vb_loss total(struct vb_tape *tape, struct terms *terms, const struct vb_graph *graph)
{
    struct vb_loss loss = { .parts = vb_undefined };
    double levels = (double)NOMINAL_LEVELS / graph->n_levels;
    double size = (double)graph->imgsz / NOMINAL_SIZE;
    double classes = (double)graph->classes / NOMINAL_CLASSES;
    vb_scale_in_place(tape, &terms->box_loss, box_gain * levels);
    vb_scale_in_place(tape, &terms->objectness_loss, objectness_gain * size * size * levels);
    vb_scale_in_place(tape, &terms->class_loss, class_gain * classes * levels);
    struct vb_variable two = vb_binary(tape, VB_OP_ADD, terms->box_loss, terms->objectness_loss);
    struct vb_variable three = vb_binary(tape, VB_OP_ADD, two, terms->class_loss);
    vb_done(tape, two);
    loss.total = vb_unary(tape, VB_OP_MUL_NUMBER, three, graph->batch);
    vb_done(tape, three);
    loss.items = list_parts(tape, terms);
    return loss;
}

struct vb_loss vb_loss_v5(struct vb_tape *tape, const struct vb_graph *graph,
                          const struct vb_variable *predictions, const struct vb_targets *targets,
                          const struct vb_loss_constants *constants)
{
    struct vb_match matches[MAX_LEVELS];
    struct terms terms = { .constants = constants };
    struct vb_variable *all = &terms.objectness_target;
    for (size_t i = 0; i < N_TERMS; i++)
        all[i] = vb_undefined;

    struct vb_variable boxes = vb_upload_boxes(tape, targets, graph->classes);
    terms.class_loss = vb_filled(tape, "class_loss", 0, VB_FLOAT32, VB_SHAPE(1));
    terms.box_loss = vb_filled(tape, "box_loss", 0, VB_FLOAT32, VB_SHAPE(1));
    terms.objectness_loss = vb_filled(tape, "objectness_loss", 0, VB_FLOAT32, VB_SHAPE(1));
    vb_match_targets(tape, graph, targets, boxes, constants->anchors, matches);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        level_terms(tape, &terms, predictions[i], &matches[i], graph->classes,
                    balance_of(graph, i));
    struct vb_loss loss = total(tape, &terms, graph);

    for (uint32_t i = 0; i < graph->n_levels; i++) {
        struct vb_variable handed[] = { matches[i].image_and_label, matches[i].anchor,
                                        matches[i].cell, matches[i].box, matches[i].anchor_size };
        for (size_t k = 0; k < sizeof handed / sizeof *handed; k++)
            vb_tape_drop(tape, handed[k]);
    }
    for (size_t i = 0; i < N_TERMS; i++)
        vb_tape_drop(tape, all[i]);
    vb_tape_drop(tape, boxes);
    return loss;
}
