/* SPDX-License-Identifier: Apache-2.0 */
/* The training loop as YOLOv5 and Ultralytics write it: who holds what from step to step is
 * Python's names in that loop. A v5 step's predictions and loss are held until the next step's
 * replace them; v8's predictions die with the model's loss(). The first step differs from the
 * steady ones (no optimizer state, no predictions left from before), so a program holds both, the
 * steady one as a loop. Source: torch-memory.md, part B, 4 and 5. */

#include "step/build.h"

#include "base/bytes.h"
#include "step/forward.h"
#include "step/loss.h"
#include "step/math.h"
#include "step/optimizer.h"
#include "step/upload.h"

enum { MAX_LEVELS = 8 };

const struct vb_torch vb_torch_2_4 = { .name = "2.4",
                                       .foreach = true,
                                       .zeroes_to_none = true,
                                       .sums_in_place = true,
                                       .lean_bce = true,
                                       .upsample_fp32 = true };

/* The loop's names. */
struct names {
    struct vb_batch batch;
    struct vb_variable predictions[MAX_LEVELS];
    struct vb_variable loss_parts, loss, loss_items, mean_loss;
};
enum { N_NAMES = sizeof(struct names) / sizeof(struct vb_variable) };

struct builder {
    struct vb_tape tape;
    const struct vb_graph *graph;
    const struct vb_point *point;
    struct vb_targets targets;
    uint32_t *storages; /* of the parameters and buffers */
    struct names names;
    struct vb_optimizer_state state;
    struct vb_loss_constants constants;
};

static void enter(struct builder *self, enum vb_phase phase, enum vb_category category)
{
    vb_program_emit(self->tape.program, VB_PHASE, phase);
    self->tape.category = category;
    self->tape.module = "";
}

/* Every parameter and buffer once more: the model itself, then the copy that is averaged. */
static void make_weights(struct builder *self, enum vb_category category, uint32_t *storages)
{
    const struct vb_graph *graph = self->graph;
    self->tape.category = category;
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        const struct vb_parameter *parameter = &graph->parameters[i];
        self->tape.module = category == VB_EMA ? "ema" : "";
        struct vb_variable made = vb_tape_new(&self->tape, parameter->name, &parameter->shape,
                                              parameter->is_int64 ? VB_INT64 : VB_FLOAT32);
        if (storages != NULL)
            storages[i] = made.storage;
    }
    self->tape.module = "";
}

/* The last batch goes first: the loop's name is given the host's tensors before they are uploaded.
 */
static void upload(struct builder *self)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable bytes = vb_undefined;

    vb_drop_batch(tape, &self->names.batch);
    if (self->point->mosaic == VB_MOSAIC_ON) {
        enter(self, VB_PHASE_AUGMENT, VB_AUGMENTATION);
        bytes = vb_compose_mosaic(tape, self->point);
    }
    enter(self, VB_PHASE_INPUT, VB_INPUT);
    vb_upload_batch(tape, self->graph, self->point, &self->targets, bytes, &self->names.batch);
}

static void open_autocast(struct builder *self)
{
    if (self->point->precision == VB_FP32)
        return;
    self->tape.autocast = true;
    self->tape.autocast_dtype = self->point->precision == VB_FP16 ? VB_FLOAT16 : VB_BFLOAT16;
}

static enum vb_status run_forward(struct builder *self, struct vb_variable *predictions,
                                  struct vb_error *err)
{
    struct vb_program *program = self->tape.program;
    enter(self, VB_PHASE_FORWARD, VB_ACTIVATIONS);
    program->saved_forward = (struct vb_saved){ 0 };
    self->tape.saved_sum = &program->saved_forward;
    self->tape.batch++;
    open_autocast(self);
    enum vb_status status = vb_forward(&self->tape, self->graph, self->storages,
                                       self->names.batch.images, predictions, err);
    self->tape.saved_sum = NULL;
    return status;
}

/* mean = (mean * i + items) / (i + 1); the items themselves where there is no mean yet. */
static void log_losses(struct builder *self)
{
    struct vb_tape *tape = &self->tape;
    if (!vb_is_defined(&self->names.mean_loss)) {
        self->names.mean_loss = vb_tape_hold(tape, self->names.loss_items);
        return;
    }
    struct vb_variable product = vb_unary(tape, VB_SCALE, self->names.mean_loss);
    struct vb_variable sum = vb_binary(tape, VB_PLUS, product, self->names.loss_items);
    vb_done(tape, product);
    struct vb_variable mean = vb_unary(tape, VB_SCALE, sum);
    vb_done(tape, sum);
    vb_tape_assign(tape, &self->names.mean_loss, mean);
}

/* v8's model has computed the loss, and its predictions go; the loop sums the parts and logs them
 * while autocast is still on. */
