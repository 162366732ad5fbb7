/* SPDX-License-Identifier: Apache-2.0 */
#include "step/optimizer.h"

#include "step/math.h"
#include "step/view.h"

static const double max_norm = 10, sgd_rate = 0.01, adam_rate = 0.001, plain_rate = 0.001,
                    momentum = 0.937, plain_momentum = 0.9, weight_decay = 5e-4, ema_decay = 0.9999,
                    ema_batches = 2000;

static struct vb_variable new_like(struct vb_tape *tape, const char *what,
                                   const struct vb_parameter *parameter)
{
    return vb_tape_new(tape, what, &VB_SHAPE((uint32_t)parameter->elements), VB_FLOAT32);
}

/* A parameter, a buffer or what belongs to one, by its tensor. */
static struct vb_variable flat(const struct vb_tape *tape, uint32_t storage)
{
    if (tape->program->failed)
        return vb_undefined;
    return vb_flat(vb_tape_parameter(tape, VB_NONE, storage));
}

static bool has_gradient(const struct vb_tape *tape, uint32_t parameter)
{
    return vb_is_defined(&tape->gradients[parameter]);
}

static struct vb_variable gradient_of(const struct vb_tape *tape, uint32_t parameter)
{
    return vb_flat(tape->gradients[parameter]);
}

void vb_clip_gradients(struct vb_tape *tape, const struct vb_graph *graph)
{
    struct vb_variable *norms =
        vb_arena_alloc(tape->program->arena, graph->n_parameters, sizeof *norms);
    const struct vb_call norm = { .op = VB_OP_NORM };
    uint32_t n = 0;
    if (norms == NULL) {
        tape->program->failed = true;
        return;
    }
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        struct vb_variable gradient = gradient_of(tape, i);
        if (has_gradient(tape, i))
            norms[n++] = vb_make(tape, &norm, &VB_SCALAR, VB_FLOAT32, &gradient, 1);
    }
    struct vb_variable stack = vb_tape_new(tape, "norms", &VB_SHAPE(n), VB_FLOAT32);
    for (uint32_t i = 0; i < n; i++)
        vb_tape_copy(tape, norms[i], vb_at(stack, 0, i));
    for (uint32_t i = 0; i < n; i++)
        vb_tape_drop(tape, norms[i]);
    struct vb_variable total = vb_make(tape, &norm, &VB_SCALAR, VB_FLOAT32, &stack, 1);
    vb_tape_drop(tape, stack);
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        const struct vb_variable both[] = { total, gradient_of(tape, i) };
        if (has_gradient(tape, i))
            vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_CLIP, .a = max_norm }, both, 2);
    }
    vb_tape_drop(tape, total);
}

/* A group of parameters on their way through a step. */
struct group {
    struct vb_tape *tape;
    const struct vb_trained *trained;
    enum vb_role role;
};

static bool is_stepped(const struct vb_tape *tape, const struct vb_trained *trained, uint32_t i)
{
    return has_gradient(tape, i) && (trained->is_own == NULL || trained->is_own[i]);
}

static bool has(const struct group *group, uint32_t i)
{
    return group->trained->graph->parameters[i].role == group->role &&
           is_stepped(group->tape, group->trained, i);
}

static struct vb_variable parameter_of(const struct group *group, uint32_t i)
{
    return flat(group->tape, group->trained->storages[i]);
}

/* A temporary that `call` makes for the parameter. */
static struct vb_variable make(const struct group *group, uint32_t i, const char *what,
                               const struct vb_call *call, struct vb_variable x,
                               struct vb_variable z)
{
    struct vb_variable y = new_like(group->tape, what, &group->trained->graph->parameters[i]);
    const struct vb_variable two[] = { x, y }, three[] = { x, z, y };
    if (vb_is_defined(&z))
        vb_tape_apply(group->tape, call, three, 3);
    else
        vb_tape_apply(group->tape, call, two, 2);
    return y;
}

