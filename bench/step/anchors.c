/* SPDX-License-Identifier: Apache-2.0 */
#include "step/anchors.h"

#include "step/layers.h"
#include "step/math.h"
#include "step/upload.h"
#include "step/view.h"

enum { MAX_LEVELS = 8, SIDES = 4 };

/* arange(n) + 0.5, under the name *axis. */
static void number_cells(struct vb_tape *tape, uint32_t n, enum vb_dtype dtype,
                         struct vb_variable *axis)
{
    const struct vb_call count = { .op = VB_OP_RANGE, .b = 1 };
    struct vb_variable range = vb_make(tape, &count, &VB_SHAPE(n), dtype, NULL, 0);
    struct vb_variable middle = vb_unary(tape, VB_OP_ADD_NUMBER, range, 0.5);
    vb_done(tape, range);
    vb_tape_assign(tape, axis, middle);
}

/* The level's centres, row after row: [cells,2]. */
static struct vb_variable grid_of(struct vb_tape *tape, struct vb_variable x, struct vb_variable y)
{
    uint32_t w = x.shape.dims[0], h = y.shape.dims[0];
    bool ok;
    struct vb_variable grid = vb_tape_new(tape, "stack", &VB_SHAPE(w * h, 2), x.dtype);
    struct vb_variable cells = vb_reshaped(grid, &VB_SHAPE(h, w, 2), &ok);
    vb_tape_copy(tape, x, vb_at(cells, 2, 0));
    vb_tape_copy(tape, vb_with_axis(y, 1), vb_at(cells, 2, 1));
    return grid;
}

void vb_make_anchors(struct vb_tape *tape, const struct vb_graph *graph, enum vb_dtype dtype,
                     struct vb_variable *centres, struct vb_variable *strides)
{
    struct vb_variable centres_of[MAX_LEVELS], strides_of[MAX_LEVELS];
    struct vb_variable x = vb_undefined, y = vb_undefined;
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_level *level = &graph->levels[i];
        uint32_t cells = level->grid_h * level->grid_w;
        number_cells(tape, level->grid_w, dtype, &x);
        number_cells(tape, level->grid_h, dtype, &y);
        centres_of[i] = grid_of(tape, x, y);
        strides_of[i] = vb_filled(tape, "full", level->stride, dtype, VB_SHAPE(cells, 1));
    }
    *centres = vb_concat(tape, centres_of, graph->n_levels, 0);
    *strides = vb_concat(tape, strides_of, graph->n_levels, 0);
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        vb_done(tape, centres_of[i]);
        vb_done(tape, strides_of[i]);
    }
    vb_done(tape, x);
    vb_done(tape, y);
}

static uint32_t count_in(const struct vb_targets *targets, uint32_t image)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < targets->n; i++)
        n += targets->items[i].image == image;
    return n;
}

/* How many boxes each image has: unique(return_counts) of the column of images, which also makes
 * each row's place among the unique ones. Gives the images that have some, `*counts` in int32. */
static struct vb_variable count_boxes(struct vb_tape *tape, const struct vb_targets *targets,
                                      uint32_t batch, struct vb_variable listed,
                                      struct vb_variable *counts)
{
    const struct vb_call copy = { .op = VB_OP_COPY };
    uint32_t n_images = 0;
    for (uint32_t i = 0; i < batch; i++)
        n_images += count_in(targets, i) > 0;
    struct vb_variable from = vb_at(listed, 1, 0);
    struct vb_variable column =
        vb_make_named(tape, "contiguous", &copy, &from.shape, VB_FLOAT32, &from, 1);
    struct vb_variable images = vb_tape_new(tape, "unique", &VB_SHAPE(n_images), VB_FLOAT32);
    struct vb_variable places = vb_tape_new(tape, "inverse", &from.shape, VB_INT64);
    struct vb_variable found = vb_tape_new(tape, "counts", &VB_SHAPE(n_images), VB_INT64);
    struct vb_variable all[] = { column, images, places, found };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_UNIQUE }, all, 4);
    vb_done(tape, column);
    vb_done(tape, places);
    /* Four bytes each, as int32 has. */
    *counts = vb_make_named(tape, "int", &copy, &found.shape, VB_FLOAT32, &found, 1);
    vb_done(tape, found);
    return images;
}

/* image == targets[:, 0]. The image's number is read where `images`, those that have boxes, holds
 * it; an image that is not among them equals none. */
static struct vb_variable find_rows(struct vb_tape *tape, struct vb_variable listed,
                                    struct vb_variable images, uint32_t place, bool is_among)
{
    struct vb_shape shape = VB_SHAPE(listed.shape.dims[0]);
    if (!is_among)
        return vb_filled(tape, "eq", 0, VB_BOOL, shape);
    struct vb_variable both[] = { vb_at(listed, 1, 0), vb_stretch_of(images, 0, place, 1) };
    return vb_make(tape, &(struct vb_call){ .op = VB_OP_EQUAL }, &shape, VB_BOOL, both, 2);
}

