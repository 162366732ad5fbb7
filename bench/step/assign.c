/* SPDX-License-Identifier: Apache-2.0 */
/* In the order in which it allocates. Source: torch-memory.md, part B, section 7, steps 3 to 7. */

#include "step/assign.h"

#include "step/loss.h"
#include "step/loss_tasks.h"
#include "step/math.h"
#include "step/view.h"

/* What ultralytics calls the assigner with: TaskAlignedAssigner(alpha=0.5, beta=6.0). */
static const double score_exponent = 0.5, overlap_exponent = 6.0, epsilon = 1e-9;

static void fill_where(struct vb_tape *tape, struct vb_variable mask, struct vb_variable y)
{
    struct vb_variable both[] = { mask, y };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MASKED_FILL }, both, 2);
}

/* [batch,boxes,anchors] to [batch,anchors]. */
static void reduce_boxes(struct vb_tape *tape, enum vb_operator op, struct vb_variable x,
                         struct vb_variable y)
{
    struct vb_variable both[] = { x, vb_with_axis(y, 1) };
    vb_tape_apply(tape, &(struct vb_call){ .op = op }, both, 2);
}

static struct vb_variable over_boxes(struct vb_tape *tape, const char *what, enum vb_operator op,
                                     struct vb_variable x, enum vb_dtype dtype)
{
    struct vb_variable y =
        vb_tape_new(tape, what, &VB_SHAPE(x.shape.dims[0], x.shape.dims[2]), dtype);
    reduce_boxes(tape, op, x, y);
    return y;
}

/* The boxes' corners and classes: views. */
static struct vb_variable corners_of(const struct vb_assignment *s)
{
    return vb_stretch_of(s->known, 2, 1, s->sides);
}
static struct vb_variable labels_of(const struct vb_assignment *s)
{
    return vb_at(s->known, 2, 0);
}

/* mask_in_gts: an anchor is inside where the least of its distances to the box's four edges is
 * above epsilon. They are taken with the other sign, for which the largest has an operator. */
static struct vb_variable anchors_inside(struct vb_tape *tape, const struct vb_assignment *s,
                                         struct vb_variable centres)
{
    const struct vb_call sub = { .op = VB_OP_SUB };
    struct vb_shape pairs = VB_SHAPE(s->batch, s->boxes, s->anchors, 2);
    struct vb_variable corners = vb_with_axis(corners_of(s), 2);
    struct vb_variable left_top[] = { vb_stretch_of(corners, 3, 0, 2), centres };
    struct vb_variable right_bottom[] = { centres, vb_stretch_of(corners, 3, 2, 2) };
    struct vb_variable low =
        vb_make_named(tape, "to_left_top", &sub, &pairs, VB_FLOAT32, left_top, 2);
    struct vb_variable high =
        vb_make_named(tape, "to_right_bottom", &sub, &pairs, VB_FLOAT32, right_bottom, 2);
    struct vb_variable deltas =
        vb_tape_new(tape, "deltas", &VB_SHAPE(s->batch, s->boxes, s->anchors, 4), VB_FLOAT32);
    vb_tape_copy(tape, low, vb_stretch_of(deltas, 3, 0, 2));
    vb_tape_copy(tape, high, vb_stretch_of(deltas, 3, 2, 2));
    vb_done(tape, high);
    vb_done(tape, low);
    struct vb_variable inside =
        vb_tape_new(tape, "inside", &VB_SHAPE(s->batch, s->boxes, s->anchors), VB_FLOAT32);
    struct vb_variable nearest[] = { deltas, vb_with_axis(inside, 3) };
    struct vb_variable both[] = { inside, inside };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MAX_OF }, nearest, 2);
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_LESS_NUMBER, .a = -epsilon }, both, 2);
    vb_cpu_number(tape, VB_FLOAT32);
    vb_done(tape, deltas);
    return inside;
}

/* The same of oriented boxes: whether the way from a corner to the centre, along both edges there,
 * is between 0 and the edge. A bool; corners and edges are a few numbers a box. */
