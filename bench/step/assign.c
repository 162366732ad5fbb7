/* SPDX-License-Identifier: Apache-2.0 */
/* In the order in which it allocates. Source: torch-memory.md, part B, section 7, steps 3 to 7. */

#include "step/assign.h"

#include "step/loss.h"
#include "step/math.h"

enum { TOP_K = 10 };

/* mask_in_gts: the distances of each anchor to each box's four edges, and their least. */
static struct vb_variable anchors_inside(struct vb_tape *tape, const struct vb_assignment *s)
{
    struct vb_shape pairs = VB_SHAPE(s->batch, s->boxes, s->anchors, 2);
    struct vb_variable low = vb_fresh(tape, "to_left_top", VB_FLOAT32, pairs);
    struct vb_variable high = vb_fresh(tape, "to_right_bottom", VB_FLOAT32, pairs);
    struct vb_variable deltas =
        vb_fresh(tape, "deltas", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes, s->anchors, 4));
    vb_done(tape, high);
    vb_done(tape, low);
    struct vb_variable inside =
        vb_fresh(tape, "inside", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes, s->anchors));
    vb_cpu_number(tape, VB_FLOAT32);
    vb_done(tape, deltas);
    return inside;
}

/* The scores of each box's class, for the anchors inside it. */
static void scores_inside(struct vb_tape *tape, const struct vb_assignment *s, enum vb_dtype dtype)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_shape places_of = VB_SHAPE(s->n_inside, 3);
    vb_passing(tape, "arange", VB_INT64, VB_SHAPE(s->batch));
    struct vb_variable picked = vb_fresh(tape, "index", dtype, all);
    struct vb_variable places = vb_fresh(tape, "nonzero", VB_INT64, places_of);
    struct vb_variable scores = vb_fresh(tape, "index", dtype, VB_SHAPE(s->n_inside));
    vb_done(tape, places);
    vb_done(tape, picked);
    vb_passing(tape, "nonzero", VB_INT64, places_of);
    vb_done(tape, scores);
}

/* CIoU of the boxes with the anchors inside them, both gathered as pairs. */
static void overlaps_inside(struct vb_tape *tape, const struct vb_assignment *s,
                            struct vb_variable *pair)
{
    struct vb_shape places_of = VB_SHAPE(s->n_inside, 3);
    for (uint32_t i = 0; i < 2; i++) {
        struct vb_variable places = vb_fresh(tape, "nonzero", VB_INT64, places_of);
        pair[i] = vb_fresh(tape, "boxes", VB_FLOAT32, VB_SHAPE(s->n_inside, 4));
        vb_done(tape, places);
    }
    struct vb_variable iou = vb_ciou(tape, pair[0], pair[1], true);
    vb_passing(tape, "nonzero", VB_INT64, places_of);
    vb_done(tape, iou);
}

/* x ** number, where autocast computes in fp32. */
static struct vb_variable power(struct vb_tape *tape, struct vb_variable x)
{
    return vb_unary(tape, VB_OP_POWER, x, 2);
}

/* align = score ** alpha * overlap ** beta. Gives it and the overlaps. */
static struct vb_variable alignment(struct vb_tape *tape, const struct vb_assignment *s,
                                    struct vb_variable inside, enum vb_dtype dtype,
                                    struct vb_variable *overlaps)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_variable pair[2];
    struct vb_variable valid = vb_unary(tape, VB_OP_MUL_NUMBER, inside, 0);
    struct vb_variable mask = vb_fresh(tape, "mask", VB_BOOL, all);
    vb_done(tape, valid);
    *overlaps = vb_fresh(tape, "overlaps", VB_FLOAT32, all);
    struct vb_variable scores = vb_fresh(tape, "box_scores", dtype, all);
    struct vb_variable which = vb_fresh(tape, "which", VB_INT64, VB_SHAPE(2, s->batch, s->boxes));
    scores_inside(tape, s, dtype);
    overlaps_inside(tape, s, pair);
    struct vb_variable score_power = power(tape, scores);
    struct vb_variable overlap_power = power(tape, *overlaps);
    struct vb_variable align = vb_binary(tape, VB_OP_MUL, score_power, overlap_power);
    struct vb_variable ended[] = {
        score_power, overlap_power, mask, scores, which, pair[0], pair[1]
    };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return align;
}

