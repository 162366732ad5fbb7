/* SPDX-License-Identifier: Apache-2.0 */
#include "step/upload.h"

#include <string.h>

#include "step/math.h"
#include "step/view.h"

enum { BOX_COLUMNS = 6 };

/* What pictures and pastes are drawn from. */
enum { SEED_BATCH = 1, SEED_SECOND = 2 };

static struct vb_variable image_tensor(struct vb_tape *tape, const struct vb_graph *graph,
                                       const char *what, enum vb_dtype dtype, uint32_t images,
                                       uint32_t scale)
{
    const uint32_t *dims = graph->values[0].shape.dims;
    return vb_tape_new_image(tape, what, &VB_SHAPE(images, 3, dims[2] * scale, dims[3] * scale),
                             dtype);
}

struct vb_variable vb_new_images(struct vb_tape *tape, const struct vb_graph *graph,
                                 const char *what, enum vb_dtype dtype)
{
    return image_tensor(tape, graph, what, dtype, graph->batch, 1);
}

static void apply(struct vb_tape *tape, enum vb_operator op, double a, struct vb_variable from,
                  struct vb_variable to)
{
    const struct vb_variable both[] = { from, to };
    vb_tape_apply(tape, &(struct vb_call){ .op = op, .a = a }, both, 2);
}

static void draw(struct vb_tape *tape, struct vb_variable pictures, uint32_t seed)
{
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_NOISE, .a = seed }, &pictures, 1);
}

/* Parts of the canvas's mirror image on the canvas. */
static struct vb_variable paste(struct vb_tape *tape, const struct vb_graph *graph,
                                struct vb_variable canvas, uint32_t seed)
{
    const struct vb_call call = { .op = VB_OP_COPY_PASTE, .a = seed };
    struct vb_variable mirrored = image_tensor(tape, graph, "mirrored", VB_UINT8, graph->batch, 2);
    apply(tape, VB_OP_FLIP, 0, canvas, mirrored);
    struct vb_variable pasted = image_tensor(tape, graph, "pasted", VB_UINT8, graph->batch, 2);
    const struct vb_variable operands[] = { canvas, mirrored, pasted };
    vb_tape_apply(tape, &call, operands, 3);
    vb_tape_drop(tape, mirrored);
    vb_tape_drop(tape, canvas);
    return pasted;
}

/* Four images each on a canvas of twice the side, and the window in its middle. */
static struct vb_variable compose(struct vb_tape *tape, const struct vb_graph *graph,
                                  bool copy_paste, uint32_t seed)
{
    const uint32_t *dims = graph->values[0].shape.dims;
    uint32_t n = graph->batch;
    struct vb_variable sources = image_tensor(tape, graph, "sources", VB_UINT8, 4 * n, 1);
    draw(tape, sources, seed);
    struct vb_variable canvas = image_tensor(tape, graph, "canvas", VB_UINT8, n, 2);
    apply(tape, VB_OP_MOSAIC, 0, sources, canvas);
    vb_tape_drop(tape, sources);
    if (copy_paste)
        canvas = paste(tape, graph, canvas, seed);
    struct vb_variable window = vb_new_images(tape, graph, "window", VB_UINT8);
    struct vb_variable rows = vb_stretch_of(canvas, 2, dims[2] / 2, dims[2]);
    apply(tape, VB_OP_COPY, 0, vb_stretch_of(rows, 3, dims[3] / 2, dims[3]), window);
    vb_tape_drop(tape, canvas);
    return window;
}

/* r x + (1 - r) z with r drawn from Beta(32, 32), whose mean is a half. */
static struct vb_variable mix(struct vb_tape *tape, const struct vb_graph *graph,
                              struct vb_variable x, struct vb_variable z)
{
    struct vb_variable mixed = vb_new_images(tape, graph, "mixed", VB_UINT8);
    const struct vb_variable operands[] = { x, z, mixed };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MIX, .a = 0.5 }, operands, 3);
    vb_tape_drop(tape, x);
    vb_tape_drop(tape, z);
    return mixed;
}

enum vb_status vb_check_composition(const struct vb_point *point, struct vb_error *err)
{
    const char *key = point->mixup ? "mixup" : "copy_paste";
    if (point->mosaic == VB_MOSAIC_ON || (!point->mixup && !point->copy_paste))
        return VB_OK;
    return vb_fail(err, VB_E_INPUT,
                   "%s is on, but mosaic is %s: it is planned for mosaics composed on the device; "
                   "set mosaic to on or %s to off",
                   key, vb_mosaic_names[point->mosaic], key);
}

