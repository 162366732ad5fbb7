/* SPDX-License-Identifier: Apache-2.0 */
/* A program of steps holds the first one and one steady one as a loop: the first differs (no
 * optimizer state, no predictions left from before). */

#include "step/build.h"

#include "base/bytes.h"
#include "step/builder.h"
#include "step/forward.h"
#include "step/math.h"

void vb_builder_enter(struct vb_builder *self, enum vb_phase phase, enum vb_category category)
{
    vb_program_emit(self->tape.program, VB_PHASE, phase);
    self->tape.category = category;
    self->tape.module = "";
}

void vb_open_autocast(struct vb_builder *self)
{
    if (self->point->precision == VB_FP32)
        return;
    self->tape.autocast = true;
    self->tape.autocast_dtype = self->point->precision == VB_FP16 ? VB_FLOAT16 : VB_BFLOAT16;
}

enum vb_status vb_run_forward(struct vb_builder *self, struct vb_variable *predictions,
                              struct vb_error *err)
{
    struct vb_program *program = self->tape.program;
    vb_builder_enter(self, VB_PHASE_FORWARD, VB_ACTIVATIONS);
    program->saved_forward = (struct vb_saved){ 0 };
    self->tape.saved_sum = &program->saved_forward;
    self->tape.batch++;
    vb_open_autocast(self);
    enum vb_status status = vb_forward(&self->tape, self->graph, self->storages,
                                       self->names.batch.images, predictions, err);
    self->tape.saved_sum = NULL;
    return status;
}

/* More batches than two whose gradients are summed repeat the second: what is alive is the same. */
static uint32_t emitted_batches(const struct vb_builder *self)
{
    uint32_t accumulate = vb_accumulate_of(self);
    if (self->point->accumulate > 0)
        return accumulate;
    return accumulate > 2 ? 2 : accumulate;
}

static enum vb_status train_step(struct vb_builder *self, struct vb_error *err)
{
    uint32_t n = emitted_batches(self);
    for (uint32_t i = 0; i < n; i++) {
        enum vb_status status = vb_train_batch(self, err);
        if (status != VB_OK)
            return status;
        if (i + 1 == n)
            vb_update_weights(self);
        vb_log_losses(self);
    }
    self->tape.program->loop_batches = n;
    return VB_OK;
}

/* Tensors alive at the end of a step, by who holds them: in the same order each time. */
static uint32_t *held(struct vb_builder *self, size_t *n)
{
    uint32_t n_gradients = self->tape.n_parameters;
    uint32_t n_parameters = self->graph->n_parameters, n_buffers = self->graph->n_buffers;
    uint32_t *list = vb_arena_alloc(self->tape.program->arena, VB_N_NAMES + n_gradients + n_buffers,
                                    sizeof *list);
    const struct vb_variable *names = &self->names.batch.images;
    *n = 0;
    if (list == NULL) {
        self->tape.program->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < VB_N_NAMES; i++)
        list[(*n)++] = names[i].storage;
    for (uint32_t i = 0; i < n_gradients; i++)
        list[(*n)++] = self->tape.gradients[i].storage;
    for (uint32_t i = 0; i < n_buffers; i++)
        list[(*n)++] = self->storages[n_parameters + i];
    return list;
}

/* The first step, and the next where the first leaves two names on one tensor that it will part:
 * ultralytics' mean of the losses begins as the first batch's items. */
static enum vb_status first_steps(struct vb_builder *self, struct vb_error *err)
{
    const struct vb_names *names = &self->names;
    enum vb_status status = train_step(self, err);
    self->tape.program->first_loss = names->loss.storage;
    self->tape.program->second_step = self->tape.program->n_instructions;
    if (status == VB_OK && vb_is_defined(&names->mean_loss) &&
        names->mean_loss.storage == names->loss_items.storage)
        status = train_step(self, err);
    return status;
}

static enum vb_status build_steps(struct vb_builder *self, struct vb_error *err)
{
    struct vb_program *program = self->tape.program;
    size_t n = 0;