/* gradient + decay * weight */
static struct vb_variable make_decayed(const struct group *group, uint32_t i)
{
    const struct vb_call call = { .op = VB_OP_ADD_SCALED, .a = weight_decay };
    return make(group, i, "decayed", &call, gradient_of(group->tape, i), parameter_of(group, i));
}

static struct vb_variable make_root(const struct group *group, uint32_t i)
{
    struct vb_variable squares = flat(group->tape, group->trained->state->second[i]);
    return make(group, i, "sqrt", &(struct vb_call){ .op = VB_OP_SQRT }, squares, vb_undefined);
}

/* A list of temporaries of a group, one a parameter of the graph, undefined for those outside the
 * group; all go together. NULL: there are none. */
static struct vb_variable *make_list(const struct group *group,
                                     struct vb_variable (*make_one)(const struct group *, uint32_t))
{
    struct vb_tape *tape = group->tape;
    uint32_t n = group->trained->graph->n_parameters;
    struct vb_variable *list = vb_arena_alloc(tape->program->arena, n, sizeof *list);
    if (list == NULL)
        tape->program->failed = true;
    for (uint32_t i = 0; i < n && list != NULL; i++)
        list[i] = has(group, i) ? make_one(group, i) : vb_undefined;
    return list;
}

static void drop_list(const struct group *group, const struct vb_variable *list)
{
    for (uint32_t i = 0; i < group->trained->graph->n_parameters && list != NULL; i++)
        vb_tape_drop(group->tape, list[i]);
}

/* A tensor of state where there is none yet: made once, there for good. */
static void make_state_of(struct vb_tape *tape, const struct vb_parameter *parameter,
                          const char *what, uint32_t *state)
{
    if (*state != VB_NONE)
        return;
    tape->category = VB_OPTIMIZER_STATE;
    tape->module = parameter->name;
    struct vb_variable made = new_like(tape, what, parameter);
    vb_tape_fill(tape, made, 0);
    *state = made.storage;
    tape->module = "";
    tape->category = VB_TEMPORARY;
}

static void make_state(const struct group *group, const char *what, uint32_t *state)
{
    for (uint32_t i = 0; i < group->trained->graph->n_parameters; i++) {
        if (has(group, i))
            make_state_of(group->tape, &group->trained->graph->parameters[i], what, &state[i]);
    }
}

/* The momentum, Nesterov's sum in `step`, the parameter. */
static void apply_sgd(const struct group *group, uint32_t i, struct vb_variable direction,
                      struct vb_variable step)
{
    const struct vb_call call = { .op = VB_OP_SGD, .a = sgd_rate, .b = momentum };
    const struct vb_variable operands[] = { group->trained->found, direction,
                                            flat(group->tape, group->trained->state->first[i]),
                                            step, parameter_of(group, i) };
    vb_tape_apply(group->tape, &call, operands, 5);
}

/* Weights decay by a list of gradient + decay * weight that lives until the group is done; the sums
 * take the place of what they are sums of. */
static void step_sgd(const struct group *group)
{
    struct vb_variable *decayed = NULL;
    if (group->role == VB_ROLE_WEIGHT)
        decayed = make_list(group, make_decayed);
    make_state(group, "momentum", group->trained->state->first);
    for (uint32_t i = 0; i < group->trained->graph->n_parameters; i++) {
        struct vb_variable direction = decayed != NULL ? decayed[i] : gradient_of(group->tape, i);
        if (has(group, i))
            apply_sgd(group, i, direction, direction);
    }
    drop_list(group, decayed);
}

static void apply_moments(const struct group *group, uint32_t i, struct vb_variable gradient)
{
    const struct vb_call call = { .op = VB_OP_ADAM_MOMENTS, .a = momentum, .b = VB_SQUARES_DECAY };
    const struct vb_variable operands[] = { group->trained->found, gradient,
                                            flat(group->tape, group->trained->state->first[i]),
                                            flat(group->tape, group->trained->state->second[i]) };
    vb_tape_apply(group->tape, &call, operands, 4);
}

