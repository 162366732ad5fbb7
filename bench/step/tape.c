/* SPDX-License-Identifier: Apache-2.0 */
#include "step/tape.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "step/view.h"

const struct vb_variable vb_undefined = { .storage = VB_NONE,
                                          .node = VB_NONE,
                                          .parameter = VB_NONE };

/* Room for one more entry in both arrays that go with the program's tensors. */
static bool track_storage(struct vb_tape *tape)
{
    struct vb_program *program = tape->program;
    uint32_t *holders = vb_arena_grow(program->arena, tape->holders, program->n_tensors,
                                      &tape->holders_room, sizeof *holders);
    uint32_t *counted = vb_arena_grow(program->arena, tape->counted, program->n_tensors,
                                      &tape->counted_room, sizeof *counted);
    if (holders == NULL || counted == NULL) {
        program->failed = true;
        return false;
    }
    tape->holders = holders;
    tape->counted = counted;
    return true;
}

static const char *tensor_name(struct vb_tape *tape, const char *what)
{
    if (tape->module[0] == '\0')
        return what;
    uintptr_t hash =
        ((uintptr_t)tape->module ^ (uintptr_t)what << 7) * UINT64_C(0x9e3779b97f4a7c15);
    struct vb_joined_name *joined = &tape->joined_names[(hash >> 40) % VB_JOINED_NAMES];
    if (joined->module != tape->module || joined->what != what)
        *joined = (struct vb_joined_name){ .module = tape->module, .what = what };
    const char **name = &joined->name[tape->is_backward];
    if (*name == NULL) {
        const char *const parts[] = { tape->module, "/", what, ".grad" };
        *name = vb_arena_join(tape->program->arena, parts, tape->is_backward ? 4 : 3);
        tape->program->failed = tape->program->failed || *name == NULL;
    }
    return *name;
}

struct vb_variable vb_tape_new(struct vb_tape *tape, const char *what, const struct vb_shape *shape,
                               enum vb_dtype dtype)
{
    struct vb_program *program = tape->program;
    uint64_t bytes;
    const char *name = tensor_name(tape, what);
    if (!vb_mul(vb_shape_elements(shape), vb_dtype_bytes[dtype], &bytes))
        program->failed = true;
    if (program->failed || !track_storage(tape))
        return vb_undefined;

    struct vb_tensor tensor = { name, *shape, dtype, tape->category, bytes };
    uint32_t storage = vb_program_tensor(program, &tensor);
    if (program->failed)
        return vb_undefined;
    tape->holders[storage] = 1;
    tape->counted[storage] = 0;
    vb_program_emit(program, VB_ALLOC, storage);
    struct vb_variable made = {
        .storage = storage,
        .shape = *shape,
        .dtype = dtype,
        .is_dense = true,
        .is_ordered = true,
        .node = VB_NONE,
        .parameter = VB_NONE,
    };
    vb_strides_in_order(shape, made.strides);
    return made;
}

struct vb_variable vb_tape_new_image(struct vb_tape *tape, const char *what,
                                     const struct vb_shape *shape, enum vb_dtype dtype)
{
    struct vb_variable made = vb_tape_new(tape, what, shape, dtype);
    vb_strides_of_image(shape, tape->program->layout == VB_CHANNELS_LAST, made.strides);
    return made;
}

/* Elements from x's first to its last, both counted. More than it has where some channels of one
 * image have no gaps for PyTorch, whose channels come first, and have them on the device. */
static uint64_t reach(const struct vb_variable *x)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < x->shape.n_dims; i++)
        last += (uint64_t)(x->shape.dims[i] > 0 ? x->shape.dims[i] - 1 : 0) * x->strides[i];
    return last + 1;
}

struct vb_variable vb_tape_new_like(struct vb_tape *tape, const char *what, struct vb_variable x,
                                    enum vb_dtype dtype)
{
    struct vb_variable made = vb_tape_new(tape, what, &x.shape, dtype);
    if (x.is_dense && reach(&x) <= vb_shape_elements(&x.shape))
        memcpy(made.strides, x.strides, sizeof made.strides);
    else if (x.is_dense)
        vb_strides_of_image(&x.shape, tape->program->layout == VB_CHANNELS_LAST, made.strides);
    return made;
}

