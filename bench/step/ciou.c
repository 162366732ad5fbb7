/* SPDX-License-Identifier: Apache-2.0 */
/* Complete IoU (Zheng et al. 2020): overlap, distance of the centres, difference of the shapes.
 * Each intermediate lives until the expression that reads it is done, each named value until the
 * function returns: that is what decides the memory, so names stand here as they would in the
 * formula. */

#include <math.h>

#include "step/layers.h"
#include "step/loss.h"
#include "step/math.h"

static const double epsilon = 1e-7;

/* A box's edges and sides: views of it, or made from it, as its form has it. */
struct edges {
    struct vb_variable x1, y1, x2, y2, w, h;
    struct vb_variable half_w, half_h; /* centre form: named values of their own */
    struct vb_variable views[4];
};

/* A binary operator whose arguments end with it. */
static struct vb_variable take(struct vb_tape *tape, enum vb_operator kind, struct vb_variable a,
                               bool a_ends, struct vb_variable b, bool b_ends)
{
    struct vb_variable y = vb_binary(tape, kind, a, b);
    if (a_ends)
        vb_done(tape, a);
    if (b_ends)
        vb_done(tape, b);
    return y;
}

static struct vb_variable take_unary(struct vb_tape *tape, enum vb_operator kind,
                                     struct vb_variable x, double a)
{
    struct vb_variable y = vb_unary(tape, kind, x, a);
    vb_done(tape, x);
    return y;
}

static void split_box(struct vb_tape *tape, struct vb_variable box, struct vb_variable *views)
{
    uint32_t ones[] = { 1, 1, 1, 1 };
    vb_split(tape, box, box.shape.n_dims - 1, ones, 4, views);
}

/* Halves first, of both boxes, then edges: the order in which they are written. */
static void halves(struct vb_tape *tape, struct edges *e)
{
    e->w = vb_tape_hold(tape, e->views[2]);
    e->h = vb_tape_hold(tape, e->views[3]);
    e->half_w = vb_unary(tape, VB_OP_MUL_NUMBER, e->w, 0.5);
    e->half_h = vb_unary(tape, VB_OP_MUL_NUMBER, e->h, 0.5);
}

static void edges_of_centre(struct vb_tape *tape, struct edges *e)
{
    e->x1 = vb_binary(tape, VB_OP_SUB, e->views[0], e->half_w);
    e->x2 = vb_binary(tape, VB_OP_ADD, e->views[0], e->half_w);
    e->y1 = vb_binary(tape, VB_OP_SUB, e->views[1], e->half_h);
    e->y2 = vb_binary(tape, VB_OP_ADD, e->views[1], e->half_h);
}

/* Corner form: the sides are differences, the height's with eps. */
static void edges_of_corners(struct vb_tape *tape, struct edges *e)
{
    e->x1 = vb_tape_hold(tape, e->views[0]);
    e->y1 = vb_tape_hold(tape, e->views[1]);
    e->x2 = vb_tape_hold(tape, e->views[2]);
    e->y2 = vb_tape_hold(tape, e->views[3]);
    e->w = vb_binary(tape, VB_OP_SUB, e->x2, e->x1);
    e->h = take_unary(tape, VB_OP_ADD_NUMBER, vb_binary(tape, VB_OP_SUB, e->y2, e->y1), epsilon);
}

static void drop_edges(struct vb_tape *tape, struct edges *e)
{
    struct vb_variable all[] = { e->x1, e->y1, e->x2, e->y2, e->w, e->h, e->half_w, e->half_h };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        vb_tape_drop(tape, all[i]);
    for (size_t i = 0; i < 4; i++)
        vb_tape_drop(tape, e->views[i]);
}

/* How far the inner edges overlap (clamped, `in_place` or not) or the outer ones span, along one
 * axis. */
static struct vb_variable stretch(struct vb_tape *tape, bool overlap, bool in_place,
                                  struct vb_variable a1, struct vb_variable a2,
                                  struct vb_variable b1, struct vb_variable b2)
{
    struct vb_variable high = vb_binary(tape, overlap ? VB_OP_MINIMUM : VB_OP_MAXIMUM, a2, b2);
    struct vb_variable low = vb_binary(tape, overlap ? VB_OP_MAXIMUM : VB_OP_MINIMUM, a1, b1);
    struct vb_variable length = take(tape, VB_OP_SUB, high, true, low, true);
    if (!overlap)
        return length;
    return in_place ? vb_clamp_in_place(tape, length) : take_unary(tape, VB_OP_CLAMP, length, 0);
}

/* (b1 + b2 - a1 - a2) ** 2 */
static struct vb_variable centre_distance(struct vb_tape *tape, struct vb_variable a1,
                                          struct vb_variable a2, struct vb_variable b1,
                                          struct vb_variable b2)
{
    struct vb_variable sum = vb_binary(tape, VB_OP_ADD, b1, b2);
    sum = take(tape, VB_OP_SUB, sum, true, a1, false);
    sum = take(tape, VB_OP_SUB, sum, true, a2, false);
    return take_unary(tape, VB_OP_POWER, sum, 2);
}

