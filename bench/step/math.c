/* SPDX-License-Identifier: Apache-2.0 */
#include "step/math.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "step/view.h"

/* Of the CPU's sums in the recordings. */
enum { ELEMENTS_A_THREAD = 32768, THREADS = 2 };

struct vb_variable vb_make_like(struct vb_tape *tape, const struct vb_call *call,
                                struct vb_variable like, const struct vb_variable *from, uint32_t n)
{
    struct vb_variable operands[VB_MAX_OPERANDS];
    assert(n < VB_MAX_OPERANDS);
    for (uint32_t i = 0; i < n; i++)
        operands[i] = from[i];
    operands[n] = vb_tape_new_like(tape, vb_operator_names[call->op], like, like.dtype);
    vb_tape_apply(tape, call, operands, n + 1);
    return operands[n];
}

struct vb_variable vb_make_named(struct vb_tape *tape, const char *what, const struct vb_call *call,
                                 const struct vb_shape *shape, enum vb_dtype dtype,
                                 const struct vb_variable *from, uint32_t n)
{
    struct vb_variable operands[VB_MAX_OPERANDS];
    assert(n < VB_MAX_OPERANDS);
    for (uint32_t i = 0; i < n; i++)
        operands[i] = from[i];
    operands[n] = vb_tape_new(tape, what, shape, dtype);
    vb_tape_apply(tape, call, operands, n + 1);
    return operands[n];
}

struct vb_variable vb_make(struct vb_tape *tape, const struct vb_call *call,
                           const struct vb_shape *shape, enum vb_dtype dtype,
                           const struct vb_variable *from, uint32_t n)
{
    return vb_make_named(tape, vb_operator_names[call->op], call, shape, dtype, from, n);
}

struct vb_variable vb_make_of(struct vb_tape *tape, enum vb_operator op, double a,
                              const struct vb_variable *like, struct vb_variable first,
                              struct vb_variable second)
{
    const struct vb_variable from[] = { first, second };
    return vb_make_like(tape, &(struct vb_call){ .op = op, .a = a }, *like, from,
                        vb_is_defined(&second) ? 2 : 1);
}

struct vb_variable vb_filled(struct vb_tape *tape, const char *what, double value,
                             enum vb_dtype dtype, struct vb_shape shape)
{
    const struct vb_call fill = { .op = VB_OP_FILL, .a = value };
    return vb_make_named(tape, what, &fill, &shape, dtype, NULL, 0);
}

struct vb_variable vb_zeros_like(struct vb_tape *tape, struct vb_variable x)
{
    return vb_make_like(tape, &(struct vb_call){ .op = VB_OP_FILL }, x, NULL, 0);
}

/* A step towards the input's gradient, in the type of the gradient that came: the result's, which
 * is wider than the input's where types were mixed. */
static struct vb_variable towards(struct vb_tape *tape, enum vb_operator op, double a,
                                  const struct vb_variable *input, struct vb_variable gradient,
                                  struct vb_variable other)
{
    struct vb_variable typed = *input;
    typed.dtype = gradient.dtype;
    return vb_make_of(tape, op, a, &typed, gradient, other);
}

void vb_hand_on_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)node;
    inputs[0] = vb_tape_hold(tape, outputs[0]);
}

static void scale_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] =
        vb_make_of(tape, VB_OP_MUL_NUMBER, node->a, &node->inputs[0], outputs[0], vb_undefined);
}

static void subtract_from_backward(struct vb_tape *tape, const struct vb_node *node,
                                   const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_make_of(tape, VB_OP_MUL_NUMBER, -1, &node->inputs[0], outputs[0], vb_undefined);
}

static void sigmoid_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] =
        vb_make_of(tape, VB_OP_SIGMOID_BACKWARD, 0, &node->inputs[0], outputs[0], node->saved[0]);
}

/* grad * (a * x ** (a - 1)) */
static void power_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    struct vb_variable power =
        vb_make_of(tape, VB_OP_POWER, node->a - 1, x, node->saved[0], vb_undefined);
    struct vb_variable scaled = vb_make_of(tape, VB_OP_MUL_NUMBER, node->a, x, power, vb_undefined);
    inputs[0] = vb_make_of(tape, VB_OP_MUL, 0, x, outputs[0], scaled);
    vb_done(tape, scaled);
    vb_done(tape, power);
}

