/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the traced program hold what they name until they are given something else or the
 * function returns. How many match is counted on the host before (vb_targets_match); it and the
 * operators here round the same numbers at the same places, so they agree. */

#include "step/match_v5.h"

#include <stddef.h>

#include "step/math.h"
#include "step/view.h"

enum { COLUMNS = 7, CENTRE = 2, SIZE = 4, ANCHOR = 6, OFFSETS = 5 };

/* What matching names, level after level. */
struct names {
    struct vb_variable targets, gain, anchor_index;
    struct vb_variable t, r, j, k, l, m, gxy, gxi, gwh, bc, offsets;
};

/* Columns of x as a view that takes over the caller's hold. */
static struct vb_variable columns(struct vb_variable x, uint32_t start, uint32_t n)
{
    struct vb_variable y = vb_stretch_of(x, x.shape.n_dims - 1, start, n);
    y.is_dense = y.is_ordered = false;
    return y;
}

static struct vb_variable column(struct vb_variable x, uint32_t i)
{
    struct vb_variable y = vb_at(x, x.shape.n_dims - 1, i);
    y.is_dense = y.is_ordered = false;
    return y;
}

static struct vb_variable copied(struct vb_tape *tape, const char *what, struct vb_variable x,
                                 enum vb_dtype dtype, struct vb_shape shape)
{
    return vb_make_named(tape, what, &(struct vb_call){ .op = VB_OP_COPY }, &shape, dtype, &x, 1);
}

/* Columns beside columns, fp32. */
static struct vb_variable beside(struct vb_tape *tape, const char *what, struct vb_variable left,
                                 struct vb_variable right)
{
    if (tape->program->failed)
        return vb_undefined;
    uint32_t last = left.shape.n_dims - 1;
    uint32_t n_left = left.shape.dims[last], n_right = right.shape.dims[last];
    struct vb_shape shape = left.shape;
    shape.dims[last] += n_right;
    struct vb_variable y = vb_tape_new(tape, what, &shape, VB_FLOAT32);
    vb_tape_copy(tape, left, columns(y, 0, n_left));
    vb_tape_copy(tape, right, columns(y, n_left, n_right));
    return y;
}

/* torch's table of the neighbours. It goes at once: what is added to a centre is written where it
 * is needed (shift_offsets). */
static void pass_offsets(struct vb_tape *tape)
{
    static const int64_t table[OFFSETS][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { -1, 0 }, { 0, -1 } };
    const struct vb_call upload = { .op = VB_OP_UPLOAD, .data = table };
    vb_done(tape,
            vb_make_named(tape, "offsets", &upload, &VB_SHAPE(OFFSETS, 2), VB_INT64, NULL, 0));
}

/* The boxes once for each anchor, with the anchor's number as a last column. */
static void repeat_for_anchors(struct vb_tape *tape, struct names *names, struct vb_variable boxes,
                               uint32_t n_anchors)
{
    const struct vb_call count = { .op = VB_OP_RANGE, .b = 1 };
    uint32_t n = boxes.shape.dims[0];
    names->gain = vb_filled(tape, "gain", 1, VB_FLOAT32, VB_SHAPE(COLUMNS));
    struct vb_variable range = vb_make(tape, &count, &VB_SHAPE(n_anchors), VB_INT64, NULL, 0);
    struct vb_variable real = copied(tape, "arange", range, VB_FLOAT32, VB_SHAPE(n_anchors));
    vb_done(tape, range);
    names->anchor_index =
        copied(tape, "anchor_index", vb_with_axis(real, 1), VB_FLOAT32, VB_SHAPE(n_anchors, n));
    vb_done(tape, real);
    struct vb_variable repeated =
        copied(tape, "repeat", boxes, VB_FLOAT32, VB_SHAPE(n_anchors, n, COLUMNS - 1));
    names->targets = beside(tape, "targets", repeated, vb_with_axis(names->anchor_index, 2));
    vb_done(tape, repeated);
    pass_offsets(tape);
}

/* From the image's sides to this level's cells. */
static void set_gain(struct vb_tape *tape, struct vb_variable gain, const struct vb_level *level)
{
    for (uint32_t i = CENTRE; i < ANCHOR; i++) {
        uint32_t side = i % 2 == 0 ? level->grid_w : level->grid_h;
        vb_tape_fill(tape, vb_at(gain, 0, i), side);
    }
}

/* The largest along the last axis, and which it is; the second goes at once. */
static struct vb_variable largest(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_shape shape = x.shape;
    if (tape->program->failed)
        return vb_undefined;
    shape.n_dims--;
    struct vb_variable most = vb_tape_new(tape, "max", &shape, x.dtype);
    struct vb_variable which = vb_tape_new(tape, "max", &shape, VB_INT64);
    struct vb_variable both[] = { x, vb_with_axis(most, shape.n_dims) };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MAX_OF }, both, 2);
    both[1] = vb_with_axis(which, shape.n_dims);
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ARGMAX }, both, 2);
    vb_done(tape, x);
    vb_done(tape, which);
    return most;
}