static void apply_adam(const struct group *group, uint32_t i, struct vb_variable root,
                       struct vb_variable denominator)
{
    const struct vb_call call = { .op = VB_OP_ADAM_STEP, .a = adam_rate, .b = momentum };
    const struct vb_variable operands[] = { group->trained->found,
                                            flat(group->tape, group->trained->state->first[i]),
                                            root, denominator, parameter_of(group, i) };
    vb_tape_apply(group->tape, &call, operands, 5);
}

/* AdamW's, in place. */
static void apply_decay(const struct group *group, uint32_t i)
{
    const struct vb_call call = { .op = VB_OP_DECAY, .a = 1 - adam_rate * weight_decay };
    const struct vb_variable operands[] = { group->trained->found, parameter_of(group, i) };
    vb_tape_apply(group->tape, &call, operands, 2);
}

static struct vb_variable make_denominator(const struct group *group, uint32_t i)
{
    return new_like(group->tape, "denominator", &group->trained->graph->parameters[i]);
}

/* Adam's decay is a list of its own, gone before the list of square roots; AdamW's is in place. */
static void step_adam(const struct group *group, bool is_decoupled)
{
    const struct vb_optimizer_state *state = group->trained->state;
    uint32_t n = group->trained->graph->n_parameters;
    bool decays = group->role == VB_ROLE_WEIGHT;
    struct vb_variable *decayed = NULL, *denominators = NULL;
    make_state(group, "exp_avg", state->first);
    make_state(group, "exp_avg_sq", state->second);
    if (decays && !is_decoupled)
        decayed = make_list(group, make_decayed);
    for (uint32_t i = 0; i < n; i++) {
        if (!has(group, i))
            continue;
        if (decays && is_decoupled)
            apply_decay(group, i);
        apply_moments(group, i, decayed != NULL ? decayed[i] : gradient_of(group->tape, i));
    }
    drop_list(group, decayed);
    struct vb_variable *roots = make_list(group, make_root);
    if (!group->tape->torch->lean_adam)
        denominators = make_list(group, make_denominator);
    for (uint32_t i = 0; i < n && roots != NULL; i++) {
        if (has(group, i))
            apply_adam(group, i, roots[i], denominators != NULL ? denominators[i] : roots[i]);
    }
    drop_list(group, denominators);
    drop_list(group, roots);
}

/* One tensor after the other: gradient + decay * weight, the momentum, and Nesterov's sum of both,
 * each replacing the one before under one name. */
static void step_sgd_one_by_one(const struct group *group)
{
    const struct vb_graph *graph = group->trained->graph;
    struct vb_tape *tape = group->tape;
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        struct vb_variable decayed = vb_undefined;
        if (!has(group, i))
            continue;
        if (group->role == VB_ROLE_WEIGHT)
            decayed = make_decayed(group, i);
        make_state_of(tape, &graph->parameters[i], "momentum", &group->trained->state->first[i]);
        struct vb_variable sum = new_like(tape, "nesterov", &graph->parameters[i]);
        apply_sgd(group, i, vb_is_defined(&decayed) ? decayed : gradient_of(tape, i), sum);
        vb_tape_drop(tape, decayed);
        vb_tape_drop(tape, sum);
    }
}

/* On a CPU: Adam's count of steps, which the host keeps, and a number that Python hands to a
 * kernel.
 */
static struct vb_variable host_number(struct vb_tape *tape, const char *what, enum vb_dtype dtype)
{
    if (!tape->torch->cpu_kernels)
        return vb_undefined;
    return vb_tape_new(tape, what, &VB_SCALAR, dtype);
}

