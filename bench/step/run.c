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
#include "step/sized.h"
#include "step/validate_epoch.h"

enum {
    DRAWN_BATCHES = 10,
    LATER_BATCHES = 4,
    LARGEST_AT = 3,      /* which batch has the largest size, where sizes are drawn */
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
    const struct vb_graph *largest;     /* multi-scale: of the largest size; else NULL */
    bool is_later;                      /* warm-up is over */
    uint32_t most;                      /* boxes of the epoch's fullest image */
    uint32_t number;                    /* of the batch */
    uint32_t since_update;              /* batches */
    struct vb_variable plotted[VB_MAX_PLOTTED];
    uint32_t n_plotted;
};

/* Threads of the first rank that plot take hold of the first batches' images; all let go together.
 */
static void plot(struct epoch *epoch)
{
    struct vb_builder *self = epoch->builder;
    if (self->point->rank > 0)
        return;
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
    double place = epoch->is_later ? WARMUP_EPOCHS : (double)epoch->number / DRAWN_BATCHES;
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

static void begin_part(const struct epoch *epoch, enum vb_part part)
{
    vb_program_emit(epoch->builder->tape.program, VB_MARK, VB_MARK_PART + part);
}

/* The model's graph where the recipe has it drawn at this place, by the first rank. */
static enum vb_status draw_at(struct epoch *epoch, enum vb_drawing place, struct vb_error *err)
{
    if (epoch->builder->recipe->trainer.draws != place || epoch->builder->point->rank > 0)
        return VB_OK;
    begin_part(epoch, VB_PART_DRAW);
    return vb_draw_graph(epoch->builder, epoch->description, err);
}

/* The first epoch's batch number `i`. */
static enum vb_status run_drawn(struct epoch *epoch, uint32_t i, struct vb_error *err)
{
    if (epoch->largest != NULL && i == LARGEST_AT) {
        begin_part(epoch, VB_PART_LARGEST);
        epoch->builder->loaded = epoch->full;
        enum vb_status status = run_batch(epoch, epoch->largest, 0, err);
        epoch->builder->loaded = NULL;
        return status;
    }
    bool is_fullest = i == DRAWN_BATCHES / 2 && epoch->full->head != VB_HEAD_CLASSIFY;
    if (is_fullest)
        begin_part(epoch, VB_PART_FULLEST);
    else
        begin_part(epoch, i == 0 ? VB_PART_FIRST : VB_PART_STEPS);
    return run_batch(epoch, epoch->full, is_fullest ? epoch->most : 0, err);
}

static enum vb_status run_epoch(struct epoch *epoch, struct vb_error *err)
{
    enum vb_status status = draw_at(epoch, VB_DRAWS_BEFORE, err);
    for (uint32_t i = 0; i < DRAWN_BATCHES && status == VB_OK; i++) {
        status = run_drawn(epoch, i, err);
        if (status == VB_OK && i == 0)
            status = draw_at(epoch, VB_DRAWS_AFTER, err);
    }
    if (status == VB_OK && epoch->last != NULL) {
        begin_part(epoch, VB_PART_LAST);
        status = run_batch(epoch, epoch->last, 0, err);
    }
    epoch->builder->graph = epoch->full;
    return status;
}

/* Of several ranks each, or only the first, validates; a copy of DataParallel's never does. */
static enum vb_status validate(const struct epoch *epoch, struct vb_error *err)
{
    struct vb_builder *self = epoch->builder;
    bool is_first = self->point->rank == 0;
    if (vb_is_replica(self->point) || (!is_first && !self->recipe->trainer.validates_on_all))
        return VB_OK;
    vb_program_emit(self->tape.program, VB_MARK, VB_MARK_EMPTY_FULL_BEFORE);
    if (!vb_is_plain_classifier(self->graph))
        begin_part(epoch, VB_PART_VALIDATION);
    return vb_validate_epoch(self, epoch->description, err);
}

/* Validation, and the batches after it: with the cache as the recipe leaves it. */
static enum vb_status run_later(struct epoch *epoch, struct vb_error *err)
{
    struct vb_builder *self = epoch->builder;
    struct vb_program *program = self->tape.program;
    enum vb_status status = validate(epoch, err);
    vb_program_emit(program, VB_MARK, VB_MARK_EMPTY_FULL);
    begin_part(epoch, VB_PART_LATER);
    vb_zero_gradients(&self->tape, self->graph);
    epoch->is_later = true;
    for (uint32_t i = 0; i < LATER_BATCHES && status == VB_OK; i++)
        status = run_batch(epoch, epoch->full, i == LATER_BATCHES / 2 ? epoch->most : 0, err);
    vb_program_emit(program, VB_MARK, VB_MARK_LATER);
    return status;
}

uint32_t vb_largest_draw(uint32_t imgsz, uint32_t percent, uint32_t stride)
{
    uint64_t end = (uint64_t)imgsz * (100 + percent) / 100 + stride;
    return (uint32_t)((end - 1) / stride * stride);
}

/* The shorter side grows alike, brought up to strides. */
static enum vb_status expand_largest(struct epoch *epoch, struct vb_arena *arena,
                                     struct vb_graph *out, struct vb_error *err)
{
    const struct vb_graph *graph = epoch->full;
    uint32_t percent = epoch->builder->recipe->trainer.multiscale_percent;
    uint32_t stride = vb_loader_stride(graph);
    uint32_t side = vb_largest_draw(graph->imgsz, percent, stride);
    const uint32_t *dims = graph->values[0].shape.dims;
    const struct vb_extent extent = {
        graph->batch, vb_loader_side((double)side / graph->imgsz, dims[2], 0, stride),
        vb_loader_side((double)side / graph->imgsz, dims[3], 0, stride)
    };
    if (!epoch->builder->point->multiscale || graph->head == VB_HEAD_CLASSIFY)
        return VB_OK;
    epoch->largest = out;
    return vb_expand_for(epoch->description, &extent, graph->classes, arena, out, err);
}

/* The batch that is left at the end of an epoch: half as large, as it is on average. */
static enum vb_status expand_last(const struct vb_graph *graph,
                                  const struct vb_description *description, struct vb_arena *arena,
                                  struct vb_graph *out, struct vb_error *err)
{
    const uint32_t *dims = graph->values[0].shape.dims;
    const struct vb_extent extent = { graph->batch / 2, dims[2], dims[3] };
    return vb_expand_for(description, &extent, graph->classes, arena, out, err);
}

/* What is there before the first batch; nothing where there is only a copy of the model for each
 * pass. */
static enum vb_status set_up(const struct epoch *epoch, struct vb_error *err)
{
    struct vb_builder *self = epoch->builder;
    const struct vb_trainer *trainer = &self->recipe->trainer;
    enum vb_status status = VB_OK;
    begin_part(epoch, VB_PART_SETUP);
    vb_program_emit(self->tape.program, VB_PHASE, VB_PHASE_SETUP);
    if (vb_is_replica(self->point))
        return VB_OK;
    vb_make_weights(self, VB_WEIGHTS, self->storages);
    if (self->point->rank == 0 || trainer->checks_on_all)
        status = vb_check_amp(self, epoch->description, err);
    if (status != VB_OK)
        return status;
    begin_part(epoch, VB_PART_SETUP);
    vb_builder_enter(self, VB_PHASE_SETUP, VB_TEMPORARY);
    vb_set_up_train(self);
    if (trainer->halves_weights && self->point->rank == 0)
        vb_halve_weights(self);
    return VB_OK;
}

/* All before the first batch. */
static enum vb_status begin_run(struct epoch *epoch, const struct vb_point *point,
                                const struct vb_recipe *recipe, struct vb_arena *arena,
                                struct vb_program *out, struct vb_error *err)
{
    const struct vb_graph *graph = epoch->full;
    *out = (struct vb_program){ .arena = arena };
    enum vb_status status = vb_builder_init(epoch->builder, graph, point, recipe, out, err);
    if (status == VB_OK)
        status = set_up(epoch, err);
    out->first_step = out->n_instructions;
    epoch->most = vb_targets_most(point, EPOCH_BATCHES * graph->batch);
    return status;
}

/* It is walked once and has no loop. */
static enum vb_status end_run(const struct vb_graph *graph, struct vb_program *out,
                              struct vb_error *err)
{
    out->loop_start = out->loop_end = out->n_instructions;
    if (out->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the run of %s", graph->model);
    return VB_OK;
}

enum vb_status vb_run_build_start(const struct vb_graph *graph,
                                  const struct vb_description *description,
                                  const struct vb_point *point, const struct vb_recipe *recipe,
                                  struct vb_arena *arena, struct vb_program *out,
                                  struct vb_error *err)
{
    struct vb_builder self;
    struct epoch epoch = { .builder = &self, .description = description, .full = graph };
    enum vb_status status = begin_run(&epoch, point, recipe, arena, out, err);
    if (status == VB_OK)
        status = draw_at(&epoch, VB_DRAWS_BEFORE, err);
    if (status == VB_OK)
        status = run_drawn(&epoch, 0, err);
    return status == VB_OK ? end_run(graph, out, err) : status;
}

enum vb_status vb_run_build(const struct vb_graph *graph, const struct vb_description *description,
                            const struct vb_point *point, const struct vb_recipe *recipe,
                            struct vb_arena *arena, struct vb_program *out, struct vb_error *err)
{
    struct vb_builder self;
    struct vb_graph last, largest;
    struct epoch epoch = { .builder = &self, .description = description, .full = graph };
    enum vb_status status = begin_run(&epoch, point, recipe, arena, out, err);
    if (status == VB_OK && graph->batch > 1) {
        status = expand_last(graph, description, arena, &last, err);
        epoch.last = &last;
    }
    if (status == VB_OK)
        status = expand_largest(&epoch, arena, &largest, err);
    if (status == VB_OK)
        status = run_epoch(&epoch, err);
    vb_program_emit(out, VB_MARK, VB_MARK_EPOCH);
    if (status == VB_OK)
        status = run_later(&epoch, err);
    return status == VB_OK ? end_run(graph, out, err) : status;
}