/* grad / (x * x + 1) */
static void atan_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    struct vb_variable square = vb_make_of(tape, VB_OP_MUL, 0, x, node->saved[0], node->saved[0]);
    struct vb_variable sum = vb_make_of(tape, VB_OP_ADD_NUMBER, 1, x, square, vb_undefined);
    inputs[0] = vb_make_of(tape, VB_OP_DIV, 0, x, outputs[0], sum);
    vb_done(tape, sum);
    vb_done(tape, square);
}

/* where(x >= bound, grad, 0) with the zero as a tensor */
static void clamp_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    struct vb_variable zero =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_FILL }, &VB_SCALAR, x->dtype, NULL, 0);
    struct vb_variable is_mask = *x;
    is_mask.dtype = VB_BOOL;
    struct vb_variable mask =
        vb_make_of(tape, VB_OP_AT_LEAST_NUMBER, node->a, &is_mask, node->saved[0], vb_undefined);
    struct vb_variable from[] = { mask, outputs[0], zero };
    inputs[0] = vb_make_like(tape, &(struct vb_call){ .op = VB_OP_WHERE }, *x, from, 3);
    vb_done(tape, mask);
    vb_done(tape, zero);
}

enum keeps { KEEPS_NOTHING, KEEPS_X, KEEPS_RESULT, KEEPS_NUMBER };

/* How autograd follows an operator; operators with no entry are never asked for a gradient. */
static const struct unary {
    vb_backward *backward;
    enum keeps keeps;
} unaries[VB_N_OPERATORS] = {
    [VB_OP_SIGMOID] = { sigmoid_backward, KEEPS_RESULT },
    [VB_OP_POWER] = { power_backward, KEEPS_X },
    [VB_OP_ATAN] = { atan_backward, KEEPS_X },
    [VB_OP_CLAMP] = { clamp_backward, KEEPS_X },
    [VB_OP_MUL_NUMBER] = { scale_backward, KEEPS_NUMBER },
    [VB_OP_ADD_NUMBER] = { vb_hand_on_backward, KEEPS_NOTHING },
    [VB_OP_SUBTRACT_FROM] = { subtract_from_backward, KEEPS_NOTHING },
};

static bool compares(enum vb_operator op)
{
    return op == VB_OP_LESS_NUMBER || op == VB_OP_GREATER_NUMBER || op == VB_OP_AT_LEAST_NUMBER ||
           op == VB_OP_LESS || op == VB_OP_EQUAL || op == VB_OP_AND;
}

struct vb_variable vb_unary(struct vb_tape *tape, enum vb_operator op, struct vb_variable x,
                            double a)
{
    const struct unary *unary = &unaries[op];
    bool in_fp32 = op == VB_OP_POWER && tape->autocast && !tape->torch->cpu_autocast;
    struct vb_variable input = in_fp32 ? vb_tape_cast(tape, x, VB_FLOAT32) : vb_tape_hold(tape, x);

    struct vb_variable like = input;
    like.dtype = compares(op) ? VB_BOOL : input.dtype;
    const struct vb_call call = { .op = op, .a = a, .b = op == VB_OP_CLAMP ? HUGE_VAL : 0 };
    struct vb_variable y = vb_make_like(tape, &call, like, &input, 1);
    if (unary->backward != NULL) {
        struct vb_node *node = vb_tape_node(tape, unary->backward, &input, 1, 1);
        if (node != NULL)
            node->a = a;
        if (unary->keeps == KEEPS_X)
            vb_tape_save(tape, node, input);
        if (unary->keeps == KEEPS_RESULT)
            vb_tape_save(tape, node, y);
        if (unary->keeps == KEEPS_NUMBER)
            vb_tape_save_number(tape, node);
        vb_tape_output(tape, node, 0, &y);
    }
    vb_tape_drop(tape, input);
    return y;
}

static bool same_shape(const struct vb_shape *a, const struct vb_shape *b)
{
    return a->n_dims == b->n_dims && memcmp(a->dims, b->dims, a->n_dims * sizeof *a->dims) == 0;
}

/* The gradient of an input that was broadcast: summed to its shape; else the same tensor. */
static struct vb_variable passed_on(struct vb_tape *tape, const struct vb_variable *input,
                                    struct vb_variable gradient)
{
    if (same_shape(&input->shape, &gradient.shape))
        return vb_tape_hold(tape, gradient);
    return vb_make_of(tape, VB_OP_SUM, 0, input, gradient, vb_undefined);
}

static void plus_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (vb_needs(node, i))
            inputs[i] = passed_on(tape, &node->inputs[i], outputs[0]);
    }
}

