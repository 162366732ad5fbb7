/* SPDX-License-Identifier: Apache-2.0 */
#include "step/replica.h"

#include "base/bytes.h"
#include "step/builder.h"
#include "step/coalesce.h"
#include "step/view.h"

static const uint64_t chunk_bytes = VB_MIB(10);

/* The graph for another number of images. */
static bool scale_graph(const struct vb_graph *graph, uint32_t batch, struct vb_arena *arena,
                        struct vb_graph *out)
{
    struct vb_value *values = vb_arena_alloc(arena, graph->n_values, sizeof *values);
    struct vb_op *ops = vb_arena_alloc(arena, graph->n_ops, sizeof *ops);
    if (values == NULL || ops == NULL)
        return false;
    for (uint32_t i = 0; i < graph->n_values; i++) {
        values[i] = graph->values[i];
        values[i].shape.dims[0] = values[i].shape.dims[0] / graph->batch * batch;
    }
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        ops[i] = graph->ops[i];
        ops[i].macs = ops[i].macs / graph->batch * batch;
    }
    *out = *graph;
    out->batch = batch;
    out->conv_macs = graph->conv_macs / graph->batch * batch;
    out->values = values;
    out->ops = ops;
    return true;
}

/* Parameters or buffers on their way to the other GPUs. */
static bool plan_sending(struct vb_builder *self, bool are_buffers, struct vb_chunks *out)
{
    const struct vb_graph *graph = self->graph;
    return vb_plan_chunks(self, are_buffers ? graph->n_parameters : 0,
                          are_buffers ? graph->n_buffers : graph->n_parameters, chunk_bytes, out);
}

/* On the first GPU each chunk is put together, sent, and gone; one tensor alone is sent as it is.
 */
static void send(struct vb_builder *self, bool are_buffers)
{
    struct vb_tape *tape = &self->tape;
    struct vb_chunks sent;
    if (!plan_sending(self, are_buffers, &sent))
        return;
    for (uint32_t c = 0; c < sent.n_chunks; c++) {
        if (vb_count_chunk(&sent, c) < 2)
            continue;
        struct vb_variable flat = vb_new_chunk(tape, &sent, c, "replica");
        vb_pass_chunk(tape, flat);
        vb_tape_drop(tape, flat);
    }
}

/* On another GPU each chunk stays, and the tensors are parts of it. `chunks` get a hold of each. */
static void receive(struct vb_builder *self, bool are_buffers, struct vb_variable *parts,
                    struct vb_variable *chunks, uint32_t *n_chunks)
{
    struct vb_tape *tape = &self->tape;
    struct vb_chunks sent;
    if (!plan_sending(self, are_buffers, &sent))
        return;
    for (uint32_t c = 0; c < sent.n_chunks && !tape->program->failed; c++) {
        uint64_t place = 0;
        struct vb_variable chunk = vb_new_chunk(tape, &sent, c, "replica");
        for (uint32_t i = 0; i < sent.n; i++) {
            const struct vb_parameter *parameter = &self->graph->parameters[sent.first + i];
            if (sent.chunk_of[i] != c)
                continue;
            parts[sent.first + i] = vb_part_of(&chunk, place, &parameter->shape);
            parts[sent.first + i].requires_grad = !are_buffers;
            place += parameter->elements;
        }
        chunks[(*n_chunks)++] = chunk;
    }
}

/* Each GPU's gradient is a part of the whole one: on the first GPU a view. */
static void gather_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    if (vb_is_defined(&outputs[0]))
        inputs[0] =
            vb_tape_hold(tape, vb_stretch_of(outputs[0], 0, 0, node->inputs[0].shape.dims[0]));
}

/* All levels are gathered before the GPUs' own outputs go. */
static void gather(struct vb_builder *self, const struct vb_variable *mine,
                   struct vb_variable *predictions)
{
    struct vb_tape *tape = &self->tape;
    const struct vb_graph *graph = self->graph;
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_shape *whole = &graph->values[graph->levels[i].output].shape;
        predictions[i] = vb_tape_new(tape, "gathered", whole, mine[i].dtype);
        vb_tape_copy(tape, predictions[i], predictions[i]);
        const struct vb_node *node = vb_tape_node(tape, gather_backward, &mine[i], 1, 1);
        vb_tape_output(tape, node, 0, &predictions[i]);
    }
    for (uint32_t i = 0; i < graph->n_levels; i++)
        vb_tape_drop(tape, mine[i]);
}

