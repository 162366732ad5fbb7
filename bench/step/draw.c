/* SPDX-License-Identifier: Apache-2.0 */
/* Source: torch/jit/_trace.py, trace_module() and _check_trace(). */

#include "step/draw.h"

#include "model/expand.h"
#include "step/forward.h"
#include "step/infer.h"
#include "step/math.h"

/* The module's outputs; `*decoded` in evaluation mode. */
static enum vb_status trace(struct vb_builder *self, const struct vb_graph *graph,
                            struct vb_variable image, struct vb_variable *outputs, size_t *n,
                            struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    *n = graph->n_levels;
    if (!self->recipe->trainer.draws_in_eval)
        return vb_forward(tape, graph, self->storages, image, outputs, err);
    return vb_infer(tape, graph, self->storages, image, outputs, &outputs[(*n)++], err);
}

static void drop_all(struct vb_tape *tape, const struct vb_variable *outputs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        vb_tape_drop(tape, outputs[i]);
}

/* What was traced, the function itself and a second trace, each compared with the first. */
static enum vb_status check_trace(struct vb_builder *self, const struct vb_graph *graph,
                                  struct vb_variable image, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable traced[VB_MAX_LEVELS + 1], other[VB_MAX_LEVELS + 1];
    size_t n = 0;
    tape->is_grad_off = true;
    enum vb_status status = trace(self, graph, image, traced, &n, err);
    for (int i = 0; i < 2 && status == VB_OK; i++) {
        status = trace(self, graph, image, other, &n, err);
        if (status == VB_OK)
            drop_all(tape, other, n);
    }
    tape->is_grad_off = false;
    if (status == VB_OK)
        drop_all(tape, traced, n);
    return status;
}

enum vb_status vb_draw_graph(struct vb_builder *self, const struct vb_description *description,
                             struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    const struct vb_extent one = { 1, self->point->imgsz, self->point->imgsz };
    struct vb_variable outputs[VB_MAX_LEVELS + 1];
    struct vb_graph graph;
    size_t n = 0;
    enum vb_status status =
        vb_expand_for(description, &one, self->graph->classes, tape->program->arena, &graph, err);
    if (status != VB_OK)
        return status;
    vb_builder_enter(self, VB_PHASE_DRAW, VB_TEMPORARY);
    struct vb_variable image = vb_new_images(tape, &graph, "image", VB_FLOAT32);
    status = trace(self, &graph, image, outputs, &n, err);
    if (status != VB_OK)
        return status;
    drop_all(tape, outputs, n);
    vb_tape_forget(tape);
    status = check_trace(self, &graph, image, err);
    vb_done(tape, image);
    return status;
}
