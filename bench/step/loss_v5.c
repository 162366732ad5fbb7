/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv5's loss: boxes are matched to anchors and cells by shape alone, then CIoU on the matches,
 * binary cross entropy on their classes and on every cell's objectness. Names of the traced program
 * hold what they name until they are given something else or the function returns. */

#include <stddef.h>

#include "step/layers.h"
#include "step/loss.h"
#include "step/math.h"

enum { COLUMNS = 7, MAX_LEVELS = 8, OFFSETS = 5 };

/* What matching names, level after level. */
struct names {
    struct vb_variable targets, gain, anchor_index;
    struct vb_variable t, r, j, k, l, m, gxy, gxi, gwh, bc, offsets;
};

/* What it hands on, one a level. */
struct match {
    struct vb_matches count;
    struct vb_variable image_and_label, anchor, cell; /* int64: [n,2], [n], [n,2] */
    struct vb_variable box;                           /* [n,4] */
    struct vb_variable anchor_size;                   /* [n,2] */
};

static struct vb_variable fresh(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                                struct vb_shape shape)
{
    return vb_tape_new(tape, what, &shape, dtype);
}

/* A short-lived tensor: there and gone. */
static void passing(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                    struct vb_shape shape)
{
    vb_tape_drop(tape, fresh(tape, what, dtype, shape));
}

/* The boxes once for each anchor, with the anchor's number as a last column. */
static void repeat_for_anchors(struct vb_tape *tape, struct names *names, uint32_t n_anchors,
                               uint32_t n)
{
    names->gain = fresh(tape, "gain", VB_FLOAT32, VB_SHAPE(COLUMNS));
    struct vb_variable range = fresh(tape, "arange", VB_INT64, VB_SHAPE(n_anchors));
    struct vb_variable real = fresh(tape, "arange", VB_FLOAT32, VB_SHAPE(n_anchors));
    vb_done(tape, range);
    names->anchor_index = fresh(tape, "anchor_index", VB_FLOAT32, VB_SHAPE(n_anchors, n));
    vb_done(tape, real);
    struct vb_variable repeated =
        fresh(tape, "repeat", VB_FLOAT32, VB_SHAPE(n_anchors, n, COLUMNS - 1));
    names->targets = fresh(tape, "targets", VB_FLOAT32, VB_SHAPE(n_anchors, n, COLUMNS));
    vb_done(tape, repeated);
    passing(tape, "offsets", VB_INT64, VB_SHAPE(OFFSETS, 2));
}

/* t: the boxes in cells of this level, those whose shape is within 4 times the anchor's. */
static void match_shapes(struct vb_tape *tape, struct names *names, uint32_t n_anchors, uint32_t n,
                         uint32_t n_matched)
{
    vb_tape_assign(tape, &names->t, vb_binary(tape, VB_OP_MUL, names->targets, names->gain));
    vb_tape_assign(tape, &names->r, fresh(tape, "ratio", VB_FLOAT32, VB_SHAPE(n_anchors, n, 2)));
    struct vb_variable inverse = vb_unary(tape, VB_OP_RECIPROCAL, names->r, 0);
    struct vb_variable scaled = vb_unary(tape, VB_OP_MUL_NUMBER, inverse, 0);
    vb_done(tape, inverse);
    struct vb_variable larger = vb_binary(tape, VB_OP_MAXIMUM, names->r, scaled);
    vb_done(tape, scaled);
    struct vb_variable worst = fresh(tape, "max", VB_FLOAT32, VB_SHAPE(n_anchors, n));
    struct vb_variable which = fresh(tape, "max", VB_INT64, VB_SHAPE(n_anchors, n));
    vb_done(tape, larger);
    vb_done(tape, which);
    struct vb_variable mask = vb_unary(tape, VB_OP_LESS_NUMBER, worst, 0);
    vb_done(tape, worst);
    vb_tape_assign(tape, &names->j, mask);
    vb_tape_assign(tape, &names->t,
                   vb_mask(tape, names->t, names->j, n_matched, &VB_SHAPE(n_matched, COLUMNS)));
}

/* (x % 1 < 0.5) & (x > 1), its two columns under two names. */
static void nearest_cells(struct vb_tape *tape, struct vb_variable x, struct vb_variable *first,
                          struct vb_variable *second)
{
    struct vb_variable rest = vb_unary(tape, VB_OP_REMAINDER, x, 1);
    struct vb_variable low = vb_unary(tape, VB_OP_LESS_NUMBER, rest, 0);
    vb_done(tape, rest);
    struct vb_variable inside = vb_unary(tape, VB_OP_LESS_NUMBER, x, 0);
    struct vb_variable both = vb_binary(tape, VB_OP_AND, low, inside);
    vb_done(tape, low);
    vb_done(tape, inside);
    vb_tape_assign(tape, first, both);
    vb_tape_assign(tape, second, vb_tape_hold(tape, both));
}

static struct vb_variable column_pair(struct vb_tape *tape, struct vb_variable t, uint32_t n)
{
    struct vb_variable view = vb_tape_hold(tape, t);
    view.shape = VB_SHAPE(n, 2);
    return view;
}

