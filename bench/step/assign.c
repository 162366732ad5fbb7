/* SPDX-License-Identifier: Apache-2.0 */
/* In the order in which it allocates. Source: torch-memory.md, part B, section 7, steps 3 to 7. */

#include "step/assign.h"

#include "step/loss.h"
#include "step/math.h"

enum { TOP_K = 10 };

static struct vb_variable fresh(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                                struct vb_shape shape)
{
    struct vb_variable y = vb_tape_new(tape, what, &shape, dtype);
    vb_tape_run(tape, what, (double)vb_shape_elements(&shape), &y, 1);
    return y;
}

static void passing(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                    struct vb_shape shape)
{
    vb_tape_drop(tape, fresh(tape, what, dtype, shape));
}

/* mask_in_gts: the distances of each anchor to each box's four edges, and their least. */
static struct vb_variable anchors_inside(struct vb_tape *tape, const struct vb_assignment *s)
{
    struct vb_shape pairs = VB_SHAPE(s->batch, s->boxes, s->anchors, 2);
    struct vb_variable low = fresh(tape, "to_left_top", VB_FLOAT32, pairs);
    struct vb_variable high = fresh(tape, "to_right_bottom", VB_FLOAT32, pairs);
    struct vb_variable deltas =
        fresh(tape, "deltas", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes, s->anchors, 4));
    vb_done(tape, high);
    vb_done(tape, low);
    struct vb_variable inside =
        fresh(tape, "inside", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes, s->anchors));
    vb_done(tape, deltas);
    return inside;
}

/* CIoU of the boxes with the anchors inside them, written into `overlaps`. */
static void overlaps_of(struct vb_tape *tape, const struct vb_assignment *s,
                        struct vb_variable *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct vb_variable places = fresh(tape, "nonzero", VB_INT64, VB_SHAPE(s->n_inside, 3));
        pair[i] = fresh(tape, "boxes", VB_FLOAT32, VB_SHAPE(s->n_inside, 4));
        vb_done(tape, places);
    }
    struct vb_variable iou = vb_ciou(tape, pair[0], pair[1], true);
    passing(tape, "nonzero", VB_INT64, VB_SHAPE(s->n_inside, 3));
    vb_done(tape, iou);
}

/* align = score ** alpha * overlap ** beta. Gives it and the overlaps. */
static struct vb_variable alignment(struct vb_tape *tape, const struct vb_assignment *s,
                                    struct vb_variable inside, enum vb_dtype dtype,
                                    struct vb_variable *overlaps)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_variable product = vb_unary(tape, VB_SCALE, inside);
    struct vb_variable mask = fresh(tape, "mask", VB_BOOL, all);
    vb_done(tape, product);
    *overlaps = fresh(tape, "overlaps", VB_FLOAT32, all);
    struct vb_variable box_scores = fresh(tape, "box_scores", dtype, all);
    struct vb_variable which = fresh(tape, "which", VB_INT64, VB_SHAPE(2, s->batch, s->boxes));
    struct vb_variable picked = fresh(tape, "index", dtype, all);
    struct vb_variable places = fresh(tape, "nonzero", VB_INT64, VB_SHAPE(s->n_inside, 3));
    struct vb_variable scores = fresh(tape, "index", dtype, VB_SHAPE(s->n_inside));
    vb_done(tape, places);
    vb_done(tape, picked);
    passing(tape, "nonzero", VB_INT64, VB_SHAPE(s->n_inside, 3));
    vb_done(tape, scores);

    struct vb_variable pair[2];
    overlaps_of(tape, s, pair);
    struct vb_variable score_power = fresh(tape, "pow", VB_FLOAT32, all);
    struct vb_variable overlap_power = fresh(tape, "pow", VB_FLOAT32, all);
    struct vb_variable align = fresh(tape, "align", VB_FLOAT32, all);
    struct vb_variable ended[] = { score_power, overlap_power, mask,   box_scores,
                                   which,       pair[0],       pair[1] };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return align;
}

/* The ten best anchors of each box, as a mask. */
static struct vb_variable best_anchors(struct vb_tape *tape, const struct vb_assignment *s)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->boxes, s->anchors);
    struct vb_shape best = VB_SHAPE(s->batch, s->boxes, TOP_K);
    struct vb_variable valid = fresh(tape, "valid", VB_BOOL, best);
    struct vb_variable values = fresh(tape, "topk", VB_FLOAT32, best);
    struct vb_variable places = fresh(tape, "topk", VB_INT64, best);
    struct vb_variable count = fresh(tape, "count", VB_BOOL, all);
    passing(tape, "several", VB_BOOL, all);
    struct vb_variable mask = fresh(tape, "best", VB_FLOAT32, all);
    vb_done(tape, valid);
    vb_done(tape, values);
    vb_done(tape, places);
    vb_done(tape, count);
    return mask;
}

