/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv8's loss: all anchors' predictions side by side, boxes as distributions over distances, the
 * assigner's targets, then binary cross entropy on every class score and CIoU and distribution
 * focal loss on the foreground anchors. */

#include "step/assign.h"
#include "step/layers.h"
#include "step/loss.h"
#include "step/math.h"

enum { BINS = 16, SIDES = 4, DISTANCES = BINS * SIDES, MAX_LEVELS = 8, TERMS = 3 };

static struct vb_variable fresh(struct vb_tape *tape, const char *what, enum vb_dtype dtype,
                                struct vb_shape shape)
{
    struct vb_variable y = vb_tape_new(tape, what, &shape, dtype);
    vb_tape_run(tape, what, (double)vb_shape_elements(&shape), &y, 1);
    return y;
}

/* What the loss names. */
struct names {
    struct vb_variable loss, scores, distances, centres, strides, boxes_known, valid, boxes;
    struct vb_variable in_cells;
    struct vb_variable score_sum; /* of what is wanted: every term is divided by it */
};

static uint32_t count_anchors(const struct vb_graph *graph)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_levels; i++)
        n += graph->levels[i].grid_h * graph->levels[i].grid_w;
    return n;
}

/* [N,anchors,k] from one half of the levels' channels: a permuted view, copied into order. */
static struct vb_variable last_axis(struct vb_tape *tape, struct vb_variable channels)
{
    struct vb_variable view = vb_permute(tape, channels, (uint32_t[]){ 0, 2, 1 });
    struct vb_variable copy = vb_contiguous(tape, view);
    vb_done(tape, view);
    return copy;
}

static void side_by_side(struct vb_tape *tape, const struct vb_graph *graph,
                         const struct vb_variable *predictions, struct names *names)
{
    struct vb_variable flat[MAX_LEVELS];
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const uint32_t *dims = predictions[i].shape.dims;
        flat[i] = vb_view(tape, predictions[i], &VB_SHAPE(dims[0], dims[1], dims[2] * dims[3]));
    }
    struct vb_variable all = vb_concat(tape, flat, graph->n_levels, 2);
    struct vb_variable halves[2];
    vb_split(tape, all, 1, (uint32_t[]){ DISTANCES, graph->classes }, 2, halves);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        vb_done(tape, flat[i]);
    vb_done(tape, all);
    names->scores = last_axis(tape, halves[1]);
    names->distances = last_axis(tape, halves[0]);
    vb_done(tape, halves[0]);
    vb_done(tape, halves[1]);
}

/* Cell centres and strides of all anchors, and the boxes padded to as many an image. */
static void prepare(struct vb_tape *tape, const struct vb_assignment *s,
                    const struct vb_targets *targets, enum vb_dtype dtype, struct names *names)
{
    names->centres = fresh(tape, "centres", dtype, VB_SHAPE(s->anchors, 2));
    names->strides = fresh(tape, "strides", dtype, VB_SHAPE(s->anchors, 1));
    struct vb_variable listed = fresh(tape, "targets", VB_FLOAT32, VB_SHAPE(targets->n, 6));
    names->boxes_known = fresh(tape, "boxes", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes, 5));
    vb_done(tape, listed);
    names->valid = fresh(tape, "valid", VB_FLOAT32, VB_SHAPE(s->batch, s->boxes));
}

/* Each side's distance is the mean of its distribution; corners from it. */
static void decode(struct vb_tape *tape, const struct vb_assignment *s, struct names *names,
                   struct vb_variable projection)
{
    struct vb_variable bins =
        vb_view(tape, names->distances, &VB_SHAPE(s->batch, s->anchors, SIDES, BINS));
    struct vb_variable likely = vb_softmax(tape, bins);
    vb_done(tape, bins);
    struct vb_variable mean = vb_matvec(tape, likely, projection);
    vb_done(tape, likely);
    struct vb_variable halves[2];
    vb_split(tape, mean, 2, (uint32_t[]){ 2, 2 }, 2, halves);
    struct vb_variable corners[2] = { vb_binary(tape, VB_MINUS, names->centres, halves[0]),
                                      vb_binary(tape, VB_PLUS, names->centres, halves[1]) };
    names->boxes = vb_concat(tape, corners, 2, 2);
    vb_done(tape, halves[0]);
    vb_done(tape, halves[1]);
    vb_done(tape, corners[0]);
    vb_done(tape, corners[1]);
    vb_done(tape, mean);
}