/* t: each match also for the neighbouring cells that its centre is nearest to. */
static void match_neighbours(struct vb_tape *tape, struct names *names, uint32_t n_matched,
                             uint32_t n)
{
    vb_tape_assign(tape, &names->gxy, column_pair(tape, names->t, n_matched));
    struct vb_variable order = fresh(tape, "order", VB_INT64, VB_SHAPE(2));
    struct vb_variable size = fresh(tape, "index", VB_FLOAT32, VB_SHAPE(2));
    vb_done(tape, order);
    struct vb_variable mirrored = vb_binary(tape, VB_OP_SUB, names->gxy, size);
    vb_done(tape, size);
    vb_tape_assign(tape, &names->gxi, mirrored);
    nearest_cells(tape, names->gxy, &names->j, &names->k);
    nearest_cells(tape, names->gxi, &names->l, &names->m);

    struct vb_variable ones = fresh(tape, "ones", VB_BOOL, VB_SHAPE(n_matched));
    struct vb_variable stack = fresh(tape, "stack", VB_BOOL, VB_SHAPE(OFFSETS, n_matched));
    vb_done(tape, ones);
    vb_tape_assign(tape, &names->j, stack);
    struct vb_variable repeated =
        fresh(tape, "repeat", VB_FLOAT32, VB_SHAPE(OFFSETS, n_matched, COLUMNS));
    struct vb_variable t = vb_mask(tape, repeated, names->j, n, &VB_SHAPE(n, COLUMNS));
    vb_done(tape, repeated);
    vb_tape_assign(tape, &names->t, t);

    struct vb_variable zeros = vb_unary(tape, VB_OP_FILL, names->gxy, 0);
    struct vb_variable shifts = fresh(tape, "add", VB_FLOAT32, VB_SHAPE(OFFSETS, n_matched, 2));
    vb_done(tape, zeros);
    struct vb_variable offsets = vb_mask(tape, shifts, names->j, n, &VB_SHAPE(n, 2));
    vb_done(tape, shifts);
    vb_tape_assign(tape, &names->offsets, offsets);
}

/* Whole numbers for the indices, the box relative to its cell, the anchor's size. */
static void collect(struct vb_tape *tape, struct names *names, uint32_t n, struct match *match)
{
    vb_tape_assign(tape, &names->bc, column_pair(tape, names->t, n));
    vb_tape_assign(tape, &names->gxy, column_pair(tape, names->t, n));
    vb_tape_assign(tape, &names->gwh, column_pair(tape, names->t, n));
    match->anchor = fresh(tape, "long", VB_INT64, VB_SHAPE(n));
    match->image_and_label = fresh(tape, "long", VB_INT64, VB_SHAPE(n, 2));
    vb_tape_assign(tape, &names->bc, vb_undefined);
    struct vb_variable moved = vb_binary(tape, VB_OP_SUB, names->gxy, names->offsets);
    match->cell = fresh(tape, "long", VB_INT64, VB_SHAPE(n, 2));
    vb_done(tape, moved);
    struct vb_variable within = vb_tape_new(tape, "sub", &VB_SHAPE(n, 2), VB_FLOAT32);
    match->box = fresh(tape, "box", VB_FLOAT32, VB_SHAPE(n, 4));
    vb_done(tape, within);
    match->anchor_size = fresh(tape, "anchor", VB_FLOAT32, VB_SHAPE(n, 2));
}

static void match_targets(struct vb_tape *tape, const struct vb_graph *graph,
                          const struct vb_targets *targets, struct match *matches)
{
    struct names names;
    struct vb_variable *all = &names.targets;
    size_t n_names = sizeof names / sizeof *all;
    for (size_t i = 0; i < n_names; i++)
        all[i] = vb_undefined;

    repeat_for_anchors(tape, &names, graph->levels[0].n_anchors, targets->n);
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_level *level = &graph->levels[i];
        matches[i].count = vb_targets_match(targets, level);
        match_shapes(tape, &names, level->n_anchors, targets->n, matches[i].count.n_anchor_boxes);
        match_neighbours(tape, &names, matches[i].count.n_anchor_boxes, matches[i].count.n);
        collect(tape, &names, matches[i].count.n, &matches[i]);
    }
    for (size_t i = 0; i < n_names; i++)
        vb_tape_drop(tape, all[i]);
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
    struct vb_variable twice = vb_unary(tape, VB_OP_MUL_NUMBER, probability, 0);
    vb_done(tape, probability);
    return twice;
}

