/* SPDX-License-Identifier: Apache-2.0 */
#include "step/math.h"

#include <string.h>

/* Of the CPU's sums in the recordings. */
enum { ELEMENTS_A_THREAD = 32768, THREADS = 2 };

static struct vb_variable like(struct vb_tape *tape, const char *what, const struct vb_variable *x)
{
    return vb_tape_new(tape, what, &x->shape, x->dtype);
}

/* A fresh tensor of x's size written from `from`: one kernel. */
static struct vb_variable kernel(struct vb_tape *tape, const char *name,
                                 const struct vb_variable *x, struct vb_variable from)
{
    struct vb_variable y = like(tape, name, x);
    struct vb_variable both[] = { from, y };
    vb_tape_run(tape, name, (double)vb_shape_elements(&x->shape), both, 2);
    return y;
}

/* A step towards the input's gradient, in the type of the gradient that came: the result's, which
 * is wider than the input's where types were mixed. */
static struct vb_variable towards(struct vb_tape *tape, const char *name,
                                  const struct vb_variable *input, struct vb_variable gradient)
{
    struct vb_variable typed = *input;
    typed.dtype = gradient.dtype;
    return kernel(tape, name, &typed, gradient);
}

static void shift_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    (void)node;
    inputs[0] = vb_tape_hold(tape, outputs[0]);
}

static void scale_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = kernel(tape, "mul", &node->inputs[0], outputs[0]);
}

static void subtract_from_backward(struct vb_tape *tape, const struct vb_node *node,
                                   const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = kernel(tape, "neg", &node->inputs[0], outputs[0]);
}

static void sigmoid_backward(struct vb_tape *tape, const struct vb_node *node,
                             const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = kernel(tape, "sigmoid_backward", &node->inputs[0], outputs[0]);
}

/* grad * (2 * x ** 1) */
static void square_backward(struct vb_tape *tape, const struct vb_node *node,
                            const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    struct vb_variable power = kernel(tape, "pow", x, node->saved[0]);
    struct vb_variable twice = kernel(tape, "mul", x, power);
    inputs[0] = kernel(tape, "mul", x, outputs[0]);
    vb_done(tape, twice);
    vb_done(tape, power);
}

/* grad / (x * x + 1) */
static void atan_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    struct vb_variable square = kernel(tape, "mul", x, node->saved[0]);
    struct vb_variable sum = kernel(tape, "add", x, square);
    inputs[0] = kernel(tape, "div", x, outputs[0]);
    vb_done(tape, sum);
    vb_done(tape, square);
}

/* where(x >= bound, grad, 0) with the zero as a tensor */
static void clamp_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    const struct vb_variable *x = &node->inputs[0];
    struct vb_variable zero = vb_tape_new(tape, "zero", &(struct vb_shape){ 0 }, x->dtype);
    struct vb_variable mask = vb_tape_new(tape, "ge", &x->shape, VB_BOOL);
    inputs[0] = kernel(tape, "where", x, outputs[0]);
    vb_done(tape, mask);
    vb_done(tape, zero);
}

static const struct unary {
    const char *name;
    vb_backward *backward; /* NULL: never asked for */
    enum { KEEPS_NOTHING, KEEPS_X, KEEPS_RESULT, KEEPS_NUMBER } keeps;
} unaries[] = {
    [VB_SIGMOID] = { "sigmoid", sigmoid_backward, KEEPS_RESULT },
    [VB_SQUARE] = { "pow", square_backward, KEEPS_X },
    [VB_ATAN] = { "atan", atan_backward, KEEPS_X },
    [VB_CLAMP] = { "clamp", clamp_backward, KEEPS_X },
    [VB_SCALE] = { "mul", scale_backward, KEEPS_NUMBER },
    [VB_SHIFT] = { "add", shift_backward, KEEPS_NOTHING },
    [VB_SUBTRACT_FROM] = { "rsub", subtract_from_backward, KEEPS_NOTHING },
    [VB_RECIPROCAL] = { "reciprocal", NULL, KEEPS_NOTHING },
    [VB_REMAINDER] = { "remainder", NULL, KEEPS_NOTHING },
    [VB_COMPARE] = { "compare", NULL, KEEPS_NOTHING },
    [VB_ZEROS_LIKE] = { "zeros", NULL, KEEPS_NOTHING },
};

struct vb_variable vb_unary(struct vb_tape *tape, enum vb_unary kind, struct vb_variable x)
{
    const struct unary *unary = &unaries[kind];
    bool in_fp32 = kind == VB_SQUARE && tape->autocast && !tape->torch->cpu_autocast;
    struct vb_variable input = in_fp32 ? vb_tape_cast(tape, x, VB_FLOAT32) : vb_tape_hold(tape, x);

