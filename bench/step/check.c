/* SPDX-License-Identifier: Apache-2.0 */
#include "step/check.h"

#include "model/catalogue.h"
#include "model/expand.h"
#include "step/fuse.h"
#include "step/infer.h"
#include "step/math.h"
#include "step/sized.h"

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
    if (from_bytes)
        bytes = vb_tape_new(tape, "images", image, VB_UINT8);
    struct vb_variable real = vb_tape_new(tape, "images", image, VB_FLOAT32);
    vb_done(tape, bytes);
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

/* The model that is run: expanded for the check's images, with weights of its own unless it is the
 * trained one. */
struct checked {
    struct vb_graph graph;
    uint32_t *storages;
    bool is_nano; /* another model, fused, warmed up */
    struct vb_description nano;
};

static enum vb_status make(struct vb_builder *self, const struct vb_description *description,
                           const struct vb_extent *extent, struct checked *out,
                           struct vb_error *err)
{
    enum vb_check check = self->recipe->trainer.check;
    struct vb_arena *arena = self->tape.program->arena;
    enum vb_status status = VB_OK;
    out->is_nano = check == VB_CHECK_NANO;
    if (out->is_nano)
        status = vb_catalogue_describe(nano_model, arena, &out->nano, err);
    if (status == VB_OK)
        status = vb_expand_for(out->is_nano ? &out->nano : description, extent,
                               out->is_nano ? 0 : self->graph->classes, arena, &out->graph, err);
    if (status != VB_OK)
        return status;
    out->storages = self->storages;
    if (check == VB_CHECK_OWN)
        return VB_OK;
    out->storages = vb_arena_alloc(arena, out->graph.n_parameters + out->graph.n_buffers,
                                   sizeof *out->storages);
    if (out->storages == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the AMP check");
    const struct vb_graph *trained = self->graph;
    self->graph = &out->graph;
    vb_make_weights(self, VB_TEMPORARY, out->storages);
    self->graph = trained;
    return VB_OK;
}

/* The smallest model is fused on the device and warmed up with one square image. Source:
 * ultralytics 8.0.53, nn/autobackend.py (AutoBackend), engine/predictor.py (stream_inference). */
static enum vb_status warm_up(struct vb_builder *self, const struct checked *checked,
                              struct vb_error *err)
{
    const struct vb_trainer *trainer = &self->recipe->trainer;
    uint32_t side =
        trainer->check_height > trainer->check_width ? trainer->check_height : trainer->check_width;
    const struct vb_extent square = { 1, side, side };
    struct vb_graph graph;
    enum vb_status status =
        vb_expand_for(&checked->nano, &square, 0, self->tape.program->arena, &graph, err);
    if (status != VB_OK)
        return status;
    vb_fuse_weights(&self->tape, &graph, checked->storages);
    return pass(self, &graph, checked->storages, false, false, err);
}

enum vb_status vb_check_amp(struct vb_builder *self, const struct vb_description *description,
                            struct vb_error *err)
{
    const struct vb_trainer *trainer = &self->recipe->trainer;
    uint32_t stride = trainer->check == VB_CHECK_NANO ? 1 : vb_loader_stride(self->graph);
    const struct vb_extent extent = { trainer->check_batch,
                                      (trainer->check_height + stride - 1) / stride * stride,
                                      (trainer->check_width + stride - 1) / stride * stride };
    struct checked checked = { .storages = NULL };
    if (trainer->check == VB_CHECK_NONE || self->point->precision == VB_FP32)
        return VB_OK;
    vb_program_emit(self->tape.program, VB_MARK, VB_MARK_PART + VB_PART_CHECK);
    vb_builder_enter(self, VB_PHASE_CHECK, VB_TEMPORARY);
    enum vb_status status = make(self, description, &extent, &checked, err);
    self->tape.is_fused = checked.is_nano;
    if (status == VB_OK && checked.is_nano)
        status = warm_up(self, &checked, err);
    if (status == VB_OK)
        status = pass(self, &checked.graph, checked.storages, true, false, err);
    if (status == VB_OK)
        status = pass(self, &checked.graph, checked.storages, true, true, err);
    self->tape.is_fused = false;
    if (status == VB_OK && trainer->check != VB_CHECK_OWN && !trainer->check_stays)
        drop_weights(&self->tape, &checked.graph, checked.storages);
    return status;
}
