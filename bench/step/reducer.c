/* SPDX-License-Identifier: Apache-2.0 */
#include "step/reducer.h"

#include "base/bytes.h"
#include "step/builder.h"
#include "step/coalesce.h"
#include "step/math.h"
#include "step/view.h"

static const uint64_t first_cap = VB_MIB(1), cap = VB_MIB(25), no_cap = UINT64_MAX;

static struct vb_variable view_of(const struct vb_builder *self, uint32_t parameter)
{
    const struct vb_reducer *reducer = &self->reducer;
    const struct vb_variable *bucket = &reducer->buckets[reducer->bucket_of[parameter]];
    return vb_part_of(bucket, reducer->place_of[parameter],
                      &self->graph->parameters[parameter].shape);
}

/* A gradient that is not in its bucket yet is copied there and, as a view of it, goes; one that is
 * there is divided in place. */
static void take_in(struct vb_builder *self, uint32_t parameter)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable *gradient = &tape->gradients[parameter];
    struct vb_variable view = view_of(self, parameter);
    if (gradient->storage == view.storage) {
        const struct vb_variable both[] = { view, view };
        vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MUL_NUMBER, .a = 1 }, both, 2);
        return;
    }
    vb_tape_copy(tape, *gradient, view);
    if (self->point->bucket_view)
        vb_tape_assign(tape, gradient, vb_tape_hold(tape, view));
}

static bool is_delayed(const struct vb_reducer *reducer)
{
    return reducer->kind == VB_REDUCES_STATIC && reducer->n_forwards == 1;
}

static void arrived(void *context, uint32_t parameter)
{
    struct vb_builder *self = context;
    struct vb_reducer *reducer = &self->reducer;
    if (is_delayed(reducer))
        return;
    if (reducer->kind != VB_REDUCES_UNUSED && !reducer->is_rebuilt)
        reducer->arrival[reducer->n_arrived++] = parameter;
    take_in(self, parameter);
}

/* Which bucket each parameter of the list is in, in the list's order. `reverses`: the bucket that
 * is filled last is the first. */
static void plan(struct vb_builder *self, const uint32_t *list, uint32_t n, const uint64_t *limits,
                 uint32_t n_limits, bool reverses)
{
    struct vb_reducer *reducer = &self->reducer;
    for (uint32_t i = 0; i < n; i++)
        reducer->sizes[i] =
            (struct vb_sized){ self->graph->parameters[list[i]].elements * sizeof(float),
                               VB_FLOAT32 };
    uint32_t n_buckets = vb_fill_buckets(reducer->sizes, n, limits, n_limits, reducer->numbers);
    for (uint32_t i = 0; i < n; i++)
        reducer->bucket_of[list[i]] =
            reverses ? n_buckets - 1 - reducer->numbers[i] : reducer->numbers[i];
    reducer->n_buckets = n_buckets;
}

/* Gradients that are views of the buckets before move to the new one. */
static void move_in(struct vb_builder *self, uint32_t parameter)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable *gradient = &tape->gradients[parameter];
    struct vb_variable view = view_of(self, parameter);
    if (!self->point->bucket_view || !vb_is_defined(gradient))
        return;
    vb_tape_copy(tape, *gradient, view);
    vb_tape_assign(tape, gradient, vb_tape_hold(tape, view));
}

/* The planned buckets, one flat tensor each. */
static void make(struct vb_builder *self, const uint32_t *list, uint32_t n)
{
    struct vb_reducer *reducer = &self->reducer;
    struct vb_tape *tape = &self->tape;
    enum vb_category category = tape->category;
    for (uint32_t b = 0; b < reducer->n_buckets; b++) {
        uint64_t elements = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (reducer->bucket_of[list[i]] != b)
                continue;
            reducer->place_of[list[i]] = elements;
            elements += self->graph->parameters[list[i]].elements;
        }
        tape->category = VB_GRADIENTS;
        reducer->buckets[b] =
            vb_tape_new(tape, "bucket", &VB_SHAPE((uint32_t)elements), VB_FLOAT32);
        tape->category = category;
        if (tape->program->failed)
            return;
        for (uint32_t i = 0; i < n; i++) {
            if (reducer->bucket_of[list[i]] == b)
                move_in(self, list[i]);
        }
    }
}

/* Rank 0 tells the others which parameters are in which bucket: two lists of int32, which fp32 is
 * as large as. */
static void rebuild(struct vb_builder *self)
{
    struct vb_reducer *reducer = &self->reducer;
    struct vb_tape *tape = &self->tape;
    const uint64_t limits[] = { first_cap, cap };
    uint32_t n_old = reducer->n_buckets;
    plan(self, reducer->arrival, reducer->n_arrived, limits, 2, false);
    struct vb_variable indices =
        vb_tape_new(tape, "bucket indices", &VB_SHAPE(reducer->n_arrived + 1), VB_FLOAT32);
    struct vb_variable counts =
        vb_tape_new(tape, "bucket sizes", &VB_SHAPE(reducer->n_buckets), VB_FLOAT32);
    vb_tape_drop(tape, counts);
    vb_tape_drop(tape, indices);
    for (uint32_t b = 0; b < n_old; b++)
        vb_tape_drop(tape, reducer->buckets[b]);
    make(self, reducer->arrival, reducer->n_arrived);
    reducer->is_rebuilt = true;
}