static struct vb_variable angle(struct vb_tape *tape, struct vb_variable w, struct vb_variable h)
{
    return take_unary(tape, VB_OP_ATAN, vb_binary(tape, VB_OP_DIV, w, h), 0);
}

/* The part of the union's formula that names nothing: w1 * h1 + w2 * h2 - inter + eps. */
static struct vb_variable union_of(struct vb_tape *tape, const struct edges *a,
                                   const struct edges *b, struct vb_variable inter)
{
    struct vb_variable area_a = vb_binary(tape, VB_OP_MUL, a->w, a->h);
    struct vb_variable area_b = vb_binary(tape, VB_OP_MUL, b->w, b->h);
    struct vb_variable sum = take(tape, VB_OP_ADD, area_a, true, area_b, true);
    sum = take(tape, VB_OP_SUB, sum, true, inter, false);
    return take_unary(tape, VB_OP_ADD_NUMBER, sum, epsilon);
}

struct vb_variable vb_ciou(struct vb_tape *tape, struct vb_variable box, struct vb_variable target,
                           bool is_corners)
{
    struct edges a = { 0 };
    struct edges b = { 0 };
    a.half_w = a.half_h = b.half_w = b.half_h = vb_undefined;
    split_box(tape, box, a.views);
    split_box(tape, target, b.views);
    if (is_corners) {
        edges_of_corners(tape, &a);
        edges_of_corners(tape, &b);
    } else {
        halves(tape, &a);
        halves(tape, &b);
        edges_of_centre(tape, &a);
        edges_of_centre(tape, &b);
    }

    struct vb_variable inter_w = stretch(tape, true, is_corners, a.x1, a.x2, b.x1, b.x2);
    struct vb_variable inter_h = stretch(tape, true, is_corners, a.y1, a.y2, b.y1, b.y2);
    struct vb_variable inter = take(tape, VB_OP_MUL, inter_w, true, inter_h, true);
    struct vb_variable together = union_of(tape, &a, &b, inter);
    struct vb_variable iou = vb_binary(tape, VB_OP_DIV, inter, together);

    struct vb_variable hull_w = stretch(tape, false, is_corners, a.x1, a.x2, b.x1, b.x2);
    struct vb_variable hull_h = stretch(tape, false, is_corners, a.y1, a.y2, b.y1, b.y2);
    struct vb_variable square_w = vb_unary(tape, VB_OP_POWER, hull_w, 2);
    struct vb_variable square_h = vb_unary(tape, VB_OP_POWER, hull_h, 2);
    struct vb_variable diagonal = take(tape, VB_OP_ADD, square_w, true, square_h, true);
    diagonal = take_unary(tape, VB_OP_ADD_NUMBER, diagonal, epsilon);
    struct vb_variable apart_x = centre_distance(tape, a.x1, a.x2, b.x1, b.x2);
    struct vb_variable apart_y = centre_distance(tape, a.y1, a.y2, b.y1, b.y2);
    struct vb_variable apart = take(tape, VB_OP_ADD, apart_x, true, apart_y, true);
    apart = take_unary(tape, VB_OP_MUL_NUMBER, apart, 0.25);

    struct vb_variable angle_b = angle(tape, b.w, b.h);
    struct vb_variable angle_a = angle(tape, a.w, a.h);
    struct vb_variable turn = take(tape, VB_OP_SUB, angle_b, true, angle_a, true);
    struct vb_variable v = take_unary(tape, VB_OP_MUL_NUMBER,
                                      take_unary(tape, VB_OP_POWER, turn, 2), 4 / (M_PI * M_PI));

    bool was_off = tape->is_grad_off;
    tape->is_grad_off = true;
    struct vb_variable weight =
        take_unary(tape, VB_OP_ADD_NUMBER, vb_binary(tape, VB_OP_SUB, v, iou), 1 + epsilon);
    struct vb_variable alpha = take(tape, VB_OP_DIV, v, false, weight, true);
    tape->is_grad_off = was_off;

    struct vb_variable distance = vb_binary(tape, VB_OP_DIV, apart, diagonal);
    struct vb_variable shape = vb_binary(tape, VB_OP_MUL, v, alpha);
    struct vb_variable penalty = take(tape, VB_OP_ADD, distance, true, shape, true);
    struct vb_variable complete = take(tape, VB_OP_SUB, iou, false, penalty, true);

    struct vb_variable named[] = {
        inter, together, iou, hull_w, hull_h, diagonal, apart, v, alpha
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        vb_tape_drop(tape, named[i]);
    drop_edges(tape, &a);
    drop_edges(tape, &b);
    return complete;
}