static struct vb_variable anchors_inside_oriented(struct vb_tape *tape,
                                                  const struct vb_assignment *s)
{
    struct vb_shape pairs = VB_SHAPE(s->batch, s->boxes, s->anchors, 2);
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_variable away = vb_fresh(tape, "sub", VB_FLOAT32, pairs);
    struct vb_variable along[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct vb_variable products = vb_fresh(tape, "mul", VB_FLOAT32, pairs);
        along[i] = vb_fresh(tape, "sum", VB_FLOAT32, all);
        vb_done(tape, products);
    }
    struct vb_variable inside = vb_fresh(tape, "ge", VB_BOOL, all);
    for (uint32_t i = 0; i < 3; i++) {
        struct vb_variable next = vb_fresh(tape, "le", VB_BOOL, all);
        vb_tape_assign(tape, &inside, vb_fresh(tape, "and", VB_BOOL, all));
        vb_done(tape, next);
    }
    vb_done(tape, along[0]);
    vb_done(tape, along[1]);
    vb_done(tape, away);
    return inside;
}

/* y[mask] = values; the mask's places are found once more. */
static void put_inside(struct vb_tape *tape, const struct vb_assignment *s, struct vb_variable mask,
                       struct vb_variable values, struct vb_variable y)
{
    struct vb_variable operands[VB_MAX_OPERANDS] = { values };
    struct vb_variable places = vb_make(tape, &(struct vb_call){ .op = VB_OP_NONZERO },
                                        &VB_SHAPE(s->n_inside, 3), VB_INT64, &mask, 1);
    uint32_t n = vb_columns(places, operands + 1);
    operands[1 + n] = y;
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_INDEX_PUT }, operands, n + 2);
    vb_done(tape, places);
}

/* The scores of each box's class, for the anchors inside it. `which`: each box's image and class
 * [2,batch,boxes]. */
static void scores_inside(struct vb_tape *tape, const struct vb_assignment *s,
                          struct vb_variable probabilities, struct vb_variable mask,
                          struct vb_variable which, struct vb_variable box_scores)
{
    const struct vb_call count = { .op = VB_OP_RANGE, .b = 1 };
    struct vb_variable images = vb_make(tape, &count, &VB_SHAPE(s->batch), VB_INT64, NULL, 0);
    vb_tape_copy(tape, vb_with_axis(images, 1), vb_at(which, 0, 0));
    vb_tape_copy(tape, labels_of(s), vb_at(which, 0, 1));
    vb_done(tape, images);
    struct vb_variable from[] = { vb_in_axes(probabilities, (uint32_t[]){ 0, 2, 1 }),
                                  vb_at(which, 0, 0), vb_at(which, 0, 1) };
    struct vb_variable picked = vb_make(tape, &(struct vb_call){ .op = VB_OP_INDEX },
                                        &box_scores.shape, box_scores.dtype, from, 3);
    struct vb_variable scores = vb_mask(tape, picked, mask, s->n_inside, &VB_SHAPE(s->n_inside));
    vb_done(tape, picked);
    put_inside(tape, s, mask, scores, box_scores);
    vb_done(tape, scores);
}

/* CIoU of the boxes with the anchors inside them, both gathered as pairs. */
static void overlaps_inside(struct vb_tape *tape, const struct vb_assignment *s,
                            struct vb_variable boxes, struct vb_variable mask,
                            struct vb_variable overlaps, struct vb_variable *pair)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors, s->sides);
    const struct vb_variable sides[] = { vb_expanded(vb_with_axis(boxes, 1), &all),
                                         vb_expanded(vb_with_axis(corners_of(s), 2), &all) };
    for (uint32_t i = 0; i < 2; i++)
        pair[i] = vb_mask(tape, sides[i], mask, s->n_inside, &VB_SHAPE(s->n_inside, s->sides));
    struct vb_variable iou = s->sides == VB_ORIENTED ? vb_probiou(tape, pair[1], pair[0])
                                                     : vb_ciou(tape, pair[1], pair[0], true);
    iou = vb_clamp_in_place(tape, iou);
    put_inside(tape, s, mask, vb_at(iou, 1, 0), overlaps);
    vb_done(tape, iou);
}