    struct vb_variable y =
        vb_tape_new(tape, unary->name, &x.shape, kind == VB_COMPARE ? VB_BOOL : input.dtype);
    struct vb_variable both[] = { input, y };
    vb_tape_run(tape, unary->name, (double)vb_shape_elements(&x.shape), both, 2);
    if (unary->backward != NULL) {
        struct vb_node *node = vb_tape_node(tape, unary->backward, &input, 1, 1);
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
    return kernel(tape, "sum", input, gradient);
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
        inputs[1] = towards(tape, "neg", &node->inputs[1], outputs[0]);
}

static void times_backward(struct vb_tape *tape, const struct vb_node *node,
                           const struct vb_variable *outputs, struct vb_variable *inputs)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (vb_needs(node, i))
            inputs[i] = towards(tape, "mul", &node->inputs[i], outputs[0]);
    }
}

/* a / b: grad / b, and -grad * ((a / b) / b) */
static void over_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    if (vb_needs(node, 1)) {
        const struct vb_variable *b = &node->inputs[1];
        struct vb_variable once = towards(tape, "div", b, outputs[0]);
        struct vb_variable twice = towards(tape, "div", b, outputs[0]);
        struct vb_variable minus = towards(tape, "neg", b, outputs[0]);
        inputs[1] = towards(tape, "mul", b, minus);
        vb_done(tape, minus);
        vb_done(tape, twice);
        vb_done(tape, once);
    }
    if (vb_needs(node, 0))
        inputs[0] = towards(tape, "div", &node->inputs[0], outputs[0]);
}

/* where(a == b, grad / 2, grad) with the other's places filled with 0, for each that needs it */
static void extremum_backward(struct vb_tape *tape, const struct vb_node *node,
                              const struct vb_variable *outputs, struct vb_variable *inputs)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct vb_variable *input = &node->inputs[i];
        if (!vb_needs(node, i))
            continue;
        struct vb_variable half = towards(tape, "div", input, outputs[0]);
        struct vb_variable equal = vb_tape_new(tape, "eq", &input->shape, VB_BOOL);
        inputs[i] = towards(tape, "where", input, half);
        struct vb_variable other = vb_tape_new(tape, "other", &input->shape, VB_BOOL);
        vb_done(tape, other);
        vb_done(tape, equal);
        vb_done(tape, half);
    }
}

static const struct binary {
    const char *name;
    vb_backward *backward;
    bool keeps_inputs;
} binaries[] = {
    [VB_PLUS] = { "add", plus_backward, false },
    [VB_MINUS] = { "sub", minus_backward, false },
    [VB_TIMES] = { "mul", times_backward, true },
    [VB_OVER] = { "div", over_backward, true },
    [VB_MINIMUM] = { "minimum", extremum_backward, true },
    [VB_MAXIMUM] = { "maximum", extremum_backward, true },
    [VB_AND] = { "and", NULL, false },
};

/* mul and div keep an input only where the other one's gradient needs it; minimum and maximum both.
 */
static void save_inputs(struct vb_tape *tape, struct vb_node *node, enum vb_binary kind,
                        struct vb_variable a, struct vb_variable b)
{
    bool both = kind == VB_MINIMUM || kind == VB_MAXIMUM;
    if (both || b.requires_grad)
        vb_tape_save(tape, node, a);
    if (both || a.requires_grad || kind == VB_OVER)
        vb_tape_save(tape, node, b);
}

struct vb_variable vb_binary(struct vb_tape *tape, enum vb_binary kind, struct vb_variable a,
                             struct vb_variable b)
{
    const struct binary *binary = &binaries[kind];
    uint64_t in_a = vb_shape_elements(&a.shape), in_b = vb_shape_elements(&b.shape);
    bool b_is_larger = in_b > in_a || (in_b == in_a && b.shape.n_dims > a.shape.n_dims);
    struct vb_variable y = vb_tape_new(tape, binary->name, b_is_larger ? &b.shape : &a.shape,
                                       a.dtype > b.dtype ? a.dtype : b.dtype);
    struct vb_variable all[] = { a, b, y };
    vb_tape_run(tape, binary->name, (double)vb_shape_elements(&y.shape), all, 3);
    if (binary->backward == NULL)
        return y;

