/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of keypoints: how far each is from where it should be, relative to the box's area, and
 * whether it is seen. */

#include "step/layers.h"
#include "step/loss_tasks.h"
#include "step/math.h"
#include "step/planned.h"

enum { SIDES = 4 };

struct vb_variable vb_decode_keypoints(struct vb_tape *tape, const struct vb_graph *graph,
                                       struct vb_variable values)
{
    uint32_t n = values.shape.dims[0], anchors = values.shape.dims[1];
    uint32_t points = graph->n_keypoints;
    struct vb_variable shaped =
        vb_view(tape, values, &VB_SHAPE(n, anchors, points, graph->keypoint_values));
    struct vb_variable y = vb_planned_clone(tape, shaped);
    vb_planned_update(tape, &y, &VB_SHAPE(n, anchors, points, 2));
    for (uint32_t axis = 0; axis < 2; axis++) {
        struct vb_variable centre = vb_fresh(tape, "index", y.dtype, VB_SHAPE(anchors, 1));
        vb_passing(tape, "sub", y.dtype, VB_SHAPE(anchors, 1));
        vb_planned_update(tape, &y, &VB_SHAPE(n, anchors, points));
        vb_done(tape, centre);
    }
    vb_done(tape, shaped);
    vb_done(tape, values);
    return y;
}

/* The keypoints of each anchor's box, [N,anchors,points,values], in cells. */
static struct vb_variable select_keypoints(struct vb_tape *tape, const struct vb_own *own)
{
    const struct vb_graph *graph = own->graph;
    const struct vb_assignment *s = own->assignment;
    uint32_t points = graph->n_keypoints, values = graph->keypoint_values;
    struct vb_shape padded = VB_SHAPE(s->batch, s->boxes, points, values);
    struct vb_variable batched = vb_fresh(tape, "keypoints", VB_FLOAT32, padded);
    vb_passing(tape, "keypoints", VB_FLOAT32, VB_SHAPE(s->boxes, points, values));
    struct vb_variable selected = vb_fresh(tape, "keypoints_wanted", VB_FLOAT32,
                                           VB_SHAPE(s->batch, s->anchors, points, values));
    vb_done(tape, batched);
    return selected;
}

/* (x - wanted) ** 2 along one axis. */
static struct vb_variable square(struct vb_tape *tape, struct vb_variable points, uint32_t axis)
{
    const uint32_t *dims = points.shape.dims;
    struct vb_variable x = vb_select_last(tape, points, axis);
    struct vb_variable wanted = vb_fresh(tape, "wanted", VB_FLOAT32, VB_SHAPE(dims[0], dims[1]));
    struct vb_variable apart = vb_binary(tape, VB_OP_SUB, x, wanted);
    struct vb_variable y = vb_unary(tape, VB_OP_POWER, apart, 2);
    vb_done(tape, apart);
    vb_done(tape, wanted);
    vb_done(tape, x);
    return y;
}

/* The mean of factor * (1 - exp(-d / size)) * mask; `factor` [n,1], `size` and mask [n,points]. */
static struct vb_variable place_part(struct vb_tape *tape, struct vb_variable points,
                                     struct vb_variable mask)
{
    const uint32_t *dims = points.shape.dims;
    struct vb_variable across = square(tape, points, 0), down = square(tape, points, 1);
    struct vb_variable distance = vb_binary(tape, VB_OP_ADD, across, down);
    vb_done(tape, across);
    vb_done(tape, down);
    struct vb_variable factor = vb_fresh(tape, "factor", VB_FLOAT32, VB_SHAPE(dims[0], 1));
    struct vb_variable size = vb_fresh(tape, "mul", VB_FLOAT32, VB_SHAPE(dims[0], dims[1]));
    struct vb_variable relative = vb_binary(tape, VB_OP_DIV, distance, size);
    vb_done(tape, size);
    struct vb_variable minus = vb_unary(tape, VB_OP_SUBTRACT_FROM, relative, 0);
    struct vb_variable likeness = vb_planned_unary(tape, &vb_planned_exp, minus);
    vb_done(tape, minus);
    struct vb_variable error = vb_unary(tape, VB_OP_SUBTRACT_FROM, likeness, 1);
    vb_done(tape, likeness);
    struct vb_variable masked = vb_binary(tape, VB_OP_MUL, error, mask);
    vb_done(tape, error);
    struct vb_variable weighted = vb_binary(tape, VB_OP_MUL, masked, factor);
    vb_done(tape, masked);
    struct vb_variable mean = vb_mean(tape, weighted);
    struct vb_variable ended[] = { weighted, relative, factor, distance };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return mean;
}

static struct vb_variable seen_part(struct vb_tape *tape, struct vb_variable points,
                                    struct vb_variable mask)
{
    struct vb_variable logits = vb_select_last(tape, points, 2);
    struct vb_variable target = vb_fresh(tape, "float", VB_FLOAT32, mask.shape);
    struct vb_variable part = vb_bce_mean(tape, logits, target, vb_undefined);
    vb_done(tape, target);
    vb_done(tape, logits);
    return part;
}

/* The rows of the foreground anchors: [n,points,values]. */
static struct vb_variable rows_of(struct vb_tape *tape, const struct vb_own *own)
{
    const struct vb_assignment *s = own->assignment;
    struct vb_shape rows =
        VB_SHAPE(s->n_foreground, own->graph->n_keypoints, own->graph->keypoint_values);
    struct vb_variable flat =
        vb_view(tape, own->values, &VB_SHAPE(s->batch, s->anchors, rows.dims[1] * rows.dims[2]));
    struct vb_variable picked = vb_mask_rows(tape, flat, s->foreground, s->n_foreground,
                                             &VB_SHAPE(s->n_foreground, flat.shape.dims[2]));
    vb_done(tape, flat);
    struct vb_variable shaped = vb_view(tape, picked, &rows);
    vb_done(tape, picked);
    return shaped;
}

void vb_keypoint_parts(struct vb_tape *tape, const struct vb_own *own, struct vb_variable *place,
                       struct vb_variable *seen)
{
    const struct vb_assignment *s = own->assignment;
    uint32_t n = s->n_foreground, points = own->graph->n_keypoints;
    struct vb_variable known = vb_fresh(tape, "clone", VB_FLOAT32, own->labels.shape);
    struct vb_variable selected = select_keypoints(tape, own);
    struct vb_variable wanted =
        vb_fresh(tape, "index", VB_FLOAT32, VB_SHAPE(n, points, own->graph->keypoint_values));
    vb_passing(tape, "boxes", VB_FLOAT32, VB_SHAPE(n, SIDES));
    struct vb_variable area = vb_fresh(tape, "area", VB_FLOAT32, VB_SHAPE(n, 1));
    struct vb_variable rows = rows_of(tape, own);
    struct vb_variable mask = vb_fresh(tape, "ne", VB_BOOL, VB_SHAPE(n, points));
    *place = place_part(tape, rows, mask);
    *seen = own->graph->keypoint_values == 3 ? seen_part(tape, rows, mask) : vb_undefined;
    struct vb_variable ended[] = { mask, rows, area, wanted, selected, known };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
}