/* sum(x) / total as an entry of the loss. */
static void into_loss(struct vb_tape *tape, struct names *names, struct vb_variable x)
{
    struct vb_variable sum = vb_sum(tape, x);
    struct vb_variable part = vb_binary(tape, VB_OVER, sum, names->score_sum);
    vb_done(tape, sum);
    vb_add_in_place(tape, &names->loss, part);
    vb_done(tape, part);
}

static void score_term(struct vb_tape *tape, const struct vb_assignment *s, struct names *names)
{
    struct vb_variable typed = vb_tape_cast(tape, s->scores_wanted, names->scores.dtype);
    struct vb_variable each = vb_bce(tape, names->scores, typed);
    vb_done(tape, typed);
    into_loss(tape, names, each);
    vb_done(tape, each);
}

/* The rows of the foreground anchors. */
static struct vb_variable rows(struct vb_tape *tape, const struct vb_assignment *s,
                               struct vb_variable x, uint32_t columns)
{
    return vb_mask_rows(tape, x, s->foreground, s->n_foreground,
                        &VB_SHAPE(s->n_foreground, columns));
}

static struct vb_variable iou_term(struct vb_tape *tape, const struct vb_assignment *s,
                                   struct names *names, struct vb_variable *iou)
{
    struct vb_variable per_anchor =
        fresh(tape, "sum", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors, 1));
    struct vb_variable weight = rows(tape, s, per_anchor, 1);
    vb_done(tape, per_anchor);
    struct vb_variable predicted = rows(tape, s, names->boxes, SIDES);
    struct vb_variable wanted = rows(tape, s, names->in_cells, SIDES);
    *iou = vb_ciou(tape, predicted, wanted, true);
    vb_done(tape, predicted);
    vb_done(tape, wanted);
    struct vb_variable missing = vb_unary(tape, VB_SUBTRACT_FROM, *iou);
    struct vb_variable weighted = vb_binary(tape, VB_TIMES, missing, weight);
    vb_done(tape, missing);
    into_loss(tape, names, weighted);
    vb_done(tape, weighted);
    return weight;
}

/* Cross entropy with one of the two bins beside the wanted distance, weighted by its nearness. */
static struct vb_variable bin_term(struct vb_tape *tape, struct vb_variable rows_of_bins,
                                   struct vb_variable bin, struct vb_variable nearness)
{
    struct vb_variable likely = vb_log_softmax(tape, rows_of_bins);
    struct vb_variable each = vb_nll(tape, likely, bin);
    vb_done(tape, likely);
    struct vb_variable shaped = vb_view(tape, each, &nearness.shape);
    vb_done(tape, each);
    struct vb_variable weighted = vb_binary(tape, VB_TIMES, shaped, nearness);
    vb_done(tape, shaped);
    return weighted;
}