/* out[i, :n] = targets[matches, 1:], image after image; the last one's names stay. */
static void copy_rows(struct vb_tape *tape, const struct vb_targets *targets,
                      struct vb_variable listed, struct vb_variable images, struct vb_variable out,
                      struct vb_variable *matches, struct vb_variable *n_matches)
{
    uint32_t columns = listed.shape.dims[1] - 1;
    struct vb_variable values = vb_stretch_of(listed, 1, 1, columns);
    uint32_t room = targets->most_in_an_image;
    for (uint32_t i = 0, place = 0; i < out.shape.dims[0]; i++) {
        uint32_t n = count_in(targets, i);
        uint32_t kept = n < room ? n : room;
        struct vb_variable here = find_rows(tape, listed, images, place, n > 0);
        vb_tape_assign(tape, matches, here);
        vb_tape_assign(tape, n_matches, vb_count(tape, here));
        if (n == 0)
            continue;
        struct vb_variable rows = vb_mask(tape, values, here, n, &VB_SHAPE(n, columns));
        vb_tape_copy(tape, vb_stretch_of(rows, 0, 0, kept),
                     vb_stretch_of(vb_at(out, 0, i), 0, 0, kept));
        vb_done(tape, rows);
        place++;
    }
}

/* Centres and sizes to corners, in pixels: into a tensor of their own that is then copied. */
static void to_corners(struct vb_tape *tape, struct vb_variable boxes, struct vb_variable scale)
{
    struct vb_variable scaled[] = { boxes, scale, boxes };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MUL }, scaled, 3);
    struct vb_variable corners = vb_tape_new(tape, "corners", &boxes.shape, VB_FLOAT32);
    struct vb_variable centre = vb_stretch_of(boxes, 2, 0, 2), size = vb_stretch_of(boxes, 2, 2, 2);
    const struct vb_call halve = { .op = VB_OP_MUL_NUMBER, .a = 0.5 };
    struct vb_variable half = vb_make_named(tape, "div", &halve, &size.shape, VB_FLOAT32, &size, 1);
    const enum vb_operator moves[] = { VB_OP_SUB, VB_OP_ADD };
    for (uint32_t i = 0; i < 2; i++) {
        struct vb_variable from[] = { centre, half };
        struct vb_variable corner =
            vb_make(tape, &(struct vb_call){ .op = moves[i] }, &half.shape, VB_FLOAT32, from, 2);
        vb_tape_copy(tape, corner, vb_stretch_of(corners, 2, 2 * i, 2));
        vb_done(tape, corner);
    }
    vb_tape_copy(tape, corners, boxes);
    vb_done(tape, half);
    vb_done(tape, corners);
}

/* image_size[[1, 0, 1, 0]] */
static struct vb_variable scale_of(struct vb_tape *tape, struct vb_variable image_size)
{
    struct vb_variable scale = vb_tape_new(tape, "scale", &VB_SHAPE(SIDES), image_size.dtype);
    for (uint32_t i = 0; i < SIDES; i++)
        vb_tape_copy(tape, vb_stretch_of(image_size, 0, 1 - i % 2, 1),
                     vb_stretch_of(scale, 0, i, 1));
    return scale;
}

/* Rows of image, class, centre, sides and angle; those of tiny boxes are left out. Only planned. */
static struct vb_variable upload_oriented(struct vb_tape *tape, const struct vb_targets *targets)
{
    enum { COLUMNS = 7 };
    struct vb_variable all = vb_fresh(tape, "targets", VB_FLOAT32, VB_SHAPE(targets->n, COLUMNS));
    vb_passing(tape, "sides", VB_FLOAT32, VB_SHAPE(targets->n, 2));
    vb_passing(tape, "nonzero", VB_INT64, VB_SHAPE(targets->n, 1));
    vb_tape_assign(tape, &all,
                   vb_fresh(tape, "targets", VB_FLOAT32, VB_SHAPE(targets->n, COLUMNS)));
    return all;
}

struct vb_variable vb_pad_boxes(struct vb_tape *tape, const struct vb_graph *graph,
                                const struct vb_targets *targets, struct vb_variable image_size)
{
    uint32_t boxes = targets->most_in_an_image;
    struct vb_variable counts = vb_undefined, matches = vb_undefined, n_matches = vb_undefined;
    bool is_oriented = graph->task == VB_TASK_OBB;
    struct vb_variable listed = is_oriented ? upload_oriented(tape, targets)
                                            : vb_upload_boxes(tape, targets, graph->classes);
    struct vb_variable scale = scale_of(tape, image_size);
    struct vb_variable images = count_boxes(tape, targets, graph->batch, listed, &counts);
    struct vb_variable most =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_MAX_OF }, &VB_SCALAR, VB_FLOAT32, &counts, 1);
    struct vb_variable padded = vb_filled(tape, "boxes", 0, VB_FLOAT32,
                                          VB_SHAPE(graph->batch, boxes, listed.shape.dims[1] - 1));
    vb_done(tape, most);
    if (!tape->program->failed) {
        copy_rows(tape, targets, listed, images, padded, &matches, &n_matches);
        if (!is_oriented)
            to_corners(tape, vb_stretch_of(padded, 2, 1, SIDES), scale);
    }

    struct vb_variable ended[] = { scale, images, counts, matches, n_matches, listed };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return padded;
}