/* What each anchor is to predict: the box, and a one-hot class in int64. */
static struct vb_variable wanted(struct vb_tape *tape, struct vb_assignment *s,
                                 struct vb_variable *labels)
{
    struct vb_shape scores = VB_SHAPE(s->batch, s->anchors, s->classes);
    struct vb_variable flat = vb_unary(tape, VB_SHIFT, s->which);
    struct vb_variable long_labels = fresh(tape, "long", VB_INT64, VB_SHAPE(s->batch, s->boxes));
    *labels = fresh(tape, "labels", VB_INT64, VB_SHAPE(s->batch, s->anchors));
    vb_done(tape, long_labels);
    s->boxes_wanted = fresh(tape, "boxes_wanted", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors, 4));
    struct vb_variable one_hot = fresh(tape, "one_hot", VB_INT64, scores);
    struct vb_variable repeated = fresh(tape, "foreground", VB_FLOAT32, scores);
    struct vb_variable positive = fresh(tape, "positive", VB_BOOL, scores);
    struct vb_variable chosen = fresh(tape, "where", VB_INT64, scores);
    vb_done(tape, positive);
    vb_done(tape, one_hot);
    vb_done(tape, flat);
    vb_done(tape, repeated);
    return chosen;
}

/* The one-hot scores scaled by how well each anchor does against the best of its box. */
static void normalize(struct vb_tape *tape, struct vb_assignment *s, struct vb_variable align,
                      struct vb_variable overlaps, struct vb_variable chosen)
{
    struct vb_variable best_align = fresh(tape, "amax", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes));
    struct vb_variable masked = vb_unary(tape, VB_SCALE, overlaps);
    struct vb_variable best_overlap = fresh(tape, "amax", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes));
    vb_done(tape, masked);
    struct vb_variable scaled = vb_unary(tape, VB_SCALE, align);
    struct vb_variable ratio = vb_unary(tape, VB_SCALE, scaled);
    vb_done(tape, scaled);
    struct vb_variable norm = fresh(tape, "amax", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors));
    vb_done(tape, ratio);
    s->scores_wanted = fresh(tape, "scores_wanted", VB_FLOAT32, chosen.shape);
    vb_done(tape, chosen);
    s->foreground = fresh(tape, "foreground", VB_BOOL, VB_SHAPE(s->batch, s->anchors));
    vb_done(tape, norm);
    vb_done(tape, best_align);
    vb_done(tape, best_overlap);
}

void vb_assign_targets(struct vb_tape *tape, struct vb_assignment *s, struct vb_variable scores,
                       struct vb_variable boxes)
{
    bool was_off = tape->is_grad_off;
    tape->is_grad_off = true;
    struct vb_variable probabilities = vb_unary(tape, VB_SIGMOID, scores);
    struct vb_variable pixels = vb_unary(tape, VB_SCALE, boxes);
    struct vb_variable typed = vb_tape_cast(tape, pixels, VB_FLOAT32);
    vb_done(tape, pixels);
    struct vb_variable centres = fresh(tape, "centres", boxes.dtype, VB_SHAPE(s->anchors, 2));

    struct vb_variable overlaps = vb_undefined;
    struct vb_variable labels = vb_undefined;
    struct vb_variable inside = anchors_inside(tape, s);
    struct vb_variable align = alignment(tape, s, inside, scores.dtype, &overlaps);
    struct vb_variable best = best_anchors(tape, s);
    struct vb_variable both = vb_binary(tape, VB_TIMES, best, inside);
    struct vb_variable positive = vb_unary(tape, VB_SCALE, both);
    vb_done(tape, both);
    vb_done(tape, inside);
    vb_done(tape, best);
    struct vb_variable per_anchor =
        fresh(tape, "foreground", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors));
    s->which = fresh(tape, "which", VB_INT64, VB_SHAPE(s->batch, s->anchors));
    struct vb_variable chosen = wanted(tape, s, &labels);
    normalize(tape, s, align, overlaps, chosen);

    struct vb_variable ended[] = { positive,      align, overlaps, per_anchor,
                                   probabilities, typed, centres,  labels };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    tape->is_grad_off = was_off;
}