    vb_program_emit(program, VB_PHASE, VB_PHASE_SETUP);
    vb_make_weights(self, VB_WEIGHTS, self->storages);
    vb_set_up_train(self);
    program->first_step = program->n_instructions;
    enum vb_status status = first_steps(self, err);
    if (status != VB_OK)
        return status;
    const uint32_t *before = held(self, &n);
    program->loop_start = program->n_instructions;
    status = train_step(self, err);
    if (status != VB_OK)
        return status;
    const uint32_t *after = held(self, &n);
    for (size_t i = 0; i < n && !program->failed; i++) {
        if (before[i] != after[i] && before[i] != VB_NONE && after[i] != VB_NONE)
            vb_program_carry(program, after[i], before[i]);
    }
    if (program->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the program of %s, batch %u",
                       self->graph->model, self->point->batch);
    program->loss = self->names.loss.storage;
    program->loop_end = program->n_instructions;
    return VB_OK;
}

enum vb_status vb_builder_init(struct vb_builder *self, const struct vb_graph *graph,
                               const struct vb_point *point, const struct vb_recipe *recipe,
                               struct vb_program *out, struct vb_error *err)
{
    struct vb_arena *arena = out->arena;
    size_t n = graph->n_parameters;
    enum vb_status status = vb_check_composition(point, err);
    if (status != VB_OK)
        return status;
    *self = (struct vb_builder){
        .tape = { .program = out, .torch = &recipe->torch, .module = "" },
        /* The recordings on a CPU were made without one. */
        .scaler = { .is_on = point->precision == VB_FP16 && !recipe->torch.cpu_kernels,
                    .scale = vb_undefined,
                    .steps = vb_undefined,
                    .found = vb_undefined },
        .graph = graph,
        .point = point,
        .recipe = recipe,
    };
    out->deterministic = recipe->trainer.deterministic;
    out->fixed_algorithms = recipe->torch.fixed_algorithms;
    out->benchmark = recipe->trainer.benchmark;
    out->empties_above_percent = recipe->trainer.empties_above_percent;
    out->empties_before_percent = recipe->trainer.empties_before_percent;
    out->lazy_modules = recipe->torch.lazy_modules;
    /* Deterministic runs are given CUBLAS_WORKSPACE_CONFIG=:4096:8, others have the default. */
    if (recipe->torch.cublas_in_pool)
        self->tape.cublas_bytes[0] = self->tape.cublas_bytes[1] =
            recipe->trainer.deterministic ? VB_MIB(32) : 8519680;
    self->tape.frozen_in_eval = recipe->trainer.frozen_norms_in_eval;
    self->tape.n_parameters = graph->n_parameters + 1; /* the profiled image is the last */
    self->tape.gradients = vb_arena_alloc(arena, n + 1, sizeof *self->tape.gradients);
    self->tape.parameter_names = vb_arena_alloc(arena, n + 1, sizeof(char *));
    self->storages = vb_arena_alloc(arena, n + graph->n_buffers, sizeof *self->storages);
    self->average = vb_arena_alloc(arena, n + graph->n_buffers, sizeof *self->average);
    self->state.first = vb_arena_alloc(arena, n, sizeof *self->state.first);
    self->state.second = vb_arena_alloc(arena, n, sizeof *self->state.second);
    if (self->tape.gradients == NULL || self->tape.parameter_names == NULL ||
        self->storages == NULL || self->average == NULL || self->state.first == NULL ||
        self->state.second == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the program of %s", graph->model);

    struct vb_variable *names = &self->names.batch.images;
    for (size_t i = 0; i < VB_N_NAMES; i++)
        names[i] = vb_undefined;
    self->constants.projection = self->constants.anchors = vb_undefined;
    for (size_t i = 0; i < n + 1; i++)
        self->tape.gradients[i] = vb_undefined;
    for (size_t i = 0; i < n; i++) {
        self->tape.parameter_names[i] = graph->parameters[i].name;
        self->state.first[i] = self->state.second[i] = VB_NONE;
    }
    self->tape.parameter_names[n] = "images";
    return VB_OK;
}

enum vb_status vb_program_build(const struct vb_graph *graph, const struct vb_point *point,
                                const struct vb_recipe *recipe, const struct vb_targets *targets,
                                enum vb_layout layout, struct vb_arena *arena,
                                struct vb_program *out, struct vb_error *err)
{
    struct vb_builder self;
    *out = (struct vb_program){ .arena = arena, .layout = layout };
    enum vb_status status = vb_builder_init(&self, graph, point, recipe, out, err);
    if (status != VB_OK)
        return status;
    self.targets = targets != NULL ? *targets : vb_targets_even(arena, point);
    if (self.targets.items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the program of %s", graph->model);
    return build_steps(&self, err);
}