/* The ten best anchors of each box, as a mask: each counted, those counted twice taken out. */
static struct vb_variable best_anchors(struct vb_tape *tape, const struct vb_assignment *s)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_shape best = VB_SHAPE(s->batch, s->boxes, TOP_K);
    struct vb_variable valid = vb_fresh(tape, "valid", VB_BOOL, best);
    struct vb_variable values = vb_fresh(tape, "topk", VB_FLOAT32, best);
    struct vb_variable places = vb_fresh(tape, "topk", VB_INT64, best);
    vb_passing(tape, "not", VB_BOOL, best);
    /* Numbers of one byte each, as VB_BOOL has. */
    struct vb_variable count = vb_fresh(tape, "count", VB_BOOL, all);
    struct vb_variable ones = vb_fresh(tape, "ones", VB_BOOL, VB_SHAPE(s->batch, s->boxes, 1));
    vb_passing(tape, "gt", VB_BOOL, all);
    struct vb_variable mask = vb_fresh(tape, "best", VB_FLOAT32, all);
    struct vb_variable ended[] = { valid, values, places, count, ones };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return mask;
}

/* The anchors that are among the best of a box and inside it. */
static struct vb_variable positives(struct vb_tape *tape, const struct vb_assignment *s,
                                    struct vb_variable inside)
{
    struct vb_variable best = best_anchors(tape, s);
    struct vb_variable both = vb_binary(tape, VB_OP_MUL, best, inside);
    struct vb_variable positive = vb_unary(tape, VB_OP_MUL_NUMBER, both, 0);
    vb_done(tape, both);
    vb_done(tape, best);
    return positive;
}

/* s->which: the box of each anchor. Where several claim one, which depends on the network's output,
 * five more tensors come and go here; they never are a peak, and are left out. */
static struct vb_variable boxes_of_anchors(struct vb_tape *tape, struct vb_assignment *s)
{
    struct vb_variable claims =
        vb_fresh(tape, "claims", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors));
    struct vb_variable most = vb_fresh(tape, "max", VB_FLOAT32, (struct vb_shape){ 0 });
    vb_done(tape, vb_unary(tape, VB_OP_LESS_NUMBER, most, 0));
    vb_done(tape, most);
    s->which = vb_fresh(tape, "which", VB_INT64, VB_SHAPE(s->batch, s->anchors));
    return claims;
}

/* A one-hot class for each anchor in int64; zeros where no box claims it. */
static struct vb_variable one_hot_of(struct vb_tape *tape, const struct vb_assignment *s)
{
    struct vb_shape scores = VB_SHAPE(s->batch, s->anchors, s->classes);
    struct vb_variable one_hot = vb_fresh(tape, "one_hot", VB_INT64, scores);
    struct vb_variable repeated = vb_fresh(tape, "repeat", VB_FLOAT32, scores);
    struct vb_variable positive = vb_unary(tape, VB_OP_LESS_NUMBER, repeated, 0);
    struct vb_variable zero = vb_fresh(tape, "zero", VB_INT64, (struct vb_shape){ 0 });
    struct vb_variable chosen = vb_fresh(tape, "where", VB_INT64, scores);
    struct vb_variable ended[] = { zero, positive, one_hot, repeated };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return chosen;
}