    struct vb_variable inputs[] = { a, b };
    struct vb_node *node = vb_tape_node(tape, binary->backward, inputs, 2, 1);
    if (binary->keeps_inputs)
        save_inputs(tape, node, kind, a, b);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

struct vb_variable vb_clamp_in_place(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_node *node = vb_tape_node(tape, clamp_backward, &x, 1, 1);
    if (node != NULL) {
        struct vb_variable before = kernel(tape, "clone", &x, x);
        vb_tape_save(tape, node, before);
        vb_tape_drop(tape, before);
    }
    vb_tape_run(tape, "clamp_", (double)vb_shape_elements(&x.shape), &x, 1);
    vb_tape_output(tape, node, 0, &x);
    return x;
}

void vb_add_in_place(struct vb_tape *tape, struct vb_variable *sum, struct vb_variable x)
{
    struct vb_variable inputs[] = { *sum, x };
    vb_tape_run(tape, "add_", (double)vb_shape_elements(&sum->shape), inputs, 2);
    vb_tape_output(tape, vb_tape_node(tape, plus_backward, inputs, 2, 1), 0, sum);
}

void vb_scale_in_place(struct vb_tape *tape, struct vb_variable *x)
{
    vb_tape_run(tape, "mul_", (double)vb_shape_elements(&x->shape), x, 1);
    struct vb_node *node = vb_tape_node(tape, scale_backward, x, 1, 1);
    vb_tape_save_number(tape, node);
    vb_tape_output(tape, node, 0, x);
}

/* The CPU's kernel divides by a number that it puts into a tensor, or, beyond one thread's share,
 * first sums into one number a thread; VB_HOST_SCRATCH names both. */
struct vb_variable vb_mean_of(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = vb_tape_new(tape, "mean", &(struct vb_shape){ 0 }, x.dtype);
    struct vb_variable both[] = { x, y };
    uint64_t n = vb_shape_elements(&x.shape);
    vb_tape_run(tape, "mean", (double)n, both, 2);
    if (tape->torch->cpu_kernels)
        vb_done(tape, vb_tape_new(tape, VB_HOST_SCRATCH,
                                  &VB_SHAPE(n > ELEMENTS_A_THREAD ? THREADS : 1), x.dtype));
    return y;
}

struct vb_variable vb_mean(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = vb_mean_of(tape, x);
    vb_tape_output(tape, vb_tape_node(tape, scale_backward, &x, 1, 1), 0, &y);
    return y;
}

static void sum_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = vb_tape_hold(tape, outputs[0]);
    inputs[0].shape = node->inputs[0].shape;
    inputs[0].is_dense = inputs[0].is_ordered = false;
}

struct vb_variable vb_sum(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable input =
        tape->autocast ? vb_tape_cast(tape, x, VB_FLOAT32) : vb_tape_hold(tape, x);
    struct vb_variable y = vb_tape_new(tape, "sum", &(struct vb_shape){ 0 }, input.dtype);
    struct vb_variable both[] = { input, y };
    vb_tape_run(tape, "sum", (double)vb_shape_elements(&x.shape), both, 2);
    if (tape->torch->cpu_kernels && vb_shape_elements(&x.shape) > ELEMENTS_A_THREAD)
        vb_done(tape, vb_tape_new(tape, "one a thread", &VB_SHAPE(THREADS), y.dtype));
    vb_tape_output(tape, vb_tape_node(tape, sum_backward, &input, 1, 1), 0, &y);
    vb_tape_drop(tape, input);
    return y;
}

/* Zeros of x's size, filled at the indices: index and select alike. */
static void fill_backward(struct vb_tape *tape, const struct vb_node *node,
                          const struct vb_variable *outputs, struct vb_variable *inputs)
{
    inputs[0] = kernel(tape, "zeros", &node->inputs[0], outputs[0]);
}

struct vb_variable vb_index(struct vb_tape *tape, struct vb_variable x,
                            const struct vb_variable *indices, uint32_t n_indices,
                            const struct vb_shape *out)
{
    struct vb_variable y = vb_tape_new(tape, "index", out, x.dtype);
    struct vb_variable both[] = { y, y };
    vb_tape_run(tape, "index", 0, both, 2);
    struct vb_node *node = vb_tape_node(tape, fill_backward, &x, 1, 1);
    for (uint32_t i = 0; i < n_indices; i++)
        vb_tape_save(tape, node, indices[i]);
    vb_tape_output(tape, node, 0, &y);
    return y;
}

struct vb_variable vb_mask(struct vb_tape *tape, struct vb_variable x, uint32_t mask_dims,
                           uint32_t n_true, const struct vb_shape *out)
{
    struct vb_variable places =
        vb_tape_new(tape, "nonzero", &VB_SHAPE(n_true, mask_dims), VB_INT64);
    struct vb_variable y = vb_index(tape, x, NULL, 0, out);
    vb_done(tape, places);
    return y;
}

struct vb_variable vb_select_last(struct vb_tape *tape, struct vb_variable x)
{
    struct vb_variable y = vb_tape_hold(tape, x);
    y.shape.n_dims--;
    y.is_dense = y.is_ordered = false;
    vb_tape_output(tape, vb_tape_node(tape, fill_backward, &x, 1, 1), 0, &y);
    return y;
}