/* align = score ** alpha * overlap ** beta. Gives it and the overlaps. */
static struct vb_variable alignment(struct vb_tape *tape, const struct vb_assignment *s,
                                    struct vb_variable probabilities, struct vb_variable boxes,
                                    struct vb_variable inside, struct vb_variable *overlaps)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_variable pair[2];
    struct vb_variable valid = vb_binary(tape, VB_OP_MUL, inside, s->valid);
    struct vb_variable mask = vb_unary(tape, VB_OP_GREATER_NUMBER, valid, 0);
    vb_done(tape, valid);
    *overlaps = vb_filled(tape, "overlaps", 0, VB_FLOAT32, all);
    struct vb_variable scores = vb_filled(tape, "box_scores", 0, probabilities.dtype, all);
    struct vb_variable which =
        vb_filled(tape, "which", 0, VB_INT64, VB_SHAPE(2, s->batch, s->boxes));
    scores_inside(tape, s, probabilities, mask, which, scores);
    overlaps_inside(tape, s, boxes, mask, *overlaps, pair);
    struct vb_variable score_power = vb_unary(tape, VB_OP_POWER, scores, score_exponent);
    struct vb_variable overlap_power = vb_unary(tape, VB_OP_POWER, *overlaps, overlap_exponent);
    struct vb_variable align = vb_binary(tape, VB_OP_MUL, score_power, overlap_power);
    struct vb_variable ended[] = {
        score_power, overlap_power, mask, scores, which, pair[0], pair[1]
    };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return align;
}

/* The best anchors of each box, as places; of what only pads, the first as often. */
static struct vb_variable best_places(struct vb_tape *tape, const struct vb_assignment *s,
                                      struct vb_variable align, struct vb_variable valid,
                                      struct vb_variable *values)
{
    struct vb_shape best = VB_SHAPE(s->batch, s->boxes, s->top_k);
    *values = vb_tape_new(tape, "topk", &best, VB_FLOAT32);
    struct vb_variable places = vb_tape_new(tape, "topk", &best, VB_INT64);
    struct vb_variable all[] = { align, *values, places };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_TOP_K }, all, 3);
    struct vb_variable padding =
        vb_make_named(tape, "not", &(struct vb_call){ .op = VB_OP_LESS_NUMBER, .a = 1 }, &best,
                      VB_BOOL, &valid, 1);
    fill_where(tape, padding, places);
    vb_done(tape, padding);
    return places;
}

/* The best anchors of each box, as a mask: each counted, those counted twice taken out. */
static struct vb_variable best_anchors(struct vb_tape *tape, const struct vb_assignment *s,
                                       struct vb_variable align)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_shape best = VB_SHAPE(s->batch, s->boxes, s->top_k);
    struct vb_variable values = vb_undefined;
    struct vb_variable valid =
        vb_make_named(tape, "valid", &(struct vb_call){ .op = VB_OP_GREATER_NUMBER }, &best,
                      VB_BOOL, &s->valid, 1);
    struct vb_variable places = best_places(tape, s, align, valid, &values);
    /* Of one byte each, as int8. */
    struct vb_variable count = vb_filled(tape, "count", 0, VB_UINT8, all);
    struct vb_variable ones = vb_filled(tape, "ones", 1, VB_UINT8, VB_SHAPE(s->batch, s->boxes, 1));
    struct vb_variable added[] = { places, vb_expanded(ones, &best), count };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SCATTER_ADD }, added, 3);
    struct vb_variable twice = vb_unary(tape, VB_OP_GREATER_NUMBER, count, 1);
    fill_where(tape, twice, count);
    vb_done(tape, twice);
    struct vb_variable mask = vb_make_named(tape, "best", &(struct vb_call){ .op = VB_OP_COPY },
                                            &all, VB_FLOAT32, &count, 1);
    struct vb_variable ended[] = { valid, values, places, count, ones };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return mask;
}

/* The anchors that are among the best of a box and inside it. */
static struct vb_variable positives(struct vb_tape *tape, const struct vb_assignment *s,
                                    struct vb_variable align, struct vb_variable inside)
{
    struct vb_variable best = best_anchors(tape, s, align);
    struct vb_variable both = vb_binary(tape, VB_OP_MUL, best, inside);
    struct vb_variable positive = vb_binary(tape, VB_OP_MUL, both, s->valid);
    vb_done(tape, both);
    vb_done(tape, best);
    return positive;
}

/* Of each box's anchors the best so many. The names live until the claims are settled. */
struct last_best {
    struct vb_variable align, mask;
};

static struct last_best keep_best(struct vb_tape *tape, const struct vb_assignment *s,
                                  struct vb_variable align, struct vb_variable positive)
{
    struct vb_shape best = VB_SHAPE(s->batch, s->boxes, s->top_k_last);
    struct last_best kept = { vb_binary(tape, VB_OP_MUL, align, positive), vb_undefined };
    struct vb_variable values = vb_tape_new(tape, "topk", &best, VB_FLOAT32);
    struct vb_variable places = vb_tape_new(tape, "topk", &best, VB_INT64);
    struct vb_variable all[] = { kept.align, values, places };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_TOP_K }, all, 3);
    vb_done(tape, values);
    kept.mask = vb_filled(tape, "topk mask", 0, VB_FLOAT32, positive.shape);
    struct vb_variable set[] = { places, kept.mask }, both[] = { positive, kept.mask, positive };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SCATTER, .a = 1 }, set, 2);
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MUL }, both, 3);
    vb_done(tape, places);
    return kept;
}