/* The GPU's own thread has an autocast context of its own, which ends with the pass. */
enum vb_status vb_parallel_forward(struct vb_builder *self, struct vb_variable *predictions,
                                   struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    const struct vb_graph *whole = self->graph;
    struct vb_variable images = self->names.batch.images, mine[VB_MAX_LEVELS];
    struct vb_graph share;
    uint32_t n = vb_share_of(self->point, whole->batch, 0);
    if (!scale_graph(whole, n, tape->program->arena, &share))
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the program of %s", whole->model);
    vb_builder_enter(self, VB_PHASE_FORWARD, VB_TEMPORARY);
    send(self, false);
    send(self, true);
    self->graph = &share;
    self->names.batch.images = vb_stretch_of(images, 0, 0, n);
    tape->is_replicated = true;
    enum vb_status status = vb_run_forward(self, mine, err);
    tape->is_replicated = false;
    self->graph = whole;
    self->names.batch.images = images;
    vb_tape_autocast_end(tape);
    if (status != VB_OK)
        return status;
    gather(self, mine, predictions);
    vb_open_autocast(self);
    return VB_OK;
}

struct vb_variable *vb_put_gradients_aside(struct vb_builder *self)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable *before =
        vb_arena_alloc(tape->program->arena, tape->n_parameters, sizeof *before);
    if (before == NULL) {
        tape->program->failed = true;
        return NULL;
    }
    for (uint32_t i = 0; i < tape->n_parameters; i++) {
        before[i] = tape->gradients[i];
        tape->gradients[i] = vb_undefined;
    }
    return before;
}

/* Gradients in chunks, in which they are summed over the GPUs. False: no host memory. */
static bool plan_sums(struct vb_builder *self, struct vb_chunks *out)
{
    if (!plan_sending(self, false, out))
        return false;
    uint32_t n = 0;
    uint32_t *chunks = out->chunk_of;
    for (uint32_t i = 0; i < out->n; i++) {
        if (vb_is_defined(&self->tape.gradients[i]))
            out->sizes[n++] = out->sizes[i];
    }
    out->n_chunks = vb_pack_buckets(out->sizes, n, chunk_bytes, chunks);
    for (uint32_t i = out->n; i-- > 0;)
        chunks[i] = vb_is_defined(&self->tape.gradients[i]) ? chunks[--n] : VB_NONE;
    for (uint32_t i = 0; i < out->n; i++)
        out->sizes[i] =
            (struct vb_sized){ self->graph->parameters[i].elements * sizeof(float), VB_FLOAT32 };
    return true;
}

/* The chunk's gradients as one flat tensor for as long as it is summed; on the first GPU (`sums`
 * not NULL) the sum is another tensor, whose parts they become. */
static void sum_chunk(struct vb_builder *self, const struct vb_chunks *sent, uint32_t c,
                      struct vb_variable *sums)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable flat = vb_undefined, sum = vb_undefined;
    uint64_t place = 0;
    tape->category = VB_TEMPORARY;
    if (vb_count_chunk(sent, c) > 1)
        flat = vb_new_chunk(tape, sent, c, "replica");
    tape->category = VB_GRADIENTS;
    if (sums != NULL)
        sum = vb_new_chunk(tape, sent, c, "replica");
    vb_pass_chunk(tape, flat);
    vb_tape_drop(tape, flat);
    for (uint32_t i = 0; i < sent->n && sums != NULL; i++) {
        if (sent->chunk_of[i] != c)
            continue;
        struct vb_variable part = vb_part_of(&sum, place, &self->graph->parameters[i].shape);
        sums[i] = vb_tape_hold(tape, part);
        place += self->graph->parameters[i].elements;
    }
    vb_tape_drop(tape, sum);
}

static void forget_gradients(struct vb_builder *self)
{
    for (uint32_t i = 0; i < self->tape.n_parameters; i++)
        vb_tape_assign(&self->tape, &self->tape.gradients[i], vb_undefined);
}

