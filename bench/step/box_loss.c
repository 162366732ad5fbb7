/* SPDX-License-Identifier: Apache-2.0 */
#include "step/box_loss.h"

#include "step/layers.h"
#include "step/loss.h"
#include "step/loss_tasks.h"
#include "step/math.h"
#include "step/view.h"

/* The farthest that a side may be: short of the last bin, so that there is one beyond it. */
static const double farthest = VB_BINS - 1 - 0.01;

struct vb_variable vb_share(struct vb_tape *tape, struct vb_variable x, struct vb_variable total)
{
    struct vb_variable sum = vb_sum(tape, x);
    vb_done(tape, x);
    struct vb_variable part = vb_binary(tape, VB_OP_DIV, sum, total);
    vb_done(tape, sum);
    return part;
}

/* The rows of the foreground anchors. How many there are depends on the network's output; the
 * program has room for the most that there can be, and rows of background anchors fill it up. Those
 * are wanted with a score of 0, so they weigh nothing. What they are compared with is their image's
 * first box, or zeros where it has none, so nothing here is infinite or not a number. */
static struct vb_variable rows(struct vb_tape *tape, const struct vb_assignment *s,
                               struct vb_variable x, uint32_t columns)
{
    return vb_mask_rows(tape, x, s->foreground, s->n_foreground,
                        &VB_SHAPE(s->n_foreground, columns));
}

/* Gives the part; `*iou` and `*weight` are names that live on. */
static struct vb_variable iou_part(struct vb_tape *tape, const struct vb_assignment *s,
                                   struct vb_variable boxes, struct vb_variable wanted,
                                   struct vb_variable score_sum, struct vb_variable *iou,
                                   struct vb_variable *weight)
{
    struct vb_variable per_anchor =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_SUM }, &VB_SHAPE(s->batch, s->anchors, 1),
                VB_FLOAT32, &s->scores_wanted, 1);
    *weight = rows(tape, s, per_anchor, 1);
    vb_done(tape, per_anchor);
    struct vb_variable here = rows(tape, s, boxes, s->sides);
    struct vb_variable there = rows(tape, s, wanted, s->sides);
    *iou =
        s->sides == VB_ORIENTED ? vb_probiou(tape, here, there) : vb_ciou(tape, here, there, true);
    vb_done(tape, here);
    vb_done(tape, there);
    struct vb_variable missing = vb_unary(tape, VB_OP_SUBTRACT_FROM, *iou, 1);
    struct vb_variable weighted = vb_binary(tape, VB_OP_MUL, missing, *weight);
    vb_done(tape, missing);
    return vb_share(tape, weighted, score_sum);
}

/* Cross entropy with one of the two bins beside the wanted distance, weighted by its nearness. */
static struct vb_variable bin_term(struct vb_tape *tape, struct vb_variable rows_of_bins,
                                   struct vb_variable bin, struct vb_variable nearness)
{
    struct vb_variable likely = vb_log_softmax(tape, rows_of_bins);
    bool ok;
    struct vb_variable each =
        vb_nll(tape, likely, vb_reshaped(bin, &VB_SHAPE(likely.shape.dims[0]), &ok));
    vb_done(tape, likely);
    struct vb_variable shaped = vb_view(tape, each, &nearness.shape);
    vb_done(tape, each);
    struct vb_variable weighted = vb_binary(tape, VB_OP_MUL, shaped, nearness);
    vb_done(tape, shaped);
    return weighted;
}