/* t: the boxes in cells of this level, those whose shape is like the anchor's [anchors,2]. */
static void match_shapes(struct vb_tape *tape, struct names *names, struct vb_variable anchors,
                         uint32_t n_matched)
{
    vb_tape_assign(tape, &names->t, vb_binary(tape, VB_OP_MUL, names->targets, names->gain));
    struct vb_shape pairs = names->t.shape;
    pairs.dims[2] = 2;
    struct vb_variable sides[] = { columns(names->t, SIZE, 2), vb_with_axis(anchors, 1) };
    vb_tape_assign(tape, &names->r,
                   vb_make_named(tape, "ratio", &(struct vb_call){ .op = VB_OP_DIV }, &pairs,
                                 VB_FLOAT32, sides, 2));
    struct vb_variable inverse = vb_unary(tape, VB_OP_RECIPROCAL, names->r, 0);
    struct vb_variable scaled = vb_unary(tape, VB_OP_MUL_NUMBER, inverse, 1);
    vb_done(tape, inverse);
    struct vb_variable larger = vb_binary(tape, VB_OP_MAXIMUM, names->r, scaled);
    vb_done(tape, scaled);
    struct vb_variable worst = largest(tape, larger);
    struct vb_variable mask = vb_unary(tape, VB_OP_LESS_NUMBER, worst, VB_MOST_RATIO);
    vb_done(tape, worst);
    vb_tape_assign(tape, &names->j, mask);
    vb_tape_assign(tape, &names->t,
                   vb_mask(tape, names->t, names->j, n_matched, &VB_SHAPE(n_matched, COLUMNS)));
}

/* (x % 1 < 0.5) & (x > 1), its two columns under two names. */
static void nearest_cells(struct vb_tape *tape, struct vb_variable x, struct vb_variable *first,
                          struct vb_variable *second)
{
    struct vb_variable rest = vb_unary(tape, VB_OP_REMAINDER, x, 1);
    struct vb_variable low = vb_unary(tape, VB_OP_LESS_NUMBER, rest, 0.5);
    vb_done(tape, rest);
    struct vb_variable inside = vb_unary(tape, VB_OP_GREATER_NUMBER, x, 1);
    struct vb_variable both = vb_binary(tape, VB_OP_AND, low, inside);
    vb_done(tape, low);
    vb_done(tape, inside);
    vb_tape_assign(tape, first, column(both, 0));
    vb_tape_assign(tape, second, column(vb_tape_hold(tape, both), 1));
}

/* The grid's sides less the centres. */
static struct vb_variable mirrored(struct vb_tape *tape, const struct names *names)
{
    static const int64_t places[2] = { CENTRE, CENTRE + 1 };
    const struct vb_call upload = { .op = VB_OP_UPLOAD, .data = places };
    struct vb_variable order =
        vb_make_named(tape, "order", &upload, &VB_SHAPE(2), VB_INT64, NULL, 0);
    struct vb_variable size = vb_index(tape, names->gain, &order, 1, &VB_SHAPE(2));
    vb_done(tape, order);
    struct vb_variable y = vb_binary(tape, VB_OP_SUB, size, names->gxy);
    vb_done(tape, size);
    return y;
}

/* Which of the match itself and its four neighbours there are: [5,n]. */
static struct vb_variable which_cells(struct vb_tape *tape, const struct names *names)
{
    uint32_t n = names->gxy.shape.dims[0];
    struct vb_variable ones = vb_filled(tape, "ones", 1, VB_BOOL, VB_SHAPE(n));
    struct vb_variable stack = vb_tape_new(tape, "stack", &VB_SHAPE(OFFSETS, n), VB_BOOL);
    const struct vb_variable rows[OFFSETS] = { ones, names->j, names->k, names->l, names->m };
    for (uint32_t i = 0; i < OFFSETS; i++)
        vb_tape_copy(tape, rows[i], vb_at(stack, 0, i));
    vb_done(tape, ones);
    return stack;
}

/* Half a cell to the neighbour's side, of x [5,n,2] that is zero. */
static void shift_offsets(struct vb_tape *tape, struct vb_variable x)
{
    for (uint32_t i = 1; i < OFFSETS; i++) {
        struct vb_variable way = column(vb_at(x, 0, i), (i - 1) % 2);
        struct vb_variable both[] = { way, way };
        const struct vb_call shift = { .op = VB_OP_ADD_NUMBER, .a = i <= 2 ? 0.5 : -0.5 };
        vb_tape_apply(tape, &shift, both, 2);
    }
}