/* s->which: the box of each anchor. Where several claim one, which depends on the network's output,
 * ultralytics makes five more tensors that come and go here; they never are a peak, and are left
 * out: the claims are settled in place, always, for where none contend that changes nothing. */
static struct vb_variable boxes_of_anchors(struct vb_tape *tape, struct vb_assignment *s,
                                           struct vb_variable overlaps, struct vb_variable align,
                                           struct vb_variable positive)
{
    struct last_best kept = { vb_undefined, vb_undefined };
    struct vb_variable claims = over_boxes(tape, "claims", VB_OP_SUM, positive, VB_FLOAT32);
    struct vb_variable most =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_MAX_OF }, &VB_SCALAR, VB_FLOAT32, &claims, 1);
    vb_done(tape, vb_unary(tape, VB_OP_GREATER_NUMBER, most, 1));
    vb_done(tape, most);
    struct vb_variable both[] = { overlaps, positive };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_RESOLVE_CLAIMS }, both, 2);
    if (s->top_k_last > 0)
        kept = keep_best(tape, s, align, positive);
    reduce_boxes(tape, VB_OP_SUM, positive, claims);
    s->which = over_boxes(tape, "which", VB_OP_ARGMAX, positive, VB_INT64);
    vb_done(tape, kept.mask);
    vb_done(tape, kept.align);
    return claims;
}

/* A one-hot class for each anchor in int64; zeros where no box claims it. */
static struct vb_variable one_hot_of(struct vb_tape *tape, const struct vb_assignment *s,
                                     struct vb_variable labels, struct vb_variable claims)
{
    struct vb_shape scores = VB_SHAPE(s->batch, s->anchors, s->classes);
    struct vb_variable one_hot = vb_filled(tape, "one_hot", 0, VB_INT64, scores);
    struct vb_variable set[] = { vb_with_axis(labels, 2), one_hot };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_SCATTER, .a = 1 }, set, 2);
    struct vb_variable seen = vb_with_axis(claims, 2);
    struct vb_variable repeated = vb_make_named(
        tape, "repeat", &(struct vb_call){ .op = VB_OP_COPY }, &scores, VB_FLOAT32, &seen, 1);
    struct vb_variable positive = vb_unary(tape, VB_OP_GREATER_NUMBER, repeated, 0);
    struct vb_variable zero = vb_filled(tape, "zero", 0, VB_INT64, VB_SCALAR);
    struct vb_variable from[] = { positive, one_hot, zero };
    struct vb_variable chosen =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_WHERE }, &scores, VB_INT64, from, 3);
    struct vb_variable ended[] = { zero, positive, one_hot, repeated };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return chosen;
}

/* x[flat] of all images' boxes one after the other: x is [batch,boxes] and maybe more. */
static struct vb_variable of_boxes(struct vb_tape *tape, const char *what, struct vb_variable x,
                                   struct vb_variable flat)
{
    bool ok, has_columns = x.shape.n_dims == 3;
    uint32_t columns = has_columns ? x.shape.dims[2] : 1;
    struct vb_shape rows = VB_SHAPE(x.shape.dims[0] * x.shape.dims[1], columns);
    struct vb_shape out = VB_SHAPE(flat.shape.dims[0], flat.shape.dims[1], columns);
    rows.n_dims -= !has_columns;
    out.n_dims -= !has_columns;
    struct vb_variable from[] = { vb_reshaped(x, &rows, &ok), flat };
    return vb_make_named(tape, what, &(struct vb_call){ .op = VB_OP_INDEX }, &out, x.dtype, from,
                         2);
}

