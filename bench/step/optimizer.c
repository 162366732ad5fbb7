/* SPDX-License-Identifier: Apache-2.0 */
#include "step/optimizer.h"

#include "step/math.h"

static struct vb_shape flat(const struct vb_parameter *parameter)
{
    return VB_SHAPE((uint32_t)parameter->elements);
}

static struct vb_variable new_like(struct vb_tape *tape, const char *what,
                                   const struct vb_parameter *parameter)
{
    struct vb_shape shape = flat(parameter);
    return vb_tape_new(tape, what, &shape, VB_FLOAT32);
}

static bool has_gradient(const struct vb_tape *tape, uint32_t parameter)
{
    return vb_is_defined(&tape->gradients[parameter]);
}

void vb_clip_gradients(struct vb_tape *tape, const struct vb_graph *graph)
{
    struct vb_variable *norms =
        vb_arena_alloc(tape->program->arena, graph->n_parameters, sizeof *norms);
    uint32_t n = 0;
    if (norms == NULL) {
        tape->program->failed = true;
        return;
    }
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (!has_gradient(tape, i))
            continue;
        norms[n] = vb_tape_new(tape, "norm", &(struct vb_shape){ 0 }, VB_FLOAT32);
        struct vb_variable both[] = { tape->gradients[i], norms[n++] };
        vb_tape_run(tape, "norm", 2.0 * (double)graph->parameters[i].elements, both, 2);
    }
    struct vb_variable stack = vb_tape_new(tape, "norms", &VB_SHAPE(n), VB_FLOAT32);
    for (uint32_t i = 0; i < n; i++)
        vb_tape_drop(tape, norms[i]);
    struct vb_variable total = vb_tape_new(tape, "norm", &(struct vb_shape){ 0 }, VB_FLOAT32);
    vb_tape_drop(tape, stack);
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (has_gradient(tape, i))
            vb_tape_run(tape, "mul_", (double)graph->parameters[i].elements, &tape->gradients[i],
                        1);
    }
    vb_tape_drop(tape, total);
}

/* A list of temporaries of a group, one a tensor; all go together. */
struct list {
    struct vb_variable
        *items; /* one a parameter of the graph, undefined for those outside the group */
};

static bool in_group(const struct vb_tape *tape, const struct vb_graph *graph, uint32_t i,
                     enum vb_role role)
{
    return graph->parameters[i].role == role && has_gradient(tape, i);
}

static struct list new_list(struct vb_tape *tape, const struct vb_graph *graph, enum vb_role role,
                            const char *what)
{
    struct list list = { vb_arena_alloc(tape->program->arena, graph->n_parameters,
                                        sizeof *list.items) };
    if (list.items == NULL) {
        tape->program->failed = true;
        return list;
    }
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        list.items[i] = vb_undefined;
        if (!in_group(tape, graph, i, role))
            continue;
        list.items[i] = new_like(tape, what, &graph->parameters[i]);
        struct vb_variable all[] = { tape->gradients[i], tape->gradients[i], list.items[i] };
        vb_tape_run(tape, what, (double)graph->parameters[i].elements, all, 3);
    }
    return list;
}

static void drop_list(struct vb_tape *tape, const struct vb_graph *graph, struct list list)
{
    for (uint32_t i = 0; i < graph->n_parameters && list.items != NULL; i++)
        vb_tape_drop(tape, list.items[i]);
}

/* A tensor of state where there is none yet: made once, there for good. */
static void make_state_of(struct vb_tape *tape, const struct vb_parameter *parameter,
                          const char *what, uint32_t *state)
{
    if (*state != VB_NONE)
        return;
    tape->category = VB_OPTIMIZER_STATE;
    tape->module = parameter->name;
    *state = new_like(tape, what, parameter).storage;
    tape->module = "";
    tape->category = VB_TEMPORARY;
}

static void make_state(struct vb_tape *tape, const struct vb_graph *graph, enum vb_role role,
                       const char *what, uint32_t *state)
{
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (in_group(tape, graph, i, role))
            make_state_of(tape, &graph->parameters[i], what, &state[i]);
    }
}

static void run_update(struct vb_tape *tape, const struct vb_graph *graph, enum vb_role role,
                       const char *name, uint32_t n_tensors)
{
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        struct vb_variable all[8];
        if (!in_group(tape, graph, i, role))
            continue;
        for (uint32_t k = 0; k < n_tensors; k++)
            all[k] = tape->gradients[i];
        vb_tape_run(tape, name, 2.0 * (double)graph->parameters[i].elements, all, n_tensors);
    }
}

/* Weights decay by a list of gradient + decay * weight that lives until the group is done. */
static void step_sgd(struct vb_tape *tape, const struct vb_graph *graph, enum vb_role role,
                     struct vb_optimizer_state *state)
{
    struct list decayed = { NULL };
    if (role == VB_ROLE_WEIGHT)
        decayed = new_list(tape, graph, role, "decayed");
    make_state(tape, graph, role, "momentum", state->first);
    run_update(tape, graph, role, "sgd", 7);
    drop_list(tape, graph, decayed);
}

/* Adam's decay is a list of its own, gone before the list of square roots; AdamW's is in place. */
static void step_adam(struct vb_tape *tape, const struct vb_graph *graph, enum vb_role role,
                      bool is_decoupled, struct vb_optimizer_state *state)
{
    make_state(tape, graph, role, "exp_avg", state->first);
    make_state(tape, graph, role, "exp_avg_sq", state->second);
    if (role == VB_ROLE_WEIGHT && !is_decoupled)
        drop_list(tape, graph, new_list(tape, graph, role, "decayed"));
    struct list roots = new_list(tape, graph, role, "sqrt");
    struct list denominators = { NULL };
    if (!tape->torch->lean_adam)
        denominators = new_list(tape, graph, role, "denominator");
    run_update(tape, graph, role, "adam", 8);
    drop_list(tape, graph, denominators);
    drop_list(tape, graph, roots);
}