static void take_parts(struct builder *self, const struct vb_variable *predictions,
                       const struct vb_loss *loss)
{
    struct vb_tape *tape = &self->tape;
    for (uint32_t i = 0; i < self->graph->n_levels; i++)
        vb_tape_drop(tape, predictions[i]);
    vb_tape_assign(tape, &self->names.loss_parts, loss->parts);
    vb_tape_assign(tape, &self->names.loss_items, loss->items);
    vb_tape_assign(tape, &self->names.loss, vb_sum(tape, loss->parts));
    log_losses(self);
}

/* Forward, loss and backward of one batch. */
static enum vb_status train_batch(struct builder *self, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    struct vb_program *program = tape->program;
    struct names *names = &self->names;
    struct vb_variable predictions[MAX_LEVELS];
    bool is_v5 = self->graph->head == VB_HEAD_V5;

    upload(self);
    enum vb_status status = run_forward(self, predictions, err);
    if (status != VB_OK)
        return status;
    if (is_v5) {
        for (uint32_t i = 0; i < self->graph->n_levels; i++)
            vb_tape_assign(tape, &names->predictions[i], predictions[i]);
    }

    enter(self, VB_PHASE_LOSS, VB_LOSS);
    program->saved_loss = (struct vb_saved){ 0 };
    tape->saved_sum = &program->saved_loss;
    struct vb_loss loss =
        is_v5 ? vb_loss_v5(tape, self->graph, predictions, &self->targets, &self->constants)
              : vb_loss_v8(tape, self->graph, predictions, &self->targets, &self->constants);
    tape->saved_sum = NULL;
    if (is_v5) {
        vb_tape_assign(tape, &names->loss, loss.total);
        vb_tape_assign(tape, &names->loss_items, loss.items);
    } else {
        take_parts(self, predictions, &loss);
    }
    vb_tape_autocast_end(tape);

    enter(self, VB_PHASE_BACKWARD, VB_TEMPORARY);
    vb_tape_backward(tape, names->loss);
    return VB_OK;
}

static enum vb_status train_step(struct builder *self, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    for (uint32_t i = 0; i < self->point->accumulate; i++) {
        enum vb_status status = train_batch(self, err);
        if (status != VB_OK)
            return status;
    }
    enter(self, VB_PHASE_CLIP, VB_TEMPORARY);
    vb_clip_gradients(tape, self->graph);
    enter(self, VB_PHASE_OPTIMIZER, VB_TEMPORARY);
    vb_optimizer_step(tape, self->graph, self->point->optimizer, &self->state);
    enter(self, VB_PHASE_ZERO_GRAD, VB_TEMPORARY);
    vb_zero_gradients(tape, self->graph);
    if (self->point->ema) {
        enter(self, VB_PHASE_EMA, VB_TEMPORARY);
        vb_update_average(tape, self->graph);
    }
    self->tape.category = VB_LOSS;
    if (self->graph->head == VB_HEAD_V5)
        log_losses(self);
    return VB_OK;
}

/* What AutoBatch times: the batch asks for a gradient too, and gradients stay from step to step. */
static enum vb_status profile_step(struct builder *self, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable predictions[MAX_LEVELS];
    enum vb_status status = run_forward(self, predictions, err);
    if (status != VB_OK)
        return status;

    enter(self, VB_PHASE_LOSS, VB_LOSS);
    struct vb_variable sum = vb_undefined;
    for (uint32_t i = 0; i < self->graph->n_levels; i++) {
        vb_tape_assign(tape, &self->names.predictions[i], predictions[i]);
        struct vb_variable part = vb_sum(tape, predictions[i]);
        if (vb_is_defined(&sum)) {
            struct vb_variable both = vb_binary(tape, VB_PLUS, sum, part);
            vb_done(tape, part);
            part = both;
        }
        vb_tape_assign(tape, &sum, part);
    }
    vb_tape_autocast_end(tape);
    enter(self, VB_PHASE_BACKWARD, VB_TEMPORARY);
    vb_tape_backward(tape, sum);
    vb_tape_drop(tape, sum);
    return VB_OK;
}

static void set_up_train(struct builder *self)
{
    make_weights(self, VB_WEIGHTS, self->storages);
    if (self->point->ema)
        make_weights(self, VB_EMA, NULL);
    self->tape.category = VB_LOSS;
    if (self->graph->head == VB_HEAD_V5) {
        self->constants.class_weight =
            vb_tape_new(&self->tape, "class_weight", &VB_SHAPE(1), VB_FLOAT32);
        self->constants.objectness_weight =
            vb_tape_new(&self->tape, "objectness_weight", &VB_SHAPE(1), VB_FLOAT32);
        self->names.mean_loss = vb_tape_new(&self->tape, "mean_loss", &VB_SHAPE(3), VB_FLOAT32);
    }
}

