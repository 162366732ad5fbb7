/* SPDX-License-Identifier: Apache-2.0 */
/* The term of masks. Image after image the prototypes are multiplied with the coefficients of its
 * foreground anchors. Crops are by comparison, as on CUDA; 8.3.215
 * to 8.3.223 cut fewer than 50 masks in place instead, which is not told apart. */

#include "step/layers.h"
#include "step/loss_tasks.h"
#include "step/math.h"
#include "step/planned.h"
#include "step/view.h"

enum { MASK_RATIO = 4, SIDES = 4 };

/* What the loop over images names. */
struct names {
    struct vb_variable which, wanted; /* the boxes of its anchors, and their masks */
    struct vb_variable sum;
};

struct vb_variable vb_upload_own(struct vb_tape *tape, const struct vb_graph *graph,
                                 const struct vb_targets *targets)
{
    const uint32_t *dims = graph->values[0].shape.dims;
    if (graph->task == VB_TASK_SEGMENT)
        return vb_fresh(tape, "masks", VB_UINT8,
                        VB_SHAPE(dims[0], dims[2] / MASK_RATIO, dims[3] / MASK_RATIO));
    if (graph->task == VB_TASK_POSE)
        return vb_fresh(tape, "keypoints", VB_FLOAT32,
                        VB_SHAPE(targets->n, graph->n_keypoints, graph->keypoint_values));
    return vb_undefined;
}

/* The image's share of the foreground anchors. */
static uint32_t count_anchors(const struct vb_own *own, uint32_t image)
{
    const struct vb_targets *targets = own->targets;
    uint64_t before = 0, here = 0;
    for (uint32_t i = 0; i < targets->n; i++) {
        before += targets->items[i].image < image;
        here += targets->items[i].image == image;
    }
    uint64_t all = own->assignment->n_foreground;
    if (targets->n == 0)
        return 0;
    return (uint32_t)(all * (before + here) / targets->n - all * before / targets->n);
}

/* masks == which + 1, as numbers: each is there before the name lets go of the one before. */
static void make_wanted(struct vb_tape *tape, const struct vb_shape *planes, struct names *names)
{
    uint32_t n = planes->dims[0];
    vb_passing(tape, "nonzero", VB_INT64, VB_SHAPE(n, 1));
    vb_tape_assign(tape, &names->which, vb_fresh(tape, "which", VB_INT64, VB_SHAPE(n)));
    struct vb_variable next = vb_fresh(tape, "add", VB_INT64, VB_SHAPE(n));
    vb_tape_assign(tape, &names->wanted, vb_fresh(tape, "eq", VB_BOOL, *planes));
    vb_done(tape, next);
    vb_tape_assign(tape, &names->wanted, vb_fresh(tape, "masks_wanted", VB_FLOAT32, *planes));
}

/* loss * ((r >= x1) * (r < x2) * (c >= y1) * (c < y2)): what is within is kept as bools. */
static struct vb_variable crop(struct vb_tape *tape, struct vb_variable loss)
{
    const uint32_t *dims = loss.shape.dims;
    struct vb_shape rows = VB_SHAPE(dims[0], 1, dims[2]), columns = VB_SHAPE(dims[0], dims[1], 1);
    struct vb_variable across = vb_fresh(tape, "arange", VB_FLOAT32, VB_SHAPE(dims[2]));
    struct vb_variable down = vb_fresh(tape, "arange", VB_FLOAT32, VB_SHAPE(dims[1]));
    struct vb_variable in_rows = vb_fresh(tape, "mul", VB_BOOL, rows);
    struct vb_variable below = vb_fresh(tape, "ge", VB_BOOL, columns);
    struct vb_variable half = vb_fresh(tape, "mul", VB_BOOL, loss.shape);
    struct vb_variable above = vb_fresh(tape, "lt", VB_BOOL, columns);
    struct vb_variable within = vb_fresh(tape, "mul", VB_BOOL, loss.shape);
    struct vb_variable ended[] = { in_rows, below, half, above };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    struct vb_variable cropped = vb_binary(tape, VB_OP_MUL, loss, within);
    vb_done(tape, within);
    vb_done(tape, across);
    vb_done(tape, down);
    return cropped;
}

/* One image's: the masks of its anchors are products of coefficients [n,k] and prototypes. */
static struct vb_variable mask_loss(struct vb_tape *tape, struct vb_variable coefficients,
                                    struct vb_variable prototypes, struct vb_variable wanted)
{
    const uint32_t *dims = prototypes.shape.dims;
    uint32_t n = coefficients.shape.dims[0];
    struct vb_variable flat = vb_view(tape, prototypes, &VB_SHAPE(dims[0], dims[1] * dims[2]));
    struct vb_variable product = vb_matmul(tape, coefficients, flat);
    vb_done(tape, flat);
    struct vb_variable masks = vb_view(tape, product, &VB_SHAPE(n, dims[1], dims[2]));
    vb_done(tape, product);
    struct vb_variable each = vb_bce(tape, masks, wanted);
    struct vb_variable cropped = crop(tape, each);
    struct vb_variable mean = vb_planned_plane_mean(tape, cropped);
    vb_done(tape, cropped);
    struct vb_variable area = vb_fresh(tape, "area", VB_FLOAT32, VB_SHAPE(n));
    struct vb_variable relative = vb_binary(tape, VB_OP_DIV, mean, area);
    vb_done(tape, mean);
    struct vb_variable sum = vb_sum(tape, relative);
    struct vb_variable ended[] = { relative, area, each, masks };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return sum;
}