struct vb_variable vb_tape_hold(struct vb_tape *tape, struct vb_variable variable)
{
    if (vb_is_defined(&variable))
        tape->holders[variable.storage]++;
    return variable;
}

void vb_tape_drop(struct vb_tape *tape, struct vb_variable variable)
{
    if (!vb_is_defined(&variable) || tape->program->failed)
        return;
    assert(tape->holders[variable.storage] > 0);
    if (--tape->holders[variable.storage] == 0)
        vb_program_emit(tape->program, VB_FREE, variable.storage);
}

void vb_tape_assign(struct vb_tape *tape, struct vb_variable *variable, struct vb_variable value)
{
    vb_tape_drop(tape, *variable);
    *variable = value;
}

/* What a device needs to run the call. */
static const struct vb_operand *list_operands(struct vb_tape *tape,
                                              const struct vb_variable *variables, uint32_t n)
{
    struct vb_operand *operands = vb_arena_alloc(tape->program->arena, n, sizeof *operands);
    tape->program->failed = tape->program->failed || operands == NULL;
    if (tape->program->failed)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        operands[i] = (struct vb_operand){ .tensor = variables[i].storage,
                                           .shape = variables[i].shape,
                                           .offset = variables[i].offset };
        if (vb_is_defined(&variables[i]))
            operands[i].dtype = tape->program->tensors[variables[i].storage].dtype;
        memcpy(operands[i].strides, variables[i].strides, sizeof operands[i].strides);
    }
    return operands;
}

void vb_tape_apply(struct vb_tape *tape, const struct vb_call *call,
                   const struct vb_variable *operands, uint32_t n)
{
    struct vb_call full = *call;
    uint64_t most = 0;
    full.module = tape->module;
    if (!vb_operator_is_conv(call->op))
        full.dtype = VB_FLOAT32;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t elements = vb_is_defined(&operands[i]) ? vb_shape_elements(&operands[i].shape) : 0;
        full.bytes += elements * vb_dtype_bytes[operands[i].dtype];
        most = elements > most ? elements : most;
    }
    if (full.flops == 0.0) /* convolutions and products know their own */
        full.flops = vb_operator_flops[call->op] * (double)most;
    if (tape->program->layout != VB_ONLY_PLANNED) {
        full.operands = list_operands(tape, operands, n);
        full.n_operands = n;
    }
    vb_program_run(tape->program, &full);
}

void vb_tape_copy(struct vb_tape *tape, struct vb_variable from, struct vb_variable to)
{
    const struct vb_variable both[] = { from, to };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_COPY }, both, 2);
}

void vb_tape_fill(struct vb_tape *tape, struct vb_variable y, double value)
{
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_FILL, .a = value }, &y, 1);
}

void vb_tape_upload(struct vb_tape *tape, struct vb_variable y, const void *data)
{
    if (data == NULL && tape->program->layout != VB_ONLY_PLANNED)
        tape->program->failed = true;
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_UPLOAD, .data = data }, &y, 1);
}

void vb_make_cublas_workspace(struct vb_tape *tape)
{
    uint64_t *bytes = &tape->cublas_bytes[tape->is_backward];
    enum vb_category category = tape->category;
    if (*bytes == 0)
        return;
    tape->category = VB_WORKSPACE;
    (void)vb_tape_new(tape, "cublas", &VB_SHAPE((uint32_t)*bytes), VB_UINT8);
    tape->category = category;
    *bytes = 0;
}

const void *vb_tape_keep(struct vb_tape *tape, const void *detail, size_t bytes)
{
    void *kept = vb_arena_alloc(tape->program->arena, 1, bytes);
    if (kept == NULL)
        tape->program->failed = true;
    else
        memcpy(kept, detail, bytes);
    return kept;
}