/* The mean over a box's sides of both bins' terms. */
static struct vb_variable focal_loss(struct vb_tape *tape, struct vb_variable bins,
                                     struct vb_variable wanted)
{
    struct vb_variable left = vb_make_named(tape, "long", &(struct vb_call){ .op = VB_OP_COPY },
                                            &wanted.shape, VB_INT64, &wanted, 1);
    struct vb_variable right = vb_unary(tape, VB_OP_ADD_NUMBER, left, 1);
    struct vb_variable near_left = vb_binary(tape, VB_OP_SUB, right, wanted);
    struct vb_variable near_right = vb_unary(tape, VB_OP_SUBTRACT_FROM, near_left, 1);
    struct vb_variable a = bin_term(tape, bins, left, near_left);
    struct vb_variable b = bin_term(tape, bins, right, near_right);
    struct vb_variable both = vb_binary(tape, VB_OP_ADD, a, b);
    vb_done(tape, a);
    vb_done(tape, b);
    struct vb_variable mean = vb_row_mean(tape, both);
    struct vb_variable ended[] = { both, left, right, near_left, near_right };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return mean;
}

/* The wanted distances to the four sides, in cells. */
static struct vb_variable sides_of(struct vb_tape *tape, const struct vb_assignment *s,
                                   struct vb_variable boxes)
{
    const struct vb_call sub = { .op = VB_OP_SUB }, clamp = { .op = VB_OP_CLAMP, .b = farthest };
    struct vb_shape half = VB_SHAPE(s->batch, s->anchors, 2);
    struct vb_variable left_top[] = { s->centres, vb_stretch_of(boxes, 2, 0, 2) };
    struct vb_variable right_bottom[] = { vb_stretch_of(boxes, 2, 2, 2), s->centres };
    struct vb_variable low = vb_make(tape, &sub, &half, VB_FLOAT32, left_top, 2);
    struct vb_variable high = vb_make(tape, &sub, &half, VB_FLOAT32, right_bottom, 2);
    struct vb_variable sides =
        vb_tape_new(tape, "sides", &VB_SHAPE(s->batch, s->anchors, VB_SIDES), VB_FLOAT32);
    struct vb_variable both[] = { sides, sides };
    vb_tape_copy(tape, low, vb_stretch_of(sides, 2, 0, 2));
    vb_tape_copy(tape, high, vb_stretch_of(sides, 2, 2, 2));
    vb_tape_apply(tape, &clamp, both, 2);
    vb_done(tape, high);
    vb_done(tape, low);
    return sides;
}

static struct vb_variable distribution_part(struct vb_tape *tape, const struct vb_assignment *s,
                                            struct vb_variable distances, struct vb_variable boxes,
                                            struct vb_variable score_sum, struct vb_variable weight)
{
    struct vb_variable upright = vb_undefined;
    if (s->sides == VB_ORIENTED) /* xywh2xyxy */
        upright = vb_fresh(tape, "upright", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors, VB_SIDES));
    struct vb_variable sides = sides_of(tape, s, vb_is_defined(&upright) ? upright : boxes);
    vb_done(tape, upright);
    struct vb_variable picked = rows(tape, s, distances, VB_DISTANCES);
    struct vb_variable bins = vb_view(tape, picked, &VB_SHAPE(s->n_foreground * VB_SIDES, VB_BINS));
    vb_done(tape, picked);
    struct vb_variable wanted = rows(tape, s, sides, VB_SIDES);
    struct vb_variable mean = focal_loss(tape, bins, wanted);
    vb_done(tape, bins);
    vb_done(tape, wanted);
    struct vb_variable weighted = vb_binary(tape, VB_OP_MUL, mean, weight);
    vb_done(tape, mean);
    struct vb_variable part = vb_share(tape, vb_tape_hold(tape, weighted), score_sum);
    vb_done(tape, weighted);
    vb_done(tape, sides);
    return part;
}

struct vb_box_loss vb_box_loss(struct vb_tape *tape, const struct vb_assignment *s,
                               struct vb_variable distances, struct vb_variable boxes,
                               struct vb_variable wanted, struct vb_variable score_sum)
{
    struct vb_variable iou = vb_undefined, weight = vb_undefined;
    struct vb_box_loss loss;
    loss.iou = iou_part(tape, s, boxes, wanted, score_sum, &iou, &weight);
    loss.distribution = distribution_part(tape, s, distances, wanted, score_sum, weight);
    vb_done(tape, weight);
    vb_done(tape, iou);
    return loss;
}