static void minus_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    if (vb_needs(node, 0))
        inputs[0] = passed_on(tape, &node->inputs[0], outputs[0]);
    if (vb_needs(node, 1))
        inputs[1] = towards(tape, VB_OP_MUL_NUMBER, -1, &node->inputs[1], outputs[0], vb_undefined);
}

/* Of what a product or a quotient keeps: its second input, the last kept. */
static struct vb_variable kept_second(const struct vb_node *node)
{
    return node->saved[node->n_saved - 1];
}

static void times_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    if (vb_needs(node, 0))
        inputs[0] = towards(tape, VB_OP_MUL, 0, &node->inputs[0], outputs[0], kept_second(node));
    if (vb_needs(node, 1))
        inputs[1] = towards(tape, VB_OP_MUL, 0, &node->inputs[1], outputs[0], node->saved[0]);
}

/* a / b: grad / b, and -grad * ((a / b) / b) */
static void over_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    struct vb_variable b = kept_second(node);
    if (vb_needs(node, 1)) {
        struct vb_variable like = b;
        like.dtype = outputs[0].dtype;
        struct vb_variable once = vb_make_of(tape, VB_OP_DIV, 0, &like, node->saved[0], b);
        struct vb_variable twice = vb_make_of(tape, VB_OP_DIV, 0, &like, once, b);
        struct vb_variable minus =
            vb_make_of(tape, VB_OP_MUL_NUMBER, -1, &like, outputs[0], vb_undefined);
        inputs[1] = vb_make_of(tape, VB_OP_MUL, 0, &like, minus, twice);
        vb_done(tape, minus);
        vb_done(tape, twice);
        vb_done(tape, once);
    }
    if (vb_needs(node, 0))
        inputs[0] = towards(tape, VB_OP_DIV, 0, &node->inputs[0], outputs[0], b);
}

/* where(a == b, grad / 2, grad) with the other's places filled with 0, for each that needs it */
static void extremum_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs,
                              bool is_minimum)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct vb_variable *input = &node->inputs[i];
        struct vb_variable mine = node->saved[i], other = node->saved[1 - i];
        if (!vb_needs(node, i))
            continue;
        struct vb_variable is_mask = *input;
        is_mask.dtype = VB_BOOL;
        struct vb_variable half =
            towards(tape, VB_OP_MUL_NUMBER, 0.5, input, outputs[0], vb_undefined);
        struct vb_variable equal = vb_make_of(tape, VB_OP_EQUAL, 0, &is_mask, mine, other);
        struct vb_variable like = *input;
        like.dtype = outputs[0].dtype;
        struct vb_variable from[] = { equal, half, outputs[0] };
        inputs[i] = vb_make_like(tape, &(struct vb_call){ .op = VB_OP_WHERE }, like, from, 3);
        struct vb_variable lost = is_minimum
                                      ? vb_make_of(tape, VB_OP_LESS, 0, &is_mask, other, mine)
                                      : vb_make_of(tape, VB_OP_LESS, 0, &is_mask, mine, other);
        struct vb_variable masked[] = { lost, inputs[i] };
        vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MASKED_FILL }, masked, 2);
        vb_done(tape, lost);
        vb_done(tape, equal);
        vb_done(tape, half);
    }
}

static void minimum_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    extremum_backward(tape, node, outputs, inputs, true);
}

static void maximum_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    extremum_backward(tape, node, outputs, inputs, false);
}

static const struct binary {
    vb_backward *backward; /* NULL: never asked for */
    bool keeps_inputs;
} binaries[VB_N_OPERATORS] = {
    [VB_OP_ADD] = { plus_backward, false },       [VB_OP_SUB] = { minus_backward, false },
    [VB_OP_MUL] = { times_backward, true },       [VB_OP_DIV] = { over_backward, true },
    [VB_OP_MINIMUM] = { minimum_backward, true }, [VB_OP_MAXIMUM] = { maximum_backward, true },
};

/* mul and div keep an input only where the other one's gradient needs it; minimum and maximum both.
 */
static void save_inputs(struct vb_tape *tape, struct vb_node *node, enum vb_operator op,
                        struct vb_variable a, struct vb_variable b)
{
    bool both = op == VB_OP_MINIMUM || op == VB_OP_MAXIMUM;
    if (both || b.requires_grad)
        vb_tape_save(tape, node, a);
    if (both || a.requires_grad || op == VB_OP_DIV)
        vb_tape_save(tape, node, b);
}