/* An image without anchors: (x * 0).sum(), so that what is unused has a gradient all the same. */
static struct vb_variable nothing_of(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable zeros = vb_unary(tape, VB_OP_MUL_NUMBER, x, 0);
    struct vb_variable sum = vb_sum(tape, zeros);
    vb_done(tape, zeros);
    return sum;
}

static struct vb_variable empty_part(struct vb_tape *tape, const struct vb_own *own)
{
    struct vb_variable of_prototypes = nothing_of(tape, own->prototypes);
    struct vb_variable of_values = nothing_of(tape, own->values);
    struct vb_variable both = vb_binary(tape, VB_OP_ADD, of_prototypes, of_values);
    vb_done(tape, of_prototypes);
    vb_done(tape, of_values);
    return both;
}

static struct vb_variable image_part(struct vb_tape *tape, const struct vb_own *own, uint32_t image,
                                     struct vb_variable values, struct vb_variable prototypes,
                                     struct names *names)
{
    uint32_t n = count_anchors(own, image);
    const uint32_t *dims = prototypes.shape.dims;
    if (n == 0)
        return empty_part(tape, own);
    make_wanted(tape, &VB_SHAPE(n, dims[1], dims[2]), names);
    struct vb_variable mask = vb_at(own->assignment->foreground, 0, image);
    struct vb_variable picked =
        vb_mask_rows(tape, values, mask, n, &VB_SHAPE(n, values.shape.dims[1]));
    vb_passing(tape, "nonzero", VB_INT64, VB_SHAPE(n, 1));
    struct vb_variable boxes = vb_fresh(tape, "boxes", VB_FLOAT32, VB_SHAPE(n, SIDES));
    struct vb_variable part = mask_loss(tape, picked, prototypes, names->wanted);
    vb_done(tape, boxes);
    vb_done(tape, picked);
    return part;
}

/* sum += part; the first is added to Python's 0. */
static void add_part(struct vb_tape *tape, struct vb_variable *sum, struct vb_variable part)
{
    if (vb_is_defined(sum))
        vb_add_in_place(tape, sum, part);
    else
        *sum = vb_unary(tape, VB_OP_ADD_NUMBER, part, 0);
    vb_done(tape, part);
}

/* The boxes that anchors are to predict: as shares of the image, their areas, and in cells of the
 * masks. */
static void make_boxes(struct vb_tape *tape, const struct vb_assignment *s,
                       struct vb_variable *boxes)
{
    struct vb_shape all = VB_SHAPE(s->batch, s->anchors, SIDES);
    boxes[0] = vb_fresh(tape, "boxes_normalized", VB_FLOAT32, all);
    struct vb_variable centred = vb_fresh(tape, "xyxy2xywh", VB_FLOAT32, all);
    boxes[1] = vb_fresh(tape, "areas", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors));
    vb_done(tape, centred);
    boxes[2] = vb_fresh(tape, "boxes_in_masks", VB_FLOAT32, all);
}

struct vb_variable vb_mask_part(struct vb_tape *tape, const struct vb_own *own)
{
    uint32_t n = own->assignment->batch;
    struct vb_arena *arena = tape->program->arena;
    struct vb_variable *values = vb_arena_alloc(arena, n, sizeof *values);
    struct vb_variable *prototypes = vb_arena_alloc(arena, n, sizeof *prototypes);
    struct names names = { vb_undefined, vb_undefined, vb_undefined };
    struct vb_variable boxes[3];
    if (values == NULL || prototypes == NULL)
        tape->program->failed = true;
    if (tape->program->failed)
        return vb_undefined;
    struct vb_variable masks = vb_fresh(tape, "masks", VB_FLOAT32, own->labels.shape);
    make_boxes(tape, own->assignment, boxes);
    vb_planned_unbind(tape, own->values, values);
    vb_planned_unbind(tape, own->prototypes, prototypes);
    for (uint32_t i = 0; i < n; i++)
        add_part(tape, &names.sum, image_part(tape, own, i, values[i], prototypes[i], &names));
    struct vb_variable count = vb_count(tape, own->assignment->foreground);
    struct vb_variable mean = vb_binary(tape, VB_OP_DIV, names.sum, count);
    for (uint32_t i = 0; i < n; i++) {
        vb_done(tape, values[i]);
        vb_done(tape, prototypes[i]);
    }
    struct vb_variable ended[] = { count,    names.sum, names.which, names.wanted,
                                   boxes[0], boxes[1],  boxes[2],    masks };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return mean;
}
