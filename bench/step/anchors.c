/* SPDX-License-Identifier: Apache-2.0 */
#include "step/anchors.h"

#include "step/math.h"

enum { MAX_LEVELS = 8, COLUMNS = 6, SIDES = 4 };

/* arange(n) + 0.5, under the name *axis. */
static void number_cells(struct vb_tape *tape, uint32_t n, enum vb_dtype dtype,
                         struct vb_variable *axis)
{
    struct vb_variable range = vb_fresh(tape, "arange", dtype, VB_SHAPE(n));
    struct vb_variable middle = vb_unary(tape, VB_OP_ADD_NUMBER, range, 0.5);
    vb_done(tape, range);
    vb_tape_assign(tape, axis, middle);
}

void vb_make_anchors(struct vb_tape *tape, const struct vb_graph *graph, enum vb_dtype dtype,
                     struct vb_variable *centres, struct vb_variable *strides)
{
    struct vb_variable centres_of[MAX_LEVELS], strides_of[MAX_LEVELS];
    struct vb_variable x = vb_undefined, y = vb_undefined;
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_level *level = &graph->levels[i];
        uint32_t cells = level->grid_h * level->grid_w;
        number_cells(tape, level->grid_w, dtype, &x);
        number_cells(tape, level->grid_h, dtype, &y);
        centres_of[i] = vb_fresh(tape, "stack", dtype, VB_SHAPE(cells, 2));
        strides_of[i] = vb_fresh(tape, "full", dtype, VB_SHAPE(cells, 1));
        n += cells;
    }
    *centres = vb_fresh(tape, "centres", dtype, VB_SHAPE(n, 2));
    *strides = vb_fresh(tape, "strides", dtype, VB_SHAPE(n, 1));
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
 * each row's place among the unique ones. Gives the unique images, `*counts` in int32. */
static struct vb_variable count_boxes(struct vb_tape *tape, const struct vb_targets *targets,
                                      uint32_t batch, struct vb_variable *counts)
{
    uint32_t n_images = 0;
    for (uint32_t i = 0; i < batch; i++)
        n_images += count_in(targets, i) > 0;
    struct vb_variable column = vb_fresh(tape, "contiguous", VB_FLOAT32, VB_SHAPE(targets->n));
    struct vb_variable images = vb_fresh(tape, "unique", VB_FLOAT32, VB_SHAPE(n_images));
    struct vb_variable places = vb_fresh(tape, "inverse", VB_INT64, VB_SHAPE(targets->n));
    struct vb_variable found = vb_fresh(tape, "counts", VB_INT64, VB_SHAPE(n_images));
    vb_done(tape, column);
    vb_done(tape, places);
    /* Four bytes each, as int32 has. */
    *counts = vb_fresh(tape, "int", VB_FLOAT32, VB_SHAPE(n_images));
    vb_done(tape, found);
    return images;
}

/* out[i, :n] = targets[matches, 1:], image after image; the last one's names stay. */
static void copy_rows(struct vb_tape *tape, const struct vb_targets *targets, uint32_t batch,
                      struct vb_variable *matches, struct vb_variable *n_matches)
{
    for (uint32_t i = 0; i < batch; i++) {
        uint32_t n = count_in(targets, i);
        struct vb_variable here = vb_fresh(tape, "eq", VB_BOOL, VB_SHAPE(targets->n));
        vb_tape_assign(tape, matches, here);
        vb_tape_assign(tape, n_matches, vb_count(tape, here));
        if (n == 0)
            continue;
        struct vb_variable places = vb_fresh(tape, "nonzero", VB_INT64, VB_SHAPE(n, 1));
        struct vb_variable rows = vb_fresh(tape, "index", VB_FLOAT32, VB_SHAPE(n, COLUMNS - 1));
        vb_done(tape, places);
        vb_done(tape, rows);
    }
}

/* Centres and sizes to corners, into a tensor of their own that is then copied. */
static void to_corners(struct vb_tape *tape, uint32_t batch, uint32_t boxes)
{
    struct vb_shape pair = VB_SHAPE(batch, boxes, 2);
    struct vb_variable corners =
        vb_fresh(tape, "corners", VB_FLOAT32, VB_SHAPE(batch, boxes, SIDES));
    struct vb_variable half = vb_fresh(tape, "div", VB_FLOAT32, pair);
    vb_passing(tape, "sub", VB_FLOAT32, pair);
    vb_passing(tape, "add", VB_FLOAT32, pair);
    vb_done(tape, half);
    vb_done(tape, corners);
}

struct vb_variable vb_pad_boxes(struct vb_tape *tape, const struct vb_targets *targets,
                                uint32_t batch, enum vb_dtype dtype)
{
    uint32_t boxes = targets->most_in_an_image;
    struct vb_variable counts = vb_undefined, matches = vb_undefined, n_matches = vb_undefined;
    struct vb_variable listed =
        vb_fresh(tape, "targets", VB_FLOAT32, VB_SHAPE(targets->n, COLUMNS));
    struct vb_variable scale = vb_fresh(tape, "scale", dtype, VB_SHAPE(SIDES));
    struct vb_variable images = count_boxes(tape, targets, batch, &counts);
    struct vb_variable most = vb_fresh(tape, "max", VB_FLOAT32, (struct vb_shape){ 0 });
    struct vb_variable padded =
        vb_fresh(tape, "boxes", VB_FLOAT32, VB_SHAPE(batch, boxes, COLUMNS - 1));
    vb_done(tape, most);
    copy_rows(tape, targets, batch, &matches, &n_matches);
    to_corners(tape, batch, boxes);

    struct vb_variable ended[] = { scale, images, counts, matches, n_matches, listed };
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        vb_tape_drop(tape, ended[i]);
    return padded;
}