struct vb_node *vb_tape_node(struct vb_tape *tape, vb_backward *backward,
                             const struct vb_variable *inputs, uint32_t n_inputs,
                             uint32_t n_outputs)
{
    struct vb_arena *arena = tape->program->arena;
    bool is_needed = false;
    for (uint32_t i = 0; i < n_inputs; i++)
        is_needed = is_needed || inputs[i].requires_grad;
    if (!is_needed || tape->is_grad_off || tape->program->failed)
        return NULL;

    struct vb_node *nodes =
        vb_arena_grow(arena, tape->nodes, tape->n_nodes, &tape->nodes_room, sizeof *nodes);
    struct vb_variable *kept = vb_arena_alloc(arena, n_inputs, sizeof *kept);
    struct vb_variable *buffers = vb_arena_alloc(arena, n_outputs, sizeof *buffers);
    /* The node that was here in the batch before is done with its own. */
    bool is_new = tape->n_nodes == tape->n_made;
    struct vb_variable *saved = NULL;
    if (is_new)
        saved = vb_arena_alloc(arena, VB_MAX_GRADIENTS, sizeof *saved);
    else if (nodes != NULL)
        saved = nodes[tape->n_nodes].saved;
    if (nodes == NULL || kept == NULL || buffers == NULL || saved == NULL) {
        tape->program->failed = true;
        return NULL;
    }
    memcpy(kept, inputs, n_inputs * sizeof *kept);
    for (uint32_t i = 0; i < n_outputs; i++)
        buffers[i] = vb_undefined;
    tape->nodes = nodes;
    tape->n_made += is_new;
    nodes[tape->n_nodes] = (struct vb_node){
        .backward = backward,
        .module = tape->module,
        .n_inputs = n_inputs,
        .n_outputs = n_outputs,
        .inputs = kept,
        .buffers = buffers,
        .saved = saved,
    };
    return &nodes[tape->n_nodes++];
}

void vb_tape_save(struct vb_tape *tape, struct vb_node *node, struct vb_variable variable)
{
    if (node == NULL || !vb_is_defined(&variable))
        return;
    assert(node->n_saved < VB_MAX_GRADIENTS);
    node->saved[node->n_saved++] = vb_tape_hold(tape, variable);
    if (tape->saved_sum == NULL || tape->counted[variable.storage] == tape->batch ||
        variable.parameter != VB_NONE)
        return;
    tape->counted[variable.storage] = tape->batch;
    tape->saved_sum->bytes += tape->program->tensors[variable.storage].bytes;
    tape->saved_sum->count++;
}

void vb_tape_save_number(struct vb_tape *tape, const struct vb_node *node)
{
    if (node == NULL || tape->saved_sum == NULL)
        return;
    tape->saved_sum->bytes += sizeof(double);
    tape->saved_sum->count++;
}

void vb_tape_output(const struct vb_tape *tape, const struct vb_node *node, uint32_t output,
                    struct vb_variable *variable)
{
    variable->parameter = VB_NONE;
    variable->requires_grad = node != NULL;
    variable->node = node != NULL ? (uint32_t)(node - tape->nodes) : VB_NONE;
    variable->output = output;
}

struct vb_variable vb_tape_parameter(const struct vb_tape *tape, uint32_t parameter,
                                     uint32_t storage)
{
    const struct vb_tensor *tensor = &tape->program->tensors[storage];
    struct vb_variable leaf = {
        .storage = storage,
        .shape = tensor->shape,
        .dtype = tensor->dtype,
        .is_dense = true,
        .is_ordered = true,
        .requires_grad = true,
        .node = VB_NONE,
        .parameter = parameter,
    };
    vb_strides_of_image(&leaf.shape, tape->program->layout == VB_CHANNELS_LAST, leaf.strides);
    return leaf;
}

/* Adds the gradient to what has come before. In place only from 2.0 on, and where nobody else could
 * see it: the first one's storage has no other holder and no gaps. Takes over the caller's hold of
 * `gradient`.
 */
