/* SPDX-License-Identifier: Apache-2.0 */
/* Oriented boxes: from distances and an angle, and compared as Gaussian distributions, whose
 * covariances [[a, c], [c, b]] follow from sides and angle. Names live until the function returns,
 * as in ciou.c. */

#include "step/layers.h"
#include "step/loss_tasks.h"
#include "step/math.h"
#include "step/planned.h"

static const double epsilon = 1e-7;

/* Arguments of an expression end with it. */
static struct vb_variable take(struct vb_tape *tape, enum vb_operator op, struct vb_variable a,
                               struct vb_variable b)
{
    struct vb_variable y = vb_binary(tape, op, a, b);
    vb_done(tape, a);
    vb_done(tape, b);
    return y;
}

static struct vb_variable take_unary(struct vb_tape *tape, enum vb_operator op,
                                     struct vb_variable x, double a)
{
    struct vb_variable y = vb_unary(tape, op, x, a);
    vb_done(tape, x);
    return y;
}

static struct vb_variable take_planned(struct vb_tape *tape, const struct vb_planned *op,
                                       struct vb_variable x)
{
    struct vb_variable y = vb_planned_unary(tape, op, x);
    vb_done(tape, x);
    return y;
}

static struct vb_variable product(struct vb_tape *tape, struct vb_variable a, struct vb_variable b)
{
    return vb_binary(tape, VB_OP_MUL, a, b);
}

struct vb_variable vb_decode_rotated(struct vb_tape *tape, struct vb_variable distances,
                                     struct vb_variable angles, struct vb_variable centres)
{
    struct vb_variable halves[2], offset[2];
    vb_split(tape, distances, 2, (uint32_t[]){ 2, 2 }, 2, halves);
    struct vb_variable cos = vb_planned_unary(tape, &vb_planned_cos, angles);
    struct vb_variable sin = vb_planned_unary(tape, &vb_planned_sin, angles);
    struct vb_variable apart = vb_binary(tape, VB_OP_SUB, halves[1], halves[0]);
    struct vb_variable half = take_unary(tape, VB_OP_MUL_NUMBER, apart, 0.5);
    vb_split(tape, half, 2, (uint32_t[]){ 1, 1 }, 2, offset);
    struct vb_variable turned[] = {
        take(tape, VB_OP_SUB, product(tape, offset[0], cos), product(tape, offset[1], sin)),
        take(tape, VB_OP_ADD, product(tape, offset[0], sin), product(tape, offset[1], cos))
    };
    struct vb_variable joined = vb_concat(tape, turned, 2, 2);
    struct vb_variable box[2] = { vb_binary(tape, VB_OP_ADD, joined, centres),
                                  vb_binary(tape, VB_OP_ADD, halves[0], halves[1]) };
    vb_done(tape, joined);
    struct vb_variable upright[2] = { vb_concat(tape, box, 2, 2), angles };
    struct vb_variable ended[] = { halves[0], halves[1], cos,       sin,    half,  offset[0],
                                   offset[1], turned[0], turned[1], box[0], box[1] };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    struct vb_variable whole = vb_concat(tape, upright, 2, 2);
    vb_done(tape, upright[0]);
    return whole;
}

struct covariance {
    struct vb_variable a, b, c;
};

/* sides ** 2 / 12, beside the angle; then turned. */
static struct covariance covariance_of(struct vb_tape *tape, struct vb_variable box)
{
    struct vb_variable parts[3], values[3];
    vb_split(tape, box, 1, (uint32_t[]){ 2, 2, 1 }, 3, parts);
    struct vb_variable squares =
        take_unary(tape, VB_OP_MUL_NUMBER, vb_unary(tape, VB_OP_POWER, parts[1], 2), 1.0 / 12);
    struct vb_variable both[] = { squares, parts[2] };
    struct vb_variable all = vb_concat(tape, both, 2, 1);
    vb_done(tape, squares);
    vb_split(tape, all, 1, (uint32_t[]){ 1, 1, 1 }, 3, values);
    struct vb_variable cos = vb_planned_unary(tape, &vb_planned_cos, values[2]);
    struct vb_variable sin = vb_planned_unary(tape, &vb_planned_sin, values[2]);
    struct vb_variable cos2 = vb_unary(tape, VB_OP_POWER, cos, 2);
    struct vb_variable sin2 = vb_unary(tape, VB_OP_POWER, sin, 2);
    struct covariance y;
    y.a = take(tape, VB_OP_ADD, product(tape, values[0], cos2), product(tape, values[1], sin2));
    y.b = take(tape, VB_OP_ADD, product(tape, values[0], sin2), product(tape, values[1], cos2));
    struct vb_variable apart = vb_binary(tape, VB_OP_SUB, values[0], values[1]);
    struct vb_variable half = product(tape, apart, cos);
    vb_done(tape, apart);
    y.c = product(tape, half, sin);
    struct vb_variable ended[] = { half,     cos,      sin,      cos2,      sin2,      all,
                                   parts[0], parts[1], parts[2], values[0], values[1], values[2] };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return y;
}

static struct vb_variable sum_of(struct vb_tape *tape, struct vb_variable a, struct vb_variable b)
{
    return vb_binary(tape, VB_OP_ADD, a, b);
}

static struct vb_variable square(struct vb_tape *tape, struct vb_variable x)
{
    return take_unary(tape, VB_OP_POWER, x, 2);
}

/* (a1 + a2)(b1 + b2) - (c1 + c2) ** 2 */
static struct vb_variable determinant(struct vb_tape *tape, const struct covariance *p,
                                      const struct covariance *q)
{
    struct vb_variable product_of_sums =
        take(tape, VB_OP_MUL, sum_of(tape, p->a, q->a), sum_of(tape, p->b, q->b));
    return take(tape, VB_OP_SUB, product_of_sums, square(tape, sum_of(tape, p->c, q->c)));
}