static bool take_room(struct vb_builder *self)
{
    struct vb_reducer *reducer = &self->reducer;
    struct vb_arena *arena = self->tape.program->arena;
    uint32_t n = self->graph->n_parameters + self->graph->n_buffers;
    reducer->bucket_of = vb_arena_alloc(arena, n, sizeof *reducer->bucket_of);
    reducer->place_of = vb_arena_alloc(arena, n, sizeof *reducer->place_of);
    reducer->buckets = vb_arena_alloc(arena, n, sizeof *reducer->buckets);
    reducer->sizes = vb_arena_alloc(arena, n, sizeof *reducer->sizes);
    reducer->numbers = vb_arena_alloc(arena, n, sizeof *reducer->numbers);
    reducer->trained = vb_arena_alloc(arena, n, sizeof *reducer->trained);
    reducer->arrival = vb_arena_alloc(arena, n, sizeof *reducer->arrival);
    if (reducer->bucket_of == NULL || reducer->place_of == NULL || reducer->buckets == NULL ||
        reducer->sizes == NULL || reducer->numbers == NULL || reducer->trained == NULL ||
        reducer->arrival == NULL)
        self->tape.program->failed = true;
    return !self->tape.program->failed;
}

static void list_trained(struct vb_builder *self)
{
    struct vb_reducer *reducer = &self->reducer;
    for (uint32_t i = 0; i < self->graph->n_parameters; i++) {
        reducer->bucket_of[i] = VB_NONE;
        if (!self->graph->parameters[i].is_frozen)
            reducer->trained[reducer->n_trained++] = i;
    }
}

static enum vb_reducing kind_of(const struct vb_recipe *recipe)
{
    if (recipe->trainer.reducing == VB_REDUCES_STATIC && !recipe->torch.static_graph)
        return VB_REDUCES_PLAIN;
    return recipe->trainer.reducing;
}

void vb_reducer_begin(struct vb_builder *self)
{
    struct vb_reducer *reducer = &self->reducer;
    const uint64_t caps[] = { first_cap, cap };
    if (!vb_is_ddp(self->point) || !take_room(self))
        return;
    reducer->is_on = true;
    reducer->kind = kind_of(self->recipe);
    list_trained(self);
    self->tape.category = VB_TEMPORARY;
    vb_broadcast_tensors(self, 0, self->graph->n_parameters + self->graph->n_buffers);
    bool one = self->recipe->torch.one_bucket_first && reducer->kind != VB_REDUCES_UNUSED;
    plan(self, reducer->trained, reducer->n_trained, one ? &no_cap : caps, one ? 1 : 2, true);
    make(self, reducer->trained, reducer->n_trained);
    self->tape.category = VB_GRADIENTS;
    if (reducer->kind != VB_REDUCES_PLAIN) /* which were used: int32 */
        (void)vb_tape_new(&self->tape, "used parameters", &VB_SHAPE(reducer->n_trained),
                          VB_FLOAT32);
    self->tape.arrived = arrived;
    self->tape.arrived_context = self;
}

void vb_reducer_before(struct vb_builder *self)
{
    struct vb_reducer *reducer = &self->reducer;
    enum vb_category category = self->tape.category;
    if (!reducer->is_on || self->tape.program->failed)
        return;
    self->tape.category = VB_TEMPORARY;
    reducer->n_forwards++;
    if (reducer->n_arrived > 0 && !reducer->is_rebuilt)
        rebuild(self);
    vb_broadcast_tensors(self, self->graph->n_parameters, self->graph->n_buffers);
    self->tape.category = category;
}

/* The sink of the first pass hands gradients through. */
static void sink_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    for (uint32_t i = 0; i < node->n_inputs; i++)
        inputs[i] = vb_tape_hold(tape, outputs[i]);
}

/* With find_unused_parameters every pass has one: ultralytics' models give their losses, a few
 * numbers, which is not looked at. */
void vb_reducer_after(struct vb_builder *self, struct vb_variable *predictions)
{
    struct vb_tape *tape = &self->tape;
    struct vb_variable clones[VB_MAX_LEVELS];
    uint32_t n = self->graph->n_levels;
    if (!self->reducer.is_on || !is_delayed(&self->reducer))
        return;
    for (uint32_t i = 0; i < n; i++) {
        clones[i] = vb_tape_new_like(tape, "clone", predictions[i], predictions[i].dtype);
        vb_tape_copy(tape, predictions[i], clones[i]);
    }
    const struct vb_node *node = vb_tape_node(tape, sink_backward, predictions, n, n);
    for (uint32_t i = 0; i < n; i++) {
        vb_tape_output(tape, node, i, &clones[i]);
        vb_tape_assign(tape, &predictions[i], clones[i]);
    }
}

void vb_reducer_end(struct vb_builder *self)
{
    const struct vb_reducer *reducer = &self->reducer;
    for (uint32_t i = 0; reducer->is_on && i < reducer->n_trained; i++) {
        uint32_t parameter = reducer->trained[i];
        if (is_delayed(reducer) && vb_is_defined(&self->tape.gradients[parameter]))
            take_in(self, parameter);
    }
    for (uint32_t i = 0; reducer->is_on && i < reducer->n_trained; i++) {
        const struct vb_variable *gradient = &self->tape.gradients[reducer->trained[i]];
        if (!self->point->bucket_view && vb_is_defined(gradient))
            vb_tape_copy(&self->tape, view_of(self, reducer->trained[i]), *gradient);
    }
}

bool vb_reducer_is_settled(const struct vb_builder *self)
{
    const struct vb_reducer *reducer = &self->reducer;
    return !reducer->is_on || reducer->kind == VB_REDUCES_UNUSED || reducer->is_rebuilt ||
           self->tape.program->failed;
}