/* Whether `other` is broadcast to this shape and not the other way round: an axis of no length is
 * not repeated, so what is empty makes the result empty. */
static bool is_larger(const struct vb_shape *shape, const struct vb_shape *other)
{
    uint64_t n = vb_shape_elements(shape), n_other = vb_shape_elements(other);
    if (n == n_other)
        return shape->n_dims > other->n_dims;
    return n == 0 || (n_other > 0 && n > n_other);
}

struct vb_variable vb_binary(struct vb_tape *tape, enum vb_operator op, struct vb_variable a,
                             struct vb_variable b)
{
    const struct binary *binary = &binaries[op];
    struct vb_variable inputs[] = { a, b };
    struct vb_variable like = is_larger(&b.shape, &a.shape) ? b : a;
    like.dtype = a.dtype > b.dtype ? a.dtype : b.dtype;
    if (compares(op))
        like.dtype = VB_BOOL;
    struct vb_variable y = vb_make_like(tape, &(struct vb_call){ .op = op }, like, inputs, 2);
    if (binary->backward == NULL)
        return y;

    struct vb_node *node = vb_tape_node(tape, binary->backward, inputs, 2, 1);
    if (binary->keeps_inputs)
        save_inputs(tape, node, op, a, b);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

struct vb_variable vb_clamp_in_place(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_node *node = vb_tape_node(tape, clamp_backward, &x, 1, 1);
    if (node != NULL) {
        struct vb_variable before = vb_make_of(tape, VB_OP_COPY, 0, &x, x, vb_undefined);
        vb_tape_save(tape, node, before);
        vb_tape_drop(tape, before);
    }
    struct vb_variable both[] = { x, x };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_CLAMP, .b = HUGE_VAL }, both, 2);
    vb_tape_output(tape, node, 0, &x);
    return x;
}

void vb_add_in_place(struct vb_tape *tape, struct vb_variable *sum, struct vb_variable x)
{
    struct vb_variable operands[] = { *sum, x, *sum };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_ADD }, operands, 3);
    vb_tape_output(tape, vb_tape_node(tape, plus_backward, operands, 2, 1), 0, sum);
}

void vb_scale_in_place(struct vb_tape *tape, struct vb_variable *x, double a)
{
    struct vb_variable both[] = { *x, *x };
    vb_tape_apply(tape, &(struct vb_call){ .op = VB_OP_MUL_NUMBER, .a = a }, both, 2);
    struct vb_node *node = vb_tape_node(tape, scale_backward, x, 1, 1);
    if (node != NULL)
        node->a = a;
    vb_tape_save_number(tape, node);
    vb_tape_output(tape, node, 0, x);
}

/* The CPU's kernel divides by a number that it puts into a tensor, or, beyond one thread's share,
 * first sums into one number a thread; VB_HOST_SCRATCH names both. */
struct vb_variable vb_mean_of(struct vb_tape *tape, struct vb_variable x)
{
    uint64_t n = vb_shape_elements(&x.shape);
    struct vb_variable y =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_MEAN }, &VB_SCALAR, x.dtype, &x, 1);
    if (tape->torch->cpu_kernels)
        vb_done(tape, vb_tape_new(tape, VB_HOST_SCRATCH,
                                  &VB_SHAPE(n > ELEMENTS_A_THREAD ? THREADS : 1), x.dtype));
    return y;
}

struct vb_variable vb_mean(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = vb_mean_of(tape, x);
    struct vb_node *node = vb_tape_node(tape, scale_backward, &x, 1, 1);
    if (node != NULL)
        node->a = 1.0 / (double)vb_shape_elements(&x.shape);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

static void sum_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_expanded(vb_tape_hold(tape, outputs[0]), &node->inputs[0].shape);
    inputs[0].is_dense = inputs[0].is_ordered = false;
}

struct vb_variable vb_sum(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable input =
        tape->autocast ? vb_tape_cast(tape, x, VB_FLOAT32) : vb_tape_hold(tape, x);
    struct vb_variable y =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_SUM }, &VB_SCALAR, input.dtype, &input, 1);
    if (tape->torch->cpu_kernels && vb_shape_elements(&x.shape) > ELEMENTS_A_THREAD)
        vb_done(tape, vb_tape_new(tape, "one a thread", &VB_SHAPE(THREADS), y.dtype));
    vb_tape_output(tape, vb_tape_node(tape, sum_backward, &input, 1, 1), 0, &y);
    vb_tape_drop(tape, input);
    return y;
}