static void distribution_term(struct vb_tape *tape, const struct vb_assignment *s,
                              struct names *names, struct vb_variable weight)
{
    uint32_t n = s->n_foreground;
    struct vb_shape half = VB_SHAPE(s->batch, s->anchors, 2);
    struct vb_variable low = fresh(tape, "sub", VB_FLOAT32, half);
    struct vb_variable high = fresh(tape, "sub", VB_FLOAT32, half);
    struct vb_variable sides = fresh(tape, "sides", VB_FLOAT32, VB_SHAPE(s->batch, s->anchors, 4));
    vb_done(tape, high);
    vb_done(tape, low);
    struct vb_variable picked = rows(tape, s, names->distances, DISTANCES);
    struct vb_variable bins = vb_view(tape, picked, &VB_SHAPE(n * SIDES, BINS));
    vb_done(tape, picked);
    struct vb_variable wanted = rows(tape, s, sides, SIDES);
    struct vb_variable left = fresh(tape, "long", VB_INT64, wanted.shape);
    struct vb_variable right = vb_unary(tape, VB_SHIFT, left);
    struct vb_variable near_left = vb_binary(tape, VB_MINUS, wanted, wanted);
    struct vb_variable near_right = vb_unary(tape, VB_SUBTRACT_FROM, near_left);
    struct vb_variable a = bin_term(tape, bins, left, near_left);
    struct vb_variable b = bin_term(tape, bins, right, near_right);
    struct vb_variable both = vb_binary(tape, VB_PLUS, a, b);
    vb_done(tape, a);
    vb_done(tape, b);
    struct vb_variable mean = vb_row_mean(tape, both);
    struct vb_variable ended[] = { both, bins, wanted, left, right, near_left, near_right };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    struct vb_variable weighted = vb_binary(tape, VB_TIMES, mean, weight);
    vb_done(tape, mean);
    into_loss(tape, names, weighted);
    vb_done(tape, weighted);
    vb_done(tape, sides);
}

struct vb_loss vb_loss_v8(struct vb_tape *tape, const struct vb_graph *graph,
                          const struct vb_variable *predictions, const struct vb_targets *targets,
                          const struct vb_loss_constants *constants)
{
    struct vb_assignment s = { .batch = graph->batch,
                               .anchors = count_anchors(graph),
                               .classes = graph->classes,
                               .boxes = targets->most_in_an_image,
                               .n_foreground = targets->n_foreground };
    for (uint32_t i = 0; i < graph->n_levels; i++)
        s.n_inside += vb_targets_count_inside(targets, &graph->levels[i]);

    struct names names;
    struct vb_variable *all = &names.loss;
    for (size_t i = 0; i < sizeof names / sizeof *all; i++)
        all[i] = vb_undefined;
    names.loss = fresh(tape, "loss_items", VB_FLOAT32, VB_SHAPE(3));
    side_by_side(tape, graph, predictions, &names);
    prepare(tape, &s, targets, names.scores.dtype, &names);
    decode(tape, &s, &names, constants->projection);
    vb_assign_targets(tape, &s, names.scores, names.boxes);
    names.score_sum = fresh(tape, "score_sum", VB_FLOAT32, (struct vb_shape){ 0 });
    score_term(tape, &s, &names);
    if (s.n_foreground > 0) {
        struct vb_variable iou = vb_undefined;
        names.in_cells = vb_unary(tape, VB_SCALE, s.boxes_wanted);
        struct vb_variable weight = iou_term(tape, &s, &names, &iou);
        distribution_term(tape, &s, &names, weight);
        vb_done(tape, weight);
        vb_done(tape, iou);
    }
    for (uint32_t i = 0; i < TERMS; i++)
        vb_scale_in_place(tape, &names.loss);
    struct vb_loss loss;
    struct vb_variable scaled = vb_unary(tape, VB_SCALE, names.loss);
    loss.items = vb_tape_hold(tape, names.loss);
    loss.items.node = VB_NONE;
    struct vb_variable handed[] = { s.boxes_wanted, s.scores_wanted, s.foreground, s.which };
    for (size_t i = 0; i < sizeof handed / sizeof *handed; i++)
        vb_tape_drop(tape, handed[i]);
    for (size_t i = 0; i < sizeof names / sizeof *all; i++)
        vb_tape_drop(tape, all[i]);
    loss.total = vb_sum(tape, scaled);
    vb_done(tape, scaled);
    return loss;
}