/* t: each match also for the neighbouring cells that its centre is nearest to. */
static void match_neighbours(struct vb_tape *tape, struct names *names, uint32_t n)
{
    uint32_t n_matched = names->t.shape.dims[0];
    vb_tape_assign(tape, &names->gxy, columns(vb_tape_hold(tape, names->t), CENTRE, 2));
    vb_tape_assign(tape, &names->gxi, mirrored(tape, names));
    nearest_cells(tape, names->gxy, &names->j, &names->k);
    nearest_cells(tape, names->gxi, &names->l, &names->m);
    vb_tape_assign(tape, &names->j, which_cells(tape, names));
    struct vb_variable repeated =
        copied(tape, "repeat", names->t, VB_FLOAT32, VB_SHAPE(OFFSETS, n_matched, COLUMNS));
    struct vb_variable t = vb_mask(tape, repeated, names->j, n, &VB_SHAPE(n, COLUMNS));
    vb_done(tape, repeated);
    vb_tape_assign(tape, &names->t, t);

    struct vb_variable zeros = vb_zeros_like(tape, names->gxy);
    struct vb_variable shifts =
        copied(tape, "add", zeros, VB_FLOAT32, VB_SHAPE(OFFSETS, n_matched, 2));
    shift_offsets(tape, shifts);
    vb_done(tape, zeros);
    struct vb_variable offsets = vb_mask(tape, shifts, names->j, n, &VB_SHAPE(n, 2));
    vb_done(tape, shifts);
    vb_tape_assign(tape, &names->offsets, offsets);
}

/* Cells stay within the grid. */
static void clamp_cells(struct vb_tape *tape, struct vb_variable cell, const struct vb_level *level)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct vb_variable both[] = { column(cell, i), column(cell, i) };
        const struct vb_call clamp = { .op = VB_OP_CLAMP,
                                       .b = (i == 0 ? level->grid_w : level->grid_h) - 1.0 };
        vb_tape_apply(tape, &clamp, both, 2);
    }
}

/* Whole numbers for the indices, the box relative to its cell, the anchor's size. */
static void collect(struct vb_tape *tape, struct names *names, struct vb_variable anchors,
                    const struct vb_level *level, struct vb_match *match)
{
    uint32_t n = match->count.n;
    vb_tape_assign(tape, &names->bc, columns(vb_tape_hold(tape, names->t), 0, 2));
    vb_tape_assign(tape, &names->gxy, columns(vb_tape_hold(tape, names->t), CENTRE, 2));
    vb_tape_assign(tape, &names->gwh, columns(vb_tape_hold(tape, names->t), SIZE, 2));
    match->anchor = copied(tape, "long", column(names->t, ANCHOR), VB_INT64, VB_SHAPE(n));
    match->image_and_label = copied(tape, "long", names->bc, VB_INT64, VB_SHAPE(n, 2));
    vb_tape_assign(tape, &names->bc, vb_undefined);
    struct vb_variable moved = vb_binary(tape, VB_OP_SUB, names->gxy, names->offsets);
    match->cell = copied(tape, "long", moved, VB_INT64, VB_SHAPE(n, 2));
    clamp_cells(tape, match->cell, level);
    vb_done(tape, moved);
    struct vb_variable within = vb_binary(tape, VB_OP_SUB, names->gxy, match->cell);
    match->box = beside(tape, "box", within, names->gwh);
    vb_done(tape, within);
    struct vb_variable from[] = { anchors, match->anchor };
    match->anchor_size = vb_make_named(tape, "anchor", &(struct vb_call){ .op = VB_OP_INDEX },
                                       &VB_SHAPE(n, 2), VB_FLOAT32, from, 2);
}

void vb_match_targets(struct vb_tape *tape, const struct vb_graph *graph,
                      const struct vb_targets *targets, struct vb_variable boxes,
                      struct vb_variable anchors, struct vb_match *matches)
{
    struct names names;
    struct vb_variable *all = &names.targets;
    size_t n_names = sizeof names / sizeof *all;
    for (size_t i = 0; i < n_names; i++)
        all[i] = vb_undefined;

    repeat_for_anchors(tape, &names, boxes, graph->levels[0].n_anchors);
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_level *level = &graph->levels[i];
        struct vb_variable sizes = vb_at(anchors, 0, i);
        matches[i].count = vb_targets_match(targets, level);
        set_gain(tape, names.gain, level);
        match_shapes(tape, &names, sizes, matches[i].count.n_anchor_boxes);
        match_neighbours(tape, &names, matches[i].count.n);
        collect(tape, &names, sizes, level, &matches[i]);
    }
    for (size_t i = 0; i < n_names; i++)
        vb_tape_drop(tape, all[i]);
}
