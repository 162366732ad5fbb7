/* SPDX-License-Identifier: Apache-2.0 */
/* An epoch is drawn as a few of its batches: each has other boxes, so the loss's tensors have other
 * sizes, and what the allocator keeps grows as it does in a run. One of them holds the fullest
 * image of the epoch. */

#include "step/run.h"

#include <math.h>

#include "base/bytes.h"
#include "model/expand.h"

enum {
    DRAWN_BATCHES = 10,
    EPOCH_BATCHES = 100, /* taken for an epoch's: ultralytics' warm-up is at least as long */
    WARMUP_EPOCHS = 3,
};

/* How many batches' gradients are summed at this place of the first epoch, 0 to 1: warm-up goes
 * from one to the steady number in three epochs. */
static uint32_t accumulate_at(const struct vb_builder *self, double place)
{
    uint32_t steady = vb_accumulate_of(self);
    if (self->point->accumulate > 0)
        return steady;
    double batches = (double)self->recipe->trainer.nominal_batch / self->point->batch;
    double now = nearbyint(1 + (batches - 1) * place / WARMUP_EPOCHS);
    return now > 1 ? (uint32_t)now : 1;
}

static enum vb_status run_epoch(struct vb_builder *self, struct vb_error *err)
{
    uint32_t images = self->point->batch;
    uint32_t most = vb_targets_most(self->point, EPOCH_BATCHES * images);
    uint32_t since_update = 0;
    for (uint32_t i = 0; i < DRAWN_BATCHES; i++) {
        struct vb_arena *arena = self->tape.program->arena;
        self->targets = vb_targets_drawn(arena, self->point, images, i, most);
        if (self->targets.items == NULL)
            return vb_fail(err, VB_E_SYSTEM, "no host memory left for the run of %s",
                           self->graph->model);
        if (i == DRAWN_BATCHES / 2)
            self->targets.most_in_an_image = most;
        enum vb_status status = vb_train_batch(self, err);
        if (status != VB_OK)
            return status;
        if (++since_update >= accumulate_at(self, (double)i / (DRAWN_BATCHES - 1))) {
            vb_update_weights(self);
            since_update = 0;
        }
        vb_log_losses(self);
        vb_program_emit(self->tape.program, VB_MARK, VB_MARK_STEP);
    }
    return VB_OK;
}

enum vb_status vb_run_build(const struct vb_graph *graph, const struct vb_description *description,
                            const struct vb_point *point, const struct vb_recipe *recipe,
                            struct vb_arena *arena, struct vb_program *out, struct vb_error *err)
{
    struct vb_builder self;
    (void)description;
    *out = (struct vb_program){ .arena = arena };
    enum vb_status status = vb_builder_init(&self, graph, point, recipe, out, err);
    if (status != VB_OK)
        return status;
    vb_program_emit(out, VB_PHASE, VB_PHASE_SETUP);
    vb_set_up_train(&self);
    out->first_step = out->n_instructions;
    status = run_epoch(&self, err);
    vb_program_emit(out, VB_MARK, VB_MARK_EPOCH);
    out->loop_start = out->loop_end = out->n_instructions;
    if (status == VB_OK && out->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the run of %s", graph->model);
    return status;
}