/* A temporary of the loop over tensors: what the parameter's update computes. */
static struct vb_variable new_temporary(struct vb_tape *tape, const char *what,
                                        const struct vb_graph *graph, uint32_t i)
{
    struct vb_variable y = new_like(tape, what, &graph->parameters[i]);
    struct vb_variable all[] = { tape->gradients[i], y };
    vb_tape_run(tape, what, (double)graph->parameters[i].elements, all, 2);
    return y;
}

/* One tensor after the other: gradient + decay * weight, the momentum, and Nesterov's sum of both,
 * each replacing the one before under one name. */
static void step_sgd_one_by_one(struct vb_tape *tape, const struct vb_graph *graph,
                                enum vb_role role, struct vb_optimizer_state *state)
{
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        struct vb_variable direction = vb_undefined;
        if (!in_group(tape, graph, i, role))
            continue;
        if (role == VB_ROLE_WEIGHT)
            direction = new_temporary(tape, "decayed", graph, i);
        make_state_of(tape, &graph->parameters[i], "momentum", &state->first[i]);
        vb_tape_assign(tape, &direction, new_temporary(tape, "nesterov", graph, i));
        vb_tape_drop(tape, direction);
    }
}

/* On a CPU: Adam's count of steps, which the host keeps, and a number that Python hands to a
 * kernel.
 */
static struct vb_variable host_number(struct vb_tape *tape, const char *what, enum vb_dtype dtype)
{
    if (!tape->torch->cpu_kernels)
        return vb_undefined;
    return vb_tape_new(tape, what, &(struct vb_shape){ 0 }, dtype);
}

/* The state of the whole group first; then the loop, whose last denominator stays until the next
 * one is there. */
static void step_adam_one_by_one(struct vb_tape *tape, const struct vb_graph *graph,
                                 enum vb_role role, bool is_decoupled,
                                 struct vb_optimizer_state *state)
{
    struct vb_variable denominator = vb_undefined;
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (!in_group(tape, graph, i, role))
            continue;
        if (state->first[i] == VB_NONE)
            (void)host_number(tape, VB_HOST_SCRATCH, VB_FLOAT32);
        make_state_of(tape, &graph->parameters[i], "exp_avg", &state->first[i]);
        make_state_of(tape, &graph->parameters[i], "exp_avg_sq", &state->second[i]);
    }
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        struct vb_variable decayed = vb_undefined;
        if (!in_group(tape, graph, i, role))
            continue;
        if (role == VB_ROLE_WEIGHT && !is_decoupled)
            decayed = new_temporary(tape, "decayed", graph, i);
        struct vb_variable root = new_temporary(tape, "sqrt", graph, i);
        struct vb_variable correction = host_number(tape, "number", VB_INT64);
        struct vb_variable next = new_temporary(tape, "div", graph, i);
        vb_tape_drop(tape, correction);
        vb_tape_drop(tape, root);
        vb_tape_assign(tape, &denominator, next);
        vb_tape_drop(tape, decayed);
    }
    vb_tape_drop(tape, denominator);
}

static void step_group(struct vb_tape *tape, const struct vb_graph *graph, enum vb_role role,
                       enum vb_optimizer optimizer, struct vb_optimizer_state *state)
{
    bool is_decoupled = optimizer == VB_ADAMW;
    if (optimizer == VB_SGD && tape->torch->foreach)
        step_sgd(tape, graph, role, state);
    else if (optimizer == VB_SGD)
        step_sgd_one_by_one(tape, graph, role, state);
    else if (tape->torch->foreach)
        step_adam(tape, graph, role, is_decoupled, state);
    else
        step_adam_one_by_one(tape, graph, role, is_decoupled, state);
}

void vb_optimizer_step(struct vb_tape *tape, const struct vb_graph *graph,
                       enum vb_optimizer optimizer, struct vb_optimizer_state *state)
{
    static const enum vb_role groups[] = { VB_ROLE_BIAS, VB_ROLE_WEIGHT, VB_ROLE_NORM };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        step_group(tape, graph, groups[i], optimizer, state);
}

void vb_plain_sgd_step(struct vb_tape *tape, const struct vb_graph *graph,
                       struct vb_optimizer_state *state)
{
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (!has_gradient(tape, i))
            continue;
        make_state_of(tape, &graph->parameters[i], "momentum", &state->first[i]);
        struct vb_variable both[] = { tape->gradients[i], tape->gradients[i] };
        vb_tape_run(tape, "sgd", 2.0 * (double)graph->parameters[i].elements, both, 2);
    }
}

void vb_zero_gradients(struct vb_tape *tape, const struct vb_graph *graph)
{
    if (tape->torch->cpu_kernels)
        vb_tape_drop(tape, vb_tape_new(tape, "profiler handle", &VB_SHAPE(1), VB_FLOAT32));
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (tape->torch->zeroes_to_none)
            vb_tape_assign(tape, &tape->gradients[i], vb_undefined);
        else if (has_gradient(tape, i))
            vb_tape_run(tape, "zero_", 0, &tape->gradients[i], 1);
    }
}

void vb_update_average(struct vb_tape *tape, const struct vb_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        if (graph->parameters[i].is_int64)
            continue;
        struct vb_variable product = new_like(tape, "product", &graph->parameters[i]);
        struct vb_variable all[] = { product, product, product, product };
        vb_tape_run(tape, "ema", 3.0 * (double)graph->parameters[i].elements, all, 4);
        vb_tape_drop(tape, product);
    }
}