/* ((a1 + a2) dy ** 2 + (b1 + b2) dx ** 2) / (determinant + eps) / 4 */
static struct vb_variable distance_term(struct vb_tape *tape, const struct covariance *p,
                                        const struct covariance *q, const struct vb_variable *x,
                                        const struct vb_variable *y)
{
    struct vb_variable down = square(tape, vb_binary(tape, VB_OP_SUB, y[0], y[1]));
    struct vb_variable first = take(tape, VB_OP_MUL, sum_of(tape, p->a, q->a), down);
    struct vb_variable across = square(tape, vb_binary(tape, VB_OP_SUB, x[0], x[1]));
    struct vb_variable second = take(tape, VB_OP_MUL, sum_of(tape, p->b, q->b), across);
    struct vb_variable above = take(tape, VB_OP_ADD, first, second);
    struct vb_variable below = take_unary(tape, VB_OP_ADD_NUMBER, determinant(tape, p, q), epsilon);
    return take_unary(tape, VB_OP_MUL_NUMBER, take(tape, VB_OP_DIV, above, below), 0.25);
}

/* (c1 + c2) dx dy / (determinant + eps) / 2 */
static struct vb_variable slant_term(struct vb_tape *tape, const struct covariance *p,
                                     const struct covariance *q, const struct vb_variable *x,
                                     const struct vb_variable *y)
{
    struct vb_variable across =
        take(tape, VB_OP_MUL, sum_of(tape, p->c, q->c), vb_binary(tape, VB_OP_SUB, x[1], x[0]));
    struct vb_variable above =
        take(tape, VB_OP_MUL, across, vb_binary(tape, VB_OP_SUB, y[0], y[1]));
    struct vb_variable below = take_unary(tape, VB_OP_ADD_NUMBER, determinant(tape, p, q), epsilon);
    return take_unary(tape, VB_OP_MUL_NUMBER, take(tape, VB_OP_DIV, above, below), 0.5);
}

/* (a b - c ** 2).clamp_(0) */
static struct vb_variable own_determinant(struct vb_tape *tape, const struct covariance *p)
{
    struct vb_variable difference =
        take(tape, VB_OP_SUB, product(tape, p->a, p->b), vb_unary(tape, VB_OP_POWER, p->c, 2));
    return vb_clamp_in_place(tape, difference);
}

/* log(determinant / (4 root of both's own + eps) + eps) / 2 */
static struct vb_variable size_term(struct vb_tape *tape, const struct covariance *p,
                                    const struct covariance *q)
{
    struct vb_variable above = determinant(tape, p, q);
    struct vb_variable both =
        take(tape, VB_OP_MUL, own_determinant(tape, p), own_determinant(tape, q));
    struct vb_variable root = take_planned(tape, &vb_planned_sqrt, both);
    struct vb_variable below =
        take_unary(tape, VB_OP_ADD_NUMBER, take_unary(tape, VB_OP_MUL_NUMBER, root, 4), epsilon);
    struct vb_variable ratio =
        take_unary(tape, VB_OP_ADD_NUMBER, take(tape, VB_OP_DIV, above, below), epsilon);
    return take_unary(tape, VB_OP_MUL_NUMBER, take_planned(tape, &vb_planned_log, ratio), 0.5);
}

/* 1 - root(1 - exp(-Bhattacharyya distance) + eps) */
static struct vb_variable likeness(struct vb_tape *tape, struct vb_variable terms)
{
    struct vb_variable distance = take_unary(tape, VB_OP_CLAMP, terms, epsilon);
    struct vb_variable minus = vb_unary(tape, VB_OP_SUBTRACT_FROM, distance, 0);
    struct vb_variable apart =
        take_unary(tape, VB_OP_SUBTRACT_FROM, take_planned(tape, &vb_planned_exp, minus), 1);
    struct vb_variable root =
        take_planned(tape, &vb_planned_sqrt, take_unary(tape, VB_OP_ADD_NUMBER, apart, epsilon));
    struct vb_variable y = vb_unary(tape, VB_OP_SUBTRACT_FROM, root, 1);
    vb_done(tape, root);
    vb_done(tape, distance);
    return y;
}

struct vb_variable vb_probiou(struct vb_tape *tape, struct vb_variable box,
                              struct vb_variable target)
{
    struct vb_variable x[2], y[2], parts[2][3];
    const struct vb_variable boxes[] = { box, target };
    struct covariance of[2];
    for (uint32_t i = 0; i < 2; i++) {
        vb_split(tape, boxes[i], 1, (uint32_t[]){ 1, 1, 3 }, 3, parts[i]);
        x[i] = parts[i][0];
        y[i] = parts[i][1];
    }
    for (uint32_t i = 0; i < 2; i++)
        of[i] = covariance_of(tape, boxes[i]);
    struct vb_variable distance = distance_term(tape, &of[0], &of[1], x, y);
    struct vb_variable slant = slant_term(tape, &of[0], &of[1], x, y);
    struct vb_variable size = size_term(tape, &of[0], &of[1]);
    struct vb_variable terms = vb_binary(tape, VB_OP_ADD, distance, slant);
    struct vb_variable iou = likeness(tape, take(tape, VB_OP_ADD, terms, size));
    vb_done(tape, distance);
    vb_done(tape, slant);
    for (uint32_t i = 0; i < 2; i++) {
        struct vb_variable ended[] = { of[i].a,     of[i].b,     of[i].c,
                                       parts[i][0], parts[i][1], parts[i][2] };
        for (size_t k = 0; k < sizeof ended / sizeof *ended; k++)
            vb_tape_drop(tape, ended[k]);
    }
    return iou;
}
