/* SPDX-License-Identifier: Apache-2.0 */
#include "step/upload.h"

#include <string.h>

#include "step/math.h"

enum { LEAST_STRIDE = 32, BOX_COLUMNS = 6 };

uint32_t vb_loader_stride(const struct vb_graph *graph)
{
    uint32_t stride = LEAST_STRIDE;
    for (uint32_t i = 0; i < graph->n_levels; i++)
        stride = graph->levels[i].stride > stride ? graph->levels[i].stride : stride;
    return stride;
}

static struct vb_variable image_tensor(struct vb_tape *tape, const struct vb_graph *graph,
                                       const char *what, enum vb_dtype dtype, uint32_t images,
                                       uint32_t scale)
{
    const uint32_t *dims = graph->values[0].shape.dims;
    return vb_tape_new(tape, what, &VB_SHAPE(images, 3, dims[2] * scale, dims[3] * scale), dtype);
}

struct vb_variable vb_new_images(struct vb_tape *tape, const struct vb_graph *graph,
                                 const char *what, enum vb_dtype dtype)
{
    return image_tensor(tape, graph, what, dtype, graph->batch, 1);
}

static void copy_images(struct vb_tape *tape, const char *name, struct vb_variable from,
                        struct vb_variable to)
{
    struct vb_variable both[] = { from, to };
    vb_tape_run(tape, name, 0, both, 2);
}

struct vb_variable vb_compose_mosaic(struct vb_tape *tape, const struct vb_graph *graph)
{
    uint32_t n = graph->batch;
    struct vb_variable sources = image_tensor(tape, graph, "sources", VB_UINT8, 4 * n, 1);
    struct vb_variable canvas = image_tensor(tape, graph, "canvas", VB_UINT8, n, 2);
    copy_images(tape, "mosaic", sources, canvas);
    vb_tape_drop(tape, sources);
    struct vb_variable window = vb_new_images(tape, graph, "window", VB_UINT8);
    copy_images(tape, "crop", canvas, window);
    vb_tape_drop(tape, canvas);
    struct vb_variable flipped = vb_new_images(tape, graph, "flipped", VB_UINT8);
    copy_images(tape, "flip", window, flipped);
    vb_tape_drop(tape, window);
    return flipped;
}

void vb_upload_batch(struct vb_tape *tape, const struct vb_graph *graph,
                     const struct vb_targets *targets, struct vb_variable bytes, enum vb_upload how,
                     struct vb_batch *batch)
{
    if (!vb_is_defined(&bytes))
        bytes = vb_new_images(tape, graph, "batch", VB_UINT8);
    if (how == VB_UPLOAD_ALL) {
        batch->classes = vb_tape_new(tape, "classes", &VB_SHAPE(targets->n, 1), VB_FLOAT32);
        batch->boxes = vb_tape_new(tape, "boxes", &VB_SHAPE(targets->n, 4), VB_FLOAT32);
        batch->image_indices =
            vb_tape_new(tape, "image_indices", &VB_SHAPE(targets->n), VB_FLOAT32);
    }
    struct vb_variable real = vb_new_images(tape, graph, "images", VB_FLOAT32);
    copy_images(tape, "to", bytes, real);
    if (how == VB_UPLOAD_IMAGES)
        vb_tape_drop(tape, bytes);
    batch->images = vb_new_images(tape, graph, "images", VB_FLOAT32);
    copy_images(tape, "div", real, batch->images);
    vb_tape_drop(tape, real);
    if (how == VB_UPLOAD_ALL)
        vb_tape_drop(tape, bytes);
}

/* Only where somebody is to run the program. */
static const float *list_boxes(struct vb_program *program, const struct vb_targets *targets,
                               uint32_t classes)
{
    if (program->layout == VB_ONLY_PLANNED)
        return NULL;
    float(*rows)[BOX_COLUMNS] =
        vb_arena_alloc(program->arena, (size_t)targets->n + 1, sizeof *rows);
    if (rows == NULL) {
        program->failed = true;
        return NULL;
    }
    for (uint32_t i = 0; i < targets->n; i++) {
        const struct vb_target *box = &targets->items[i];
        const float row[BOX_COLUMNS] = {
            (float)box->image, (float)(box->label % classes), box->cx, box->cy, box->w, box->h
        };
        memcpy(rows[i], row, sizeof row);
    }
    return rows[0];
}

struct vb_variable vb_upload_boxes(struct vb_tape *tape, const struct vb_targets *targets,
                                   uint32_t classes)
{
    const struct vb_call upload = { .op = VB_OP_UPLOAD,
                                    .data = list_boxes(tape->program, targets, classes) };
    return vb_make_named(tape, "targets", &upload, &VB_SHAPE(targets->n, BOX_COLUMNS), VB_FLOAT32,
                         NULL, 0);
}

void vb_resize_batch(struct vb_tape *tape, const struct vb_graph *graph, struct vb_batch *batch)
{
    struct vb_variable resized = vb_new_images(tape, graph, "images", VB_FLOAT32);
    copy_images(tape, "upsample_bilinear2d", batch->images, resized);
    vb_tape_assign(tape, &batch->images, resized);
}

void vb_drop_batch(struct vb_tape *tape, struct vb_batch *batch)
{
    vb_tape_assign(tape, &batch->images, vb_undefined);
    vb_tape_assign(tape, &batch->classes, vb_undefined);
    vb_tape_assign(tape, &batch->boxes, vb_undefined);
    vb_tape_assign(tape, &batch->image_indices, vb_undefined);
}