/* The matched predictions, their boxes decoded. */
static void decode(struct vb_tape *tape, struct terms *terms, struct vb_variable prediction,
                   const struct match *match, uint32_t classes)
{
    uint32_t n = match->count.n;
    const struct vb_variable indices[] = { match->image_and_label, match->anchor, match->cell };
    struct vb_variable views[4];
    uint32_t sizes[] = { 2, 2, 1, classes };

    struct vb_variable rows = vb_index(tape, prediction, indices, 3, &VB_SHAPE(n, classes + 5));
    vb_split(tape, rows, 1, sizes, 4, views);
    vb_done(tape, rows);
    vb_tape_assign(tape, &terms->pxy, views[0]);
    vb_tape_assign(tape, &terms->pwh, views[1]);
    vb_tape_assign(tape, &terms->rest, views[2]);
    vb_tape_assign(tape, &terms->classes, views[3]);

    struct vb_variable twice = twice_sigmoid(tape, terms->pxy);
    struct vb_variable centre = vb_unary(tape, VB_OP_ADD_NUMBER, twice, 0);
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
static void box_term(struct vb_tape *tape, struct terms *terms, const struct match *match,
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
}

static void class_term(struct vb_tape *tape, struct terms *terms, uint32_t n)
{
    struct vb_variable target =
        vb_tape_new(tape, "class_target", &terms->classes.shape, terms->classes.dtype);
    vb_tape_assign(tape, &terms->class_target, target);
    struct vb_variable one = vb_tape_new(tape, "one", &(struct vb_shape){ 0 }, target.dtype);
    passing(tape, "range", VB_INT64, VB_SHAPE(n));
    vb_done(tape, one);
    struct vb_variable mean =
        vb_bce_mean(tape, terms->classes, terms->class_target, terms->constants->class_weight);
    vb_add_in_place(tape, &terms->class_loss, mean);
    vb_done(tape, mean);
}

static void level_terms(struct vb_tape *tape, struct terms *terms, struct vb_variable prediction,
                        const struct match *match, uint32_t classes)
{
    const uint32_t *dims = prediction.shape.dims;
    struct vb_variable wanted = fresh(tape, "objectness_target", prediction.dtype,
                                      VB_SHAPE(dims[0], dims[1], dims[2], dims[3]));
    vb_tape_assign(tape, &terms->objectness_target, wanted);
    if (match->count.n > 0) {
        decode(tape, terms, prediction, match, classes);
        box_term(tape, terms, match, prediction.dtype);
        class_term(tape, terms, match->count.n);
    }
    struct vb_variable logits = vb_select_last(tape, prediction, 4);
    struct vb_variable mean =
        vb_bce_mean(tape, logits, terms->objectness_target, terms->constants->objectness_weight);
    vb_done(tape, logits);
    vb_tape_assign(tape, &terms->objectness, mean);
    struct vb_variable balanced = vb_unary(tape, VB_OP_MUL_NUMBER, mean, 0);
    vb_add_in_place(tape, &terms->objectness_loss, balanced);
    vb_done(tape, balanced);
}

/* The parts weighted, added up and scaled by the batch. */
static struct vb_loss total(struct vb_tape *tape, struct terms *terms)
{
    struct vb_loss loss = { .parts = vb_undefined };
    vb_scale_in_place(tape, &terms->box_loss, 1);
    vb_scale_in_place(tape, &terms->objectness_loss, 1);
    vb_scale_in_place(tape, &terms->class_loss, 1);
    struct vb_variable two = vb_binary(tape, VB_OP_ADD, terms->box_loss, terms->objectness_loss);
    struct vb_variable three = vb_binary(tape, VB_OP_ADD, two, terms->class_loss);
    vb_done(tape, two);
    loss.total = vb_unary(tape, VB_OP_MUL_NUMBER, three, 0);
    vb_done(tape, three);
    loss.items = fresh(tape, "loss_items", VB_FLOAT32, VB_SHAPE(3));
    return loss;
}

struct vb_loss vb_loss_v5(struct vb_tape *tape, const struct vb_graph *graph,
                          const struct vb_variable *predictions, const struct vb_targets *targets,
                          const struct vb_loss_constants *constants)
{
    struct match matches[MAX_LEVELS];
    struct terms terms = { .constants = constants };
    struct vb_variable *all = &terms.objectness_target;
    for (size_t i = 0; i < N_TERMS; i++)
        all[i] = vb_undefined;

    struct vb_variable uploaded =
        fresh(tape, "targets", VB_FLOAT32, VB_SHAPE(targets->n, COLUMNS - 1));
    terms.class_loss = fresh(tape, "class_loss", VB_FLOAT32, VB_SHAPE(1));
    terms.box_loss = fresh(tape, "box_loss", VB_FLOAT32, VB_SHAPE(1));
    terms.objectness_loss = fresh(tape, "objectness_loss", VB_FLOAT32, VB_SHAPE(1));
    match_targets(tape, graph, targets, matches);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        level_terms(tape, &terms, predictions[i], &matches[i], graph->classes);
    struct vb_loss loss = total(tape, &terms);

    for (uint32_t i = 0; i < graph->n_levels; i++) {
        struct vb_variable handed[] = { matches[i].image_and_label, matches[i].anchor,
                                        matches[i].cell, matches[i].box, matches[i].anchor_size };
        for (size_t k = 0; k < sizeof handed / sizeof *handed; k++)
            vb_tape_drop(tape, handed[k]);
    }
    for (size_t i = 0; i < N_TERMS; i++)
        vb_tape_drop(tape, all[i]);
    vb_tape_drop(tape, uploaded);
    return loss;
}