/* What each anchor is to predict: the box, and the class. */
static struct vb_variable wanted(struct vb_tape *tape, struct vb_assignment *s,
                                 struct vb_variable *labels)
{
    struct vb_variable images = vb_fresh(tape, "arange", VB_INT64, VB_SHAPE(s->batch, 1));
    struct vb_variable first = vb_unary(tape, VB_OP_MUL_NUMBER, images, 0);
    struct vb_variable flat = vb_binary(tape, VB_OP_ADD, s->which, first);
    vb_done(tape, first);
    struct vb_variable whole = vb_fresh(tape, "long", VB_INT64, VB_SHAPE(s->batch, s->boxes));
    *labels = vb_fresh(tape, "labels", VB_INT64, VB_SHAPE(s->batch, s->anchors));
    vb_done(tape, whole);
    s->boxes_wanted = vb_fresh(tape, "boxes_wanted", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors, 4));
    struct vb_variable chosen = one_hot_of(tape, s);
    vb_done(tape, flat);
    vb_done(tape, images);
    return chosen;
}

/* The one-hot scores scaled by how well each anchor does against the best of its box. */
static void normalize(struct vb_tape *tape, struct vb_assignment *s, struct vb_variable align,
                      struct vb_variable overlaps, struct vb_variable chosen)
{
    struct vb_shape per_box = VB_SHAPE(s->batch, s->boxes, 1);
    struct vb_variable best_align = vb_fresh(tape, "amax", VB_FLOAT32, per_box);
    struct vb_variable masked = vb_unary(tape, VB_OP_MUL_NUMBER, overlaps, 0);
    struct vb_variable best_overlap = vb_fresh(tape, "amax", VB_FLOAT32, per_box);
    vb_done(tape, masked);
    struct vb_variable scaled = vb_unary(tape, VB_OP_MUL_NUMBER, align, 0);
    struct vb_variable positive = vb_unary(tape, VB_OP_ADD_NUMBER, best_align, 0);
    struct vb_variable ratio = vb_unary(tape, VB_OP_MUL_NUMBER, scaled, 0);
    vb_done(tape, scaled);
    vb_done(tape, positive);
    struct vb_variable norm = vb_fresh(tape, "amax", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors));
    vb_done(tape, ratio);
    s->scores_wanted = vb_fresh(tape, "scores_wanted", VB_FLOAT32, chosen.shape);
    vb_done(tape, chosen);
    s->foreground = vb_fresh(tape, "foreground", VB_BOOL, VB_SHAPE(s->batch, s->anchors));
    vb_done(tape, norm);
    vb_done(tape, best_align);
    vb_done(tape, best_overlap);
}

/* The assigner proper, once its arguments are made. */
static void assign_all(struct vb_tape *tape, struct vb_assignment *s, enum vb_dtype dtype)
{
    struct vb_variable overlaps = vb_undefined;
    struct vb_variable labels = vb_undefined;
    struct vb_variable inside = anchors_inside(tape, s);
    struct vb_variable align = alignment(tape, s, inside, dtype, &overlaps);
    struct vb_variable positive = positives(tape, s, inside);
    vb_done(tape, inside);
    struct vb_variable claims = boxes_of_anchors(tape, s);
    struct vb_variable chosen = wanted(tape, s, &labels);
    normalize(tape, s, align, overlaps, chosen);

    struct vb_variable ended[] = { positive, align, overlaps, claims, labels };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
}

void vb_assign_targets(struct vb_tape *tape, struct vb_assignment *s, struct vb_variable scores,
                       struct vb_variable boxes)
{
    bool was_off = tape->is_grad_off;
    tape->is_grad_off = true;
    struct vb_variable probabilities = vb_unary(tape, VB_OP_SIGMOID, scores, 0);
    struct vb_variable pixels = vb_unary(tape, VB_OP_MUL_NUMBER, boxes, 0);
    struct vb_variable typed = vb_tape_cast(tape, pixels, VB_FLOAT32);
    vb_done(tape, pixels);
    struct vb_variable centres = vb_fresh(tape, "centres", scores.dtype, VB_SHAPE(s->anchors, 2));
    assign_all(tape, s, scores.dtype);
    vb_done(tape, probabilities);
    vb_done(tape, typed);
    vb_done(tape, centres);
    tape->is_grad_off = was_off;
}