static void make_adam_state(const struct group *group)
{
    const struct vb_graph *graph = group->trained->graph;
    const struct vb_optimizer_state *state = group->trained->state;
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (!has(group, i))
            continue;
        if (state->first[i] == VB_NONE)
            (void)host_number(group->tape, VB_HOST_SCRATCH, VB_FLOAT32);
        make_state_of(group->tape, &graph->parameters[i], "exp_avg", &state->first[i]);
        make_state_of(group->tape, &graph->parameters[i], "exp_avg_sq", &state->second[i]);
    }
}

/* The state of the whole group first; then the loop, whose last denominator stays until the next
 * one is there. */
static void step_adam_one_by_one(const struct group *group, bool is_decoupled)
{
    const struct vb_graph *graph = group->trained->graph;
    struct vb_tape *tape = group->tape;
    struct vb_variable denominator = vb_undefined;
    bool decays = group->role == VB_ROLE_WEIGHT;
    make_adam_state(group);
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        struct vb_variable decayed = vb_undefined;
        if (!has(group, i))
            continue;
        if (decays && !is_decoupled)
            decayed = make_decayed(group, i);
        if (decays && is_decoupled)
            apply_decay(group, i);
        apply_moments(group, i, vb_is_defined(&decayed) ? decayed : gradient_of(tape, i));
        struct vb_variable root = make_root(group, i);
        struct vb_variable correction = host_number(tape, "number", VB_INT64);
        struct vb_variable next = make_denominator(group, i);
        apply_adam(group, i, root, next);
        vb_tape_drop(tape, correction);
        vb_tape_drop(tape, root);
        vb_tape_assign(tape, &denominator, next);
        vb_tape_drop(tape, decayed);
    }
    vb_tape_drop(tape, denominator);
}

void vb_optimizer_step(struct vb_tape *tape, const struct vb_trained *trained,
                       enum vb_optimizer optimizer)
{
    static const enum vb_role roles[] = { VB_ROLE_BIAS, VB_ROLE_WEIGHT, VB_ROLE_NORM };
    bool is_decoupled = optimizer == VB_ADAMW;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        const struct group group = { tape, trained, roles[i] };
        if (optimizer == VB_SGD && tape->torch->foreach)
            step_sgd(&group);
        else if (optimizer == VB_SGD)
            step_sgd_one_by_one(&group);
        else if (tape->torch->foreach)
            step_adam(&group, is_decoupled);
        else
            step_adam_one_by_one(&group, is_decoupled);
    }
}

void vb_plain_sgd_step(struct vb_tape *tape, const struct vb_trained *trained)
{
    const struct vb_call call = { .op = VB_OP_SGD, .a = plain_rate, .b = plain_momentum };
    uint32_t *first = trained->state->first;
    for (uint32_t i = 0; i < trained->graph->n_parameters; i++) {
        if (!is_stepped(tape, trained, i))
            continue;
        make_state_of(tape, &trained->graph->parameters[i], "momentum", &first[i]);
        const struct vb_variable operands[] = { trained->found, gradient_of(tape, i),
                                                flat(tape, first[i]), vb_undefined,
                                                flat(tape, trained->storages[i]) };
        vb_tape_apply(tape, &call, operands, 5);
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
            vb_tape_fill(tape, gradient_of(tape, i), 0);
    }
}

void vb_update_average(struct vb_tape *tape, const struct vb_trained *trained,
                       const uint32_t *average)
{
    const struct vb_graph *graph = trained->graph;
    const struct vb_call call = { .op = VB_OP_EMA, .a = ema_decay, .b = ema_batches };
    for (uint32_t i = 0; i < graph->n_parameters + graph->n_buffers; i++) {
        if (graph->parameters[i].is_int64)
            continue;
        struct vb_variable product = new_like(tape, "product", &graph->parameters[i]);
        const struct vb_variable operands[] = { flat(tape, trained->storages[i]), product,
                                                flat(tape, average[i]) };
        vb_tape_apply(tape, &call, operands, 3);
        vb_tape_drop(tape, product);
    }
}