struct vb_variable vb_compose(struct vb_tape *tape, const struct vb_graph *graph,
                              const struct vb_point *point)
{
    struct vb_variable images = compose(tape, graph, point->copy_paste, SEED_BATCH);
    if (point->mixup) {
        struct vb_variable second = compose(tape, graph, point->copy_paste, SEED_SECOND);
        images = mix(tape, graph, images, second);
    }
    struct vb_variable flipped = vb_new_images(tape, graph, "flipped", VB_UINT8);
    apply(tape, VB_OP_FLIP, 0, images, flipped);
    vb_tape_drop(tape, images);
    return flipped;
}

/* `n` columns of the boxes' rows (image, class, centre, sides) from column `first` on; NULL where
 * nobody is to run the program. Classes count round: boxes are drawn of more than a model may have.
 */
static const float *list_columns(struct vb_program *program, const struct vb_targets *targets,
                                 uint32_t n_classes, uint32_t first, uint32_t n)
{
    if (program->layout == VB_ONLY_PLANNED)
        return NULL;
    float *list = vb_arena_alloc(program->arena, (size_t)targets->n * n + 1, sizeof *list);
    for (uint32_t i = 0; i < targets->n && list != NULL; i++) {
        const struct vb_target *box = &targets->items[i];
        const float row[BOX_COLUMNS] = {
            (float)box->image, (float)(box->label % n_classes), box->cx, box->cy, box->w, box->h
        };
        memcpy(list + (size_t)i * n, row + first, n * sizeof *row);
    }
    return list;
}

/* The loader's three: class, centre and sides, image. */
static void upload_targets(struct vb_tape *tape, const struct vb_targets *targets,
                           uint32_t n_classes, struct vb_batch *batch)
{
    struct vb_program *program = tape->program;
    batch->classes = vb_tape_new(tape, "classes", &VB_SHAPE(targets->n, 1), VB_FLOAT32);
    vb_tape_upload(tape, batch->classes, list_columns(program, targets, n_classes, 1, 1));
    batch->boxes = vb_tape_new(tape, "boxes", &VB_SHAPE(targets->n, 4), VB_FLOAT32);
    vb_tape_upload(tape, batch->boxes, list_columns(program, targets, n_classes, 2, 4));
    batch->image_indices = vb_tape_new(tape, "image_indices", &VB_SHAPE(targets->n), VB_FLOAT32);
    vb_tape_upload(tape, batch->image_indices, list_columns(program, targets, n_classes, 0, 1));
}

void vb_upload_batch(struct vb_tape *tape, const struct vb_graph *graph,
                     const struct vb_targets *targets, struct vb_variable bytes, enum vb_upload how,
                     struct vb_batch *batch)
{
    if (!vb_is_defined(&bytes)) {
        bytes = vb_new_images(tape, graph, "batch", VB_UINT8);
        draw(tape, bytes, SEED_BATCH);
    }
    if (how == VB_UPLOAD_ALL)
        upload_targets(tape, targets, graph->classes, batch);
    struct vb_variable real = vb_new_images(tape, graph, "images", VB_FLOAT32);
    apply(tape, VB_OP_COPY, 0, bytes, real);
    if (how == VB_UPLOAD_IMAGES)
        vb_tape_drop(tape, bytes);
    batch->images = vb_new_images(tape, graph, "images", VB_FLOAT32);
    apply(tape, VB_OP_MUL_NUMBER, 1.0 / 255, real, batch->images);
    vb_tape_drop(tape, real);
    if (how == VB_UPLOAD_ALL)
        vb_tape_drop(tape, bytes);
}

struct vb_variable vb_upload_boxes(struct vb_tape *tape, const struct vb_targets *targets,
                                   uint32_t classes)
{
    struct vb_variable boxes =
        vb_tape_new(tape, "targets", &VB_SHAPE(targets->n, BOX_COLUMNS), VB_FLOAT32);
    vb_tape_upload(tape, boxes, list_columns(tape->program, targets, classes, 0, BOX_COLUMNS));
    return boxes;
}

void vb_resize_batch(struct vb_tape *tape, const struct vb_graph *graph, struct vb_batch *batch)
{
    struct vb_variable resized = vb_new_images(tape, graph, "images", VB_FLOAT32);
    apply(tape, VB_OP_RESIZE, 0, batch->images, resized);
    vb_tape_assign(tape, &batch->images, resized);
}

void vb_drop_batch(struct vb_tape *tape, struct vb_batch *batch)
{
    vb_tape_assign(tape, &batch->images, vb_undefined);
    vb_tape_assign(tape, &batch->classes, vb_undefined);
    vb_tape_assign(tape, &batch->boxes, vb_undefined);
    vb_tape_assign(tape, &batch->image_indices, vb_undefined);
}