static void set_up_profile(struct builder *self)
{
    make_weights(self, VB_WEIGHTS, self->storages);
    self->tape.category = VB_INPUT;
    self->names.batch.images = vb_new_images(&self->tape, self->point, "images", VB_FLOAT32);
    self->names.batch.images.requires_grad = true;
    self->names.batch.images.parameter = self->graph->n_parameters;
}

/* Tensors alive at the end of a step, by who holds them: in the same order each time. */
static uint32_t *held(struct builder *self, size_t *n)
{
    uint32_t n_gradients = self->tape.n_parameters;
    uint32_t *list = vb_arena_alloc(self->tape.program->arena, N_NAMES + n_gradients, sizeof *list);
    const struct vb_variable *names = &self->names.batch.images;
    *n = 0;
    if (list == NULL) {
        self->tape.program->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < N_NAMES; i++)
        list[(*n)++] = names[i].storage;
    for (uint32_t i = 0; i < n_gradients; i++)
        list[(*n)++] = self->tape.gradients[i].storage;
    return list;
}

/* The first step, and the next where the first leaves two names on one tensor that it will part:
 * v8's mean of the losses begins as the first batch's items. */
static enum vb_status first_steps(struct builder *self,
                                  enum vb_status (*step)(struct builder *, struct vb_error *),
                                  struct vb_error *err)
{
    const struct names *names = &self->names;
    enum vb_status status = step(self, err);
    self->tape.program->second_step = self->tape.program->n_instructions;
    if (status == VB_OK && vb_is_defined(&names->mean_loss) &&
        names->mean_loss.storage == names->loss_items.storage)
        status = step(self, err);
    return status;
}

static enum vb_status build_steps(struct builder *self, struct vb_error *err)
{
    struct vb_program *program = self->tape.program;
    bool trains = self->point->workload == VB_TRAIN;
    enum vb_status (*step)(struct builder *, struct vb_error *) =
        trains ? train_step : profile_step;
    size_t n = 0;

    vb_program_emit(program, VB_PHASE, VB_PHASE_SETUP);
    if (trains)
        set_up_train(self);
    else
        set_up_profile(self);
    program->first_step = program->n_instructions;
    enum vb_status status = first_steps(self, step, err);
    if (status != VB_OK)
        return status;
    const uint32_t *before = held(self, &n);
    program->loop_start = program->n_instructions;
    status = step(self, err);
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
    return VB_OK;
}

enum vb_status vb_program_build(const struct vb_graph *graph, const struct vb_point *point,
                                const struct vb_torch *torch, const struct vb_targets *targets,
                                struct vb_arena *arena, struct vb_program *out,
                                struct vb_error *err)
{
    size_t n = graph->n_parameters;
    *out = (struct vb_program){ .arena = arena };
    struct builder self = { .tape = { .program = out, .torch = torch, .module = "" },
                            .graph = graph,
                            .point = point };
    /* Deterministic runs are given CUBLAS_WORKSPACE_CONFIG=:4096:8, others have the default. */
    self.tape.cublas_bytes = torch->cpu_kernels ? 0 : point->deterministic ? VB_MIB(32) : 8519680;
    self.tape.n_parameters = graph->n_parameters + 1; /* the profiled image is the last */
    self.tape.gradients = vb_arena_alloc(arena, n + 1, sizeof *self.tape.gradients);
    self.tape.parameter_names = vb_arena_alloc(arena, n + 1, sizeof(char *));
    self.storages = vb_arena_alloc(arena, n + graph->n_buffers, sizeof *self.storages);
    self.state.first = vb_arena_alloc(arena, n, sizeof *self.state.first);
    self.state.second = vb_arena_alloc(arena, n, sizeof *self.state.second);
    self.targets =
        targets != NULL ? *targets : vb_targets_draw(arena, point->batch, point->targets);
    if (self.tape.gradients == NULL || self.tape.parameter_names == NULL || self.storages == NULL ||
        self.state.first == NULL || self.state.second == NULL || self.targets.items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the program of %s", graph->model);

    struct vb_variable *names = &self.names.batch.images;
    for (size_t i = 0; i < N_NAMES; i++)
        names[i] = vb_undefined;
    self.constants.projection = vb_undefined;
    for (size_t i = 0; i < n + 1; i++)
        self.tape.gradients[i] = vb_undefined;
    for (size_t i = 0; i < n; i++) {
        self.tape.parameter_names[i] = graph->parameters[i].name;
        self.state.first[i] = self.state.second[i] = VB_NONE;
    }
    return build_steps(&self, err);
}