/* What each anchor is to predict: the box, and the class. */
static struct vb_variable wanted(struct vb_tape *tape, struct vb_assignment *s,
                                 struct vb_variable claims, struct vb_variable *labels)
{
    struct vb_variable images = vb_tape_new(tape, "arange", &VB_SHAPE(s->batch, 1), VB_INT64);
    struct vb_variable column = vb_at(images, 1, 0);
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_RANGE, .b = 1 }, &column, 1);
    struct vb_variable first = vb_unary(tape, VB_OP_MUL_NUMBER, images, s->boxes);
    struct vb_variable flat = vb_binary(tape, VB_OP_ADD, s->which, first);
    vb_done(tape, first);
    struct vb_variable known = labels_of(s);
    struct vb_variable whole = vb_make_named(tape, "long", &(struct vb_call){ .op = VB_OP_COPY },
                                             &known.shape, VB_INT64, &known, 1);
    *labels = of_boxes(tape, "labels", whole, flat);
    vb_done(tape, whole);
    s->boxes_wanted = of_boxes(tape, "boxes_wanted", corners_of(s), flat);
    struct vb_variable chosen = one_hot_of(tape, s, *labels, claims);
    vb_done(tape, flat);
    vb_done(tape, images);
    return chosen;
}

static struct vb_variable best_of_box(struct vb_tape *tape, const struct vb_assignment *s,
                                      struct vb_variable x)
{
    return vb_make(tape, &(struct vb_call){ .op = VB_OP_MAX_OF }, &VB_SHAPE(s->batch, s->boxes, 1),
                   VB_FLOAT32, &x, 1);
}

/* The one-hot scores scaled by how well each anchor does against the best of its box. */
static void normalize(struct vb_tape *tape, struct vb_assignment *s, struct vb_variable align,
                      struct vb_variable overlaps, struct vb_variable positive,
                      struct vb_variable chosen, struct vb_variable claims)
{
    struct vb_variable in_place[] = { align, positive, align };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MUL }, in_place, 3);
    struct vb_variable best_align = best_of_box(tape, s, align);
    struct vb_variable masked = vb_binary(tape, VB_OP_MUL, overlaps, positive);
    struct vb_variable best_overlap = best_of_box(tape, s, masked);
    vb_done(tape, masked);
    struct vb_variable scaled = vb_binary(tape, VB_OP_MUL, align, best_overlap);
    struct vb_variable above = vb_unary(tape, VB_OP_ADD_NUMBER, best_align, epsilon);
    struct vb_variable ratio = vb_binary(tape, VB_OP_DIV, scaled, above);
    vb_done(tape, scaled);
    vb_done(tape, above);
    struct vb_variable norm = over_boxes(tape, "amax", VB_OP_MAX_OF, ratio, VB_FLOAT32);
    vb_done(tape, ratio);
    struct vb_variable from[] = { chosen, vb_with_axis(norm, 2) };
    s->scores_wanted = vb_make_named(tape, "scores_wanted", &(struct vb_call){ .op = VB_OP_MUL },
                                     &chosen.shape, VB_FLOAT32, from, 2);
    vb_done(tape, chosen);
    s->foreground =
        vb_make_named(tape, "foreground", &(struct vb_call){ .op = VB_OP_GREATER_NUMBER },
                      &claims.shape, VB_BOOL, &claims, 1);
    vb_done(tape, norm);
    vb_done(tape, best_align);
    vb_done(tape, best_overlap);
}

/* The assigner proper, once its arguments are made: predictions as probabilities and in pixels. */
static void assign_all(struct vb_tape *tape, struct vb_assignment *s,
                       struct vb_variable probabilities, struct vb_variable boxes,
                       struct vb_variable centres)
{
    struct vb_variable overlaps = vb_undefined;
    struct vb_variable labels = vb_undefined;
    struct vb_variable inside = s->sides == VB_ORIENTED ? anchors_inside_oriented(tape, s)
                                                        : anchors_inside(tape, s, centres);
    struct vb_variable align = alignment(tape, s, probabilities, boxes, inside, &overlaps);
    struct vb_variable positive = positives(tape, s, align, inside);
    vb_done(tape, inside);
    struct vb_variable claims = boxes_of_anchors(tape, s, overlaps, align, positive);
    struct vb_variable chosen = wanted(tape, s, claims, &labels);
    normalize(tape, s, align, overlaps, positive, chosen, claims);

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
    struct vb_variable pixels = vb_binary(tape, VB_OP_MUL, boxes, s->strides);
    struct vb_variable typed = vb_tape_cast(tape, pixels, VB_FLOAT32);
    vb_done(tape, pixels);
    struct vb_variable centres = vb_binary(tape, VB_OP_MUL, s->centres, s->strides);
    assign_all(tape, s, probabilities, typed, centres);
    vb_done(tape, probabilities);
    vb_done(tape, typed);
    vb_done(tape, centres);
    tape->is_grad_off = was_off;
}