/* What was summed becomes the parameter's gradient or is added to it. */
static void accumulate(struct vb_builder *self, uint32_t i, struct vb_variable before,
                       struct vb_variable sum)
{
    struct vb_tape *tape = &self->tape;
    tape->gradients[i] = vb_is_defined(&before) ? before : sum;
    if (!vb_is_defined(&before) || !vb_is_defined(&sum))
        return;
    const struct vb_variable all[] = { before, sum, before };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, all, 3);
    vb_tape_drop(tape, sum);
}

void vb_sum_gradients(struct vb_builder *self, const struct vb_variable *before)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable *sums =
        vb_arena_alloc(tape->program->arena, tape->n_parameters, sizeof *sums);
    struct vb_chunks sent;
    if (before == NULL || sums == NULL || !plan_sums(self, &sent)) {
        tape->program->failed = true;
        return;
    }
    for (uint32_t i = 0; i < tape->n_parameters; i++)
        sums[i] = vb_undefined;
    for (uint32_t c = 0; c < sent.n_chunks; c++)
        sum_chunk(self, &sent, c, sums);
    forget_gradients(self);
    for (uint32_t i = 0; i < tape->n_parameters; i++)
        accumulate(self, i, before[i], sums[i]);
    tape->category = VB_TEMPORARY;
}

/* The gradients of a copy's predictions come from the first GPU. */
static void scatter_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)outputs;
    for (uint32_t i = 0; i < node->n_inputs; i++)
        inputs[i] = vb_tape_new_like(tape, "scattered", node->inputs[i], node->inputs[i].dtype);
}

/* Backward from what the first GPU does with the predictions, which takes no memory here. */
static void run_backward(struct vb_builder *self, const struct vb_variable *predictions)
{
    struct vb_tape *tape = &self->tape;
    uint32_t n = self->graph->n_levels;
    struct vb_variable elsewhere = vb_tape_new(tape, "elsewhere", &VB_SHAPE(0), VB_FLOAT32);
    const struct vb_node *node = vb_tape_node(tape, scatter_backward, predictions, n, 1);
    vb_tape_output(tape, node, 0, &elsewhere);
    for (uint32_t i = 0; i < n; i++)
        vb_tape_drop(tape, predictions[i]);
    vb_builder_enter(self, VB_PHASE_BACKWARD, VB_TEMPORARY);
    vb_tape_backward(tape, elsewhere);
    vb_tape_drop(tape, elsewhere);
}

static void sum_up(struct vb_builder *self)
{
    struct vb_chunks sent;
    if (!plan_sums(self, &sent)) {
        self->tape.program->failed = true;
        return;
    }
    for (uint32_t c = 0; c < sent.n_chunks; c++)
        sum_chunk(self, &sent, c, NULL);
    forget_gradients(self);
    self->tape.category = VB_TEMPORARY;
}

enum vb_status vb_replica_batch(struct vb_builder *self, struct vb_error *err)
{
    struct vb_tape *tape = &self->tape;
    const struct vb_graph *graph = self->graph;
    struct vb_variable predictions[VB_MAX_LEVELS];
    size_t n = (size_t)graph->n_parameters + graph->n_buffers;
    struct vb_variable *parts = vb_arena_alloc(tape->program->arena, n, sizeof *parts);
    struct vb_variable *chunks = vb_arena_alloc(tape->program->arena, n, sizeof *chunks);
    uint32_t n_chunks = 0;
    if (parts == NULL || chunks == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the program of %s", graph->model);
    vb_builder_enter(self, VB_PHASE_INPUT, VB_INPUT);
    self->names.batch.images = vb_new_images(tape, graph, "scattered images", VB_FLOAT32);
    vb_builder_enter(self, VB_PHASE_FORWARD, VB_WEIGHTS);
    receive(self, false, parts, chunks, &n_chunks);
    receive(self, true, parts, chunks, &n_chunks);
    tape->parts = parts;
    tape->is_replicated = true;
    enum vb_status status = vb_run_forward(self, predictions, err);
    tape->parts = NULL;
    tape->is_replicated = false;
    vb_tape_autocast_end(tape);
    if (status != VB_OK)
        return status;
    vb_drop_batch(tape, &self->names.batch);
    for (uint32_t c = 0; c < n_chunks; c++)
        vb_tape_drop(tape, chunks[c]);
    run_backward(self, predictions);
    sum_up(self);
    return VB_OK;
}
