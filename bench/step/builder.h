/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_BUILDER_H
#define VB_STEP_BUILDER_H

/* What the parts of a program under construction share: the tape, the weights, and the names that
 * Python's training loop holds from step to step. Private to step/. */

#include "model/graph.h"
#include "step/loss.h"
#include "step/optimizer.h"
#include "step/recipe.h"
#include "step/scaler.h"
#include "step/tape.h"
#include "step/targets.h"
#include "step/upload.h"

enum { VB_MAX_LEVELS = 8, VB_MAX_PREDICTIONS = 2 * VB_MAX_LEVELS };

/* The loop's names. */
struct vb_names {
    struct vb_batch batch;
    struct vb_variable predictions[VB_MAX_PREDICTIONS];
    struct vb_variable loss_parts, loss, loss_items, mean_loss;
    struct vb_variable labels; /* of a classifier */
};
enum { VB_N_NAMES = sizeof(struct vb_names) / sizeof(struct vb_variable) };

struct vb_builder {
    struct vb_tape tape;
    const struct vb_graph *graph; /* of the batch that is built */
    const struct vb_point *point;
    const struct vb_recipe *recipe;
    struct vb_targets targets; /* of that batch */
    uint32_t *storages;        /* of the parameters and buffers */
    uint32_t *average;         /* of their average; what is there counts where the point has it */
    /* For the size at which the batch's images are loaded, where they are brought to another after;
     * else NULL. */
    const struct vb_graph *loaded;
    struct vb_names names;
    struct vb_optimizer_state state;
    struct vb_scaler scaler;
    struct vb_loss_constants constants;
};

/* What the optimizer works on. */
static inline struct vb_trained vb_trained_of(const struct vb_builder *self)
{
    return (struct vb_trained){ self->graph, self->storages, &self->state, self->scaler.found };
}

/* Lives in the arena, as all that it makes. `torch` is the recipe's, or a test's. */
VB_CHECKED enum vb_status vb_builder_init(struct vb_builder *self, const struct vb_graph *graph,
                                          const struct vb_point *point,
                                          const struct vb_recipe *recipe, struct vb_program *out,
                                          struct vb_error *err);

/* Emits the beginning of a phase; what is allocated next is of `category`. */
void vb_builder_enter(struct vb_builder *self, enum vb_phase phase, enum vb_category category);

/* Every parameter and buffer once more: a model with its initial values; or, of the category of the
 * average, a copy of the one that is trained. Their tensors go to `storages`. */
void vb_make_weights(struct vb_builder *self, enum vb_category category, uint32_t *storages);

/* Where the point is not fp32. */
void vb_open_autocast(struct vb_builder *self);

/* The graph's forward pass over the batch's images, in autocast where the point is not fp32. */
VB_CHECKED enum vb_status vb_run_forward(struct vb_builder *self, struct vb_variable *predictions,
                                         struct vb_error *err);

/* What a training process makes beside the weights before its first batch: their average, the
 * loss's constants. */
void vb_set_up_train(struct vb_builder *self);

/* model.half().float(): each weight in fp16, all of them, then each in fp32 again. */
void vb_halve_weights(struct vb_builder *self);

/* Upload, forward, loss and backward of one batch. */
VB_CHECKED enum vb_status vb_train_batch(struct vb_builder *self, struct vb_error *err);

/* Clip, step, forget, average. */
void vb_update_weights(struct vb_builder *self);

/* The running mean of the losses, which YOLOv5 takes after each batch. */
void vb_log_losses(struct vb_builder *self);

/* Batches of the steady state whose gradients are summed: by the point or by the recipe. */
uint32_t vb_accumulate_of(const struct vb_builder *self);

#endif
