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
    const struct vb_call sub = { .op = VB_OP_SUB };
    struct vb_shape half = VB_SHAPE(s->batch, s->anchors, 2);
    struct vb_variable left_top[] = { s->centres, vb_stretch_of(boxes, 2, 0, 2) };
    struct vb_variable right_bottom[] = { vb_stretch_of(boxes, 2, 2, 2), s->centres };
    struct vb_variable low = vb_make(tape, &sub, &half, VB_FLOAT32, left_top, 2);
    struct vb_variable high = vb_make(tape, &sub, &half, VB_FLOAT32, right_bottom, 2);
    struct vb_variable sides =
        vb_tape_new(tape, "sides", &VB_SHAPE(s->batch, s->anchors, VB_SIDES), VB_FLOAT32);
    vb_tape_copy(tape, low, vb_stretch_of(sides, 2, 0, 2));
    vb_tape_copy(tape, high, vb_stretch_of(sides, 2, 2, 2));
    vb_done(tape, high);
    vb_done(tape, low);
    return sides;
}

static struct vb_variable distribution_part(struct vb_tape *tape, const struct vb_assignment *s,
                                            struct vb_variable distances, struct vb_variable boxes,
                                            struct vb_variable score_sum, struct vb_variable weight)
{
    const struct vb_call clamp = { .op = VB_OP_CLAMP, .b = farthest };
    struct vb_variable upright = vb_undefined;
    if (s->sides == VB_ORIENTED) /* xywh2xyxy */
        upright = vb_fresh(tape, "upright", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors, VB_SIDES));
    struct vb_variable sides = sides_of(tape, s, vb_is_defined(&upright) ? upright : boxes);
    struct vb_variable both[] = { sides, sides };
    vb_done(tape, upright);
    vb_tape_apply(tape, &clamp, both, 2);
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

/* Every second column from `first` on, in place by the image's size along it. */
static void divide_columns(struct vb_tape *tape, struct vb_variable x, uint32_t first,
                           struct vb_variable image_size)
{
    struct vb_variable columns = vb_stretch_of(x, 2, first, VB_SIDES / 2);
    columns.strides[2] *= 2;
    struct vb_variable all[] = { columns, vb_stretch_of(image_size, 0, 1 - first, 1), columns };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_DIV }, all, 3);
}

static void divide_all(struct vb_tape *tape, struct vb_variable x, struct vb_variable image_size)
{
    divide_columns(tape, x, 0, image_size);
    divide_columns(tape, x, 1, image_size);
}

/* A copy of the gradient, divided as x was. */
static void divide_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_make_of(tape, VB_OP_COPY, 0, &outputs[0], outputs[0], vb_undefined);
    divide_all(tape, inputs[0], node->saved[0]);
}

/* Distances in shares of the image; `x` is in cells. Autograd's copies of single columns, which are
 * small, are left out. */
static struct vb_variable in_images(struct vb_tape *tape, const struct vb_assignment *s,
                                    struct vb_variable x, struct vb_variable image_size)
{
    struct vb_variable y = vb_binary(tape, VB_OP_MUL, x, s->strides);
    struct vb_node *node = vb_tape_node(tape, divide_backward, &y, 1, 1);
    vb_tape_save(tape, node, image_size);
    divide_all(tape, y, image_size);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

/* The mean over a box's sides of what each is off: the larger of a difference and its negative. */
static struct vb_variable mean_error(struct vb_tape *tape, struct vb_variable here,
                                     struct vb_variable there)
{
    struct vb_variable off = vb_binary(tape, VB_OP_SUB, here, there);
    struct vb_variable negative = vb_unary(tape, VB_OP_MUL_NUMBER, off, -1);
    struct vb_variable absolute = vb_binary(tape, VB_OP_MAXIMUM, off, negative);
    struct vb_variable mean = vb_row_mean(tape, absolute);
    struct vb_variable ended[] = { absolute, negative, off };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return mean;
}

/* l1_loss() under autocast is in fp32. */
static struct vb_variable distance_part(struct vb_tape *tape, const struct vb_assignment *s,
                                        struct vb_variable distances, struct vb_variable boxes,
                                        struct vb_variable score_sum, struct vb_variable weight,
                                        struct vb_variable image_size)
{
    struct vb_variable sides = sides_of(tape, s, boxes);
    vb_tape_assign(tape, &sides, in_images(tape, s, sides, image_size));
    struct vb_variable shares = in_images(tape, s, distances, image_size);
    struct vb_variable picked = rows(tape, s, shares, VB_SIDES);
    struct vb_variable here = vb_tape_cast(tape, picked, VB_FLOAT32);
    struct vb_variable there = rows(tape, s, sides, VB_SIDES);
    struct vb_variable mean = mean_error(tape, here, there);
    struct vb_variable weighted = vb_binary(tape, VB_OP_MUL, mean, weight);
    struct vb_variable ended[] = { here, picked, there, mean };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    struct vb_variable part = vb_share(tape, vb_tape_hold(tape, weighted), score_sum);
    vb_done(tape, weighted);
    vb_done(tape, shares);
    vb_done(tape, sides);
    return part;
}

struct vb_box_loss vb_box_loss(struct vb_tape *tape, const struct vb_assignment *s,
                               struct vb_variable distances, struct vb_variable boxes,
                               struct vb_variable wanted, struct vb_variable score_sum,
                               struct vb_variable image_size)
{
    struct vb_variable iou = vb_undefined, weight = vb_undefined;
    struct vb_box_loss loss;
    loss.iou = iou_part(tape, s, boxes, wanted, score_sum, &iou, &weight);
    loss.distribution =
        distances.shape.dims[2] == VB_SIDES
            ? distance_part(tape, s, distances, wanted, score_sum, weight, image_size)
            : distribution_part(tape, s, distances, wanted, score_sum, weight);
    vb_done(tape, weight);
    vb_done(tape, iou);
    return loss;
}
