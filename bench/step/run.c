/* SPDX-License-Identifier: Apache-2.0 */
/* An epoch is drawn as a few of its batches: each has other boxes, so the loss's tensors have other
 * sizes, and what the allocator keeps grows as it does in a run. One of them holds the fullest
 * image of the epoch. */

#include "step/run.h"

#include <math.h>

#include "base/bytes.h"
#include "model/expand.h"
#include "step/check.h"
#include "step/draw.h"

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
    const struct vb_trainer *trainer = &self->recipe->trainer;
    double batches = (double)trainer->nominal_batch / self->point->batch;
    double warmup = fmax(WARMUP_EPOCHS * EPOCH_BATCHES, trainer->warmup_iterations);
    double now = nearbyint(1 + (batches - 1) * place * EPOCH_BATCHES / warmup);
    return now > 1 ? (uint32_t)now : 1;
}

/* An epoch under way. */
struct epoch {
    struct vb_builder *builder;
    const struct vb_description *description;
    const struct vb_graph *full, *last; /* for a whole batch, and for what is left at the end */
    uint32_t most;                      /* boxes of the epoch's fullest image */
    uint32_t number;                    /* of the batch */
    uint32_t since_update;              /* batches */
    struct vb_variable plotted[VB_MAX_PLOTTED];
    uint32_t n_plotted;
};

/* Threads that plot take hold of the first batches' images; all let go together. */
static void plot(struct epoch *epoch)
{
    struct vb_builder *self = epoch->builder;
    if (epoch->number <= self->recipe->trainer.plotted_batches) {
        epoch->plotted[epoch->n_plotted++] = vb_tape_hold(&self->tape, self->names.batch.images);
        return;
    }
    for (uint32_t i = 0; i < epoch->n_plotted; i++)
        vb_tape_drop(&self->tape, epoch->plotted[i]);
    epoch->n_plotted = 0;
}

/* One batch of `graph`'s size; `most`: as many boxes as that in its fullest image, where not 0. */
static enum vb_status run_batch(struct epoch *epoch, const struct vb_graph *graph, uint32_t most,
                                struct vb_error *err)
{
    struct vb_builder *self = epoch->builder;
    struct vb_program *program = self->tape.program;
    double place = (double)epoch->number / DRAWN_BATCHES;
    self->graph = graph;
    self->targets =
        vb_targets_drawn(program->arena, self->point, graph->batch, epoch->number++, epoch->most);
    if (self->targets.items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the run of %s", graph->model);
    if (most > self->targets.most_in_an_image)
        self->targets.most_in_an_image = most;
    enum vb_status status = vb_train_batch(self, err);
    if (status != VB_OK)
        return status;
    if (++epoch->since_update >= accumulate_at(self, place)) {
        vb_update_weights(self);
        epoch->since_update = 0;
    }
    vb_log_losses(self);
    plot(epoch);
    vb_program_emit(program, VB_MARK, VB_MARK_STEP);
    return VB_OK;
}

static enum vb_status run_epoch(struct epoch *epoch, struct vb_error *err)
{
    enum vb_drawing draws = epoch->builder->recipe->trainer.draws;
    enum vb_status status = VB_OK;
    if (draws == VB_DRAWS_BEFORE)
        status = vb_draw_graph(epoch->builder, epoch->description, err);
    for (uint32_t i = 0; i < DRAWN_BATCHES && status == VB_OK; i++) {
        status = run_batch(epoch, epoch->full, i == DRAWN_BATCHES / 2 ? epoch->most : 0, err);
        if (status == VB_OK && i == 0 && draws == VB_DRAWS_AFTER)
            status = vb_draw_graph(epoch->builder, epoch->description, err);
    }
    if (status == VB_OK && epoch->last != NULL)
        status = run_batch(epoch, epoch->last, 0, err);
    epoch->builder->graph = epoch->full;
    return status;
}

/* The batch that is left at the end of an epoch: half as large, as it is on average. */
static enum vb_status expand_last(const struct vb_graph *graph,
                                  const struct vb_description *description, struct vb_arena *arena,
                                  struct vb_graph *out, struct vb_error *err)
{
    const struct vb_extent extent = { graph->batch / 2, graph->imgsz, graph->imgsz };
    return vb_expand_for(description, &extent, graph->classes, arena, out, err);
}

enum vb_status vb_run_build(const struct vb_graph *graph, const struct vb_description *description,
                            const struct vb_point *point, const struct vb_recipe *recipe,
                            struct vb_arena *arena, struct vb_program *out, struct vb_error *err)
{
    struct vb_builder self;
    struct vb_graph last;
    struct epoch epoch = { .builder = &self, .description = description, .full = graph };
    *out = (struct vb_program){ .arena = arena };
    enum vb_status status = vb_builder_init(&self, graph, point, recipe, out, err);
    if (status != VB_OK)
        return status;
    vb_program_emit(out, VB_PHASE, VB_PHASE_SETUP);
    vb_make_weights(&self, VB_WEIGHTS, self.storages);
    status = vb_check_amp(&self, description, err);
    if (status != VB_OK)
        return status;
    vb_builder_enter(&self, VB_PHASE_SETUP, VB_TEMPORARY);
    vb_set_up_train(&self);
    if (recipe->trainer.halves_weights)
        vb_halve_weights(&self);
    out->first_step = out->n_instructions;
    epoch.most = vb_targets_most(point, EPOCH_BATCHES * point->batch);
    if (point->batch > 1) {
        status = expand_last(graph, description, arena, &last, err);
        epoch.last = &last;
    }
    if (status == VB_OK)
        status = run_epoch(&epoch, err);
    vb_program_emit(out, VB_MARK, VB_MARK_EPOCH);
    out->loop_start = out->loop_end = out->n_instructions;
    if (status == VB_OK && out->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the run of %s", graph->model);
    return status;
}