static void accumulate(struct vb_tape *tape, struct vb_variable *buffer,
                       struct vb_variable gradient)
{
    if (!vb_is_defined(buffer)) {
        *buffer = gradient;
        return;
    }
    struct vb_variable sum = *buffer;
    bool in_place =
        tape->torch->sums_in_place && buffer->is_dense && tape->holders[buffer->storage] == 1;
    if (!in_place)
        sum = vb_tape_new_like(tape, "sum", *buffer, buffer->dtype);
    struct vb_variable all[] = { *buffer, gradient, sum };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, all, 3);
    if (!in_place)
        vb_tape_assign(tape, buffer, sum);
    vb_tape_drop(tape, gradient);
}

/* A parameter's gradient: the first one that comes is kept as it is, later ones are added in place.
 */
static void accumulate_parameter(struct vb_tape *tape, uint32_t parameter,
                                 struct vb_variable gradient)
{
    struct vb_variable *sum = &tape->gradients[parameter];
    if (!vb_is_defined(sum)) {
        *sum = gradient;
        return;
    }
    struct vb_variable both[] = { *sum, gradient, *sum };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, both, 3);
    vb_tape_drop(tape, gradient);
}

/* The engine hands each input its gradient in the input's own type. */
static void match_types(struct vb_tape *tape, const struct vb_node *node,
                        struct vb_variable *gradients)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        struct vb_variable gradient = gradients[i];
        if (!vb_is_defined(&gradient) || gradient.dtype == node->inputs[i].dtype)
            continue;
        gradients[i] = vb_tape_new_like(tape, "cast", gradient, node->inputs[i].dtype);
        vb_tape_copy(tape, gradient, gradients[i]);
        vb_tape_drop(tape, gradient);
    }
}

static void run_node(struct vb_tape *tape, struct vb_node *node)
{
    struct vb_variable gradients[VB_MAX_GRADIENTS];
    bool is_reached = false;
    for (uint32_t i = 0; i < node->n_inputs; i++)
        gradients[i] = vb_undefined;
    for (uint32_t i = 0; i < node->n_outputs; i++)
        is_reached = is_reached || vb_is_defined(&node->buffers[i]);

    tape->module = node->module;
    if (is_reached)
        node->backward(tape, node, node->buffers, gradients);
    match_types(tape, node, gradients);
    for (uint32_t i = 0; i < node->n_outputs; i++)
        vb_tape_drop(tape, node->buffers[i]);
    for (uint32_t i = 0; i < node->n_saved; i++)
        vb_tape_drop(tape, node->saved[i]);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct vb_variable *input = &node->inputs[i];
        if (!vb_is_defined(&gradients[i]))
            continue;
        if (input->node != VB_NONE)
            accumulate(tape, &tape->nodes[input->node].buffers[input->output], gradients[i]);
        else if (input->parameter != VB_NONE && input->requires_grad)
            accumulate_parameter(tape, input->parameter, gradients[i]);
        else
            vb_tape_drop(tape, gradients[i]);
    }
}

/* A node's consumers were all made after it, so "the last made that is ready" is the last made. */
void vb_tape_backward(struct vb_tape *tape, struct vb_variable loss)
{
    if (tape->program->failed)
        return;
    tape->module = "";
    struct vb_variable root = vb_tape_new(tape, "loss.grad", &loss.shape, loss.dtype);
    vb_tape_fill(tape, root, 1);
    tape->is_backward = true;
    if (loss.node != VB_NONE)
        tape->nodes[loss.node].buffers[loss.output] = vb_tape_hold(tape, root);
    for (size_t i = tape->n_nodes; i-- > 0 && !tape->program->failed;)
        run_node(tape, &tape->nodes[i]);
    tape->module = "";
    tape->is_backward = false;
    vb_tape_drop(tape, root);
    tape->n_nodes = 0;
}

void vb_tape_forget(struct vb_tape *tape)
{
    for (size_t i = tape->n_nodes; i-- > 0;) {
        for (uint32_t k = 0; k < tape->nodes[i].n_saved; k++)
            vb_tape_drop(tape, tape->nodes[i].saved[k]);
    }
    tape->n_nodes = 0;
}
