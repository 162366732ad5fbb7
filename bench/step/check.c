/* SPDX-License-Identifier: Apache-2.0 */
#include "step/check.h"

#include "model/catalogue.h"
#include "model/expand.h"
#include "step/fuse.h"
#include "step/infer.h"
#include "step/math.h"

/* The smallest model of a family that is in the catalogue stands for the one that each version
 * takes (yolov8n, yolo11n, yolo26n): they differ by a few MiB at this size. */
static const char nano_model[] = "yolov8n";

/* One pass over images that are on the device as fp32, or as bytes first; all that it made is gone
 * after. */
static enum vb_status pass(struct vb_builder *self, const struct vb_graph *graph,
                           uint32_t *storages, bool from_bytes, bool autocast, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    const struct vb_shape *image = &graph->values[0].shape;
    struct vb_variable predictions[VB_MAX_LEVELS], decoded = vb_undefined, bytes = vb_undefined;
    uint32_t workspace = tape->torch->fp32_workspace_mib << 20;
    if (from_bytes)
        bytes = vb_tape_new(tape, "images", image, VB_UINT8);
    struct vb_variable real = vb_tape_new(tape, "images", image, VB_FLOAT32);
    vb_done(tape, bytes);
    if (!autocast && workspace > 0) {
        tape->category = VB_WORKSPACE;
        vb_done(tape, vb_tape_new(tape, "fp32", &VB_SHAPE(workspace), VB_UINT8));
        tape->category = VB_TEMPORARY;
    }
    tape->is_grad_off = true;
    tape->autocast = autocast;
    tape->autocast_dtype = VB_FLOAT16;
    enum vb_status status = vb_infer(tape, graph, storages, real, predictions, &decoded, err);
    vb_tape_autocast_end(tape);
    tape->is_grad_off = false;
    if (status != VB_OK)
        return status;
    vb_done(tape, decoded);
    for (uint32_t i = 0; i < graph->n_levels; i++)
        vb_done(tape, predictions[i]);
    vb_done(tape, real);
    return VB_OK;
}

static void drop_weights(struct vb_tape *tape, const struct vb_graph *graph,
                         const uint32_t *storages)
{
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        if (!tape->program->failed && tape->holders[storages[i]] > 0)
            vb_tape_drop(tape, vb_tape_parameter(tape, i, storages[i]));
    }
}

/* The smallest model is fused on the device and warmed up with one square image. Source:
 * ultralytics 8.0.53, nn/autobackend.py (AutoBackend), engine/predictor.py (stream_inference). */
static enum vb_status warm_up(struct vb_builder *self, const struct vb_description *nano,
                              uint32_t *storages, struct vb_error *err)
{
    const struct vb_trainer *trainer = &self->recipe->trainer;
    uint32_t side =
        trainer->check_height > trainer->check_width ? trainer->check_height : trainer->check_width;
    const struct vb_extent square = { 1, side, side };
    struct vb_graph graph;
    enum vb_status status = vb_expand_for(nano, &square, 0, self->tape.program->arena, &graph, err);
    if (status != VB_OK)
        return status;
    vb_fuse_weights(&self->tape, &graph, storages);
    return pass(self, &graph, storages, false, false, err);
}

enum vb_status vb_check_amp(struct vb_builder *self, const struct vb_description *description,
                            struct vb_error *err)
{
    const struct vb_trainer *trainer = &self->recipe->trainer;
    struct vb_arena *arena = self->tape.program->arena;
    const struct vb_extent extent = { trainer->check_batch, trainer->check_height,
                                      trainer->check_width };
    bool is_copy = trainer->check == VB_CHECK_COPY;
    struct vb_description nano;
    struct vb_graph graph;
    if (trainer->check == VB_CHECK_NONE || self->point->precision == VB_FP32)
        return VB_OK;
    enum vb_status status = is_copy ? VB_OK : vb_catalogue_describe(nano_model, arena, &nano, err);
    if (status == VB_OK)
        status = vb_expand_for(is_copy ? description : &nano, &extent,
                               is_copy ? self->point->classes : 0, arena, &graph, err);
    if (status != VB_OK)
        return status;
    uint32_t *storages =
        vb_arena_alloc(arena, graph.n_parameters + graph.n_buffers, sizeof *storages);
    if (storages == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the AMP check");

    const struct vb_graph *trained = self->graph;
    vb_builder_enter(self, VB_PHASE_CHECK, VB_TEMPORARY);
    self->graph = &graph;
    vb_make_weights(self, VB_TEMPORARY, storages);
    self->graph = trained;
    self->tape.is_fused = !is_copy;
    status = is_copy ? VB_OK : warm_up(self, &nano, storages, err);
    if (status == VB_OK)
        status = pass(self, &graph, storages, true, false, err);
    if (status == VB_OK)
        status = pass(self, &graph, storages, true, true, err);
    self->tape.is_fused = false;
    drop_weights(&self->tape, &graph, storages);
    return status;
}
