/* SPDX-License-Identifier: Apache-2.0 */
/* Each operator's gradient, as the tape makes it and the cpu's kernels compute it in fp32, against
 * differences of the same forward operators in double (step/interpret.h, which shares nothing with
 * the kernels). What is differentiated is the sum of the result, each element times a number. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../step/interpret.h"
#include "cpu/cpu.h"
#include "step/layers.h"
#include "step/loss.h"
#include "step/math.h"
#include "step/view.h"

enum { MAX_TENSORS = 6 };
#define STEP 1e-5
#define TOLERANCE 1e-5

/* One operator on inputs; the first `n_followed` get a gradient. */
struct traced {
    struct vb_arena arena;
    struct vb_program program;
    struct vb_tape tape;
    struct vb_variable inputs[MAX_TENSORS];
    struct vb_variable gradients[MAX_TENSORS];
    struct vb_variable loss;
    size_t n_made, n_forward; /* instructions */
};

typedef struct vb_variable operator_of(struct vb_tape *tape, const struct vb_variable *x);

struct input {
    struct vb_shape shape;
    bool is_image;
};

static const struct vb_torch torch = { .lean_bce = true, .sums_in_place = true };

static double number(size_t tensor, uint64_t i, double low, double high)
{
    uint64_t x = (tensor + 1) * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 29;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 32;
    return low + (high - low) * (double)(x >> 11) / 9007199254740992.0;
}

struct gradient_case {
    char name[32];
    operator_of *run;
    struct input inputs[MAX_TENSORS];
    uint32_t n, n_followed;
    double low, high; /* of the inputs; 0, 0: -1 to 1 */
};

static void trace(struct traced *t, const struct gradient_case *c)
{
    static const char *names[MAX_TENSORS] = { "a", "b", "c", "d", "e", "f" };
    *t = (struct traced){ .program = { .arena = &t->arena, .layout = VB_CHANNELS_LAST } };
    t->tape = (struct vb_tape){ .program = &t->program,
                                .torch = &torch,
                                .module = "",
                                .gradients = t->gradients,
                                .n_parameters = c->n_followed,
                                .parameter_names = names };
    for (uint32_t i = 0; i < c->n; i++) {
        t->gradients[i] = vb_undefined;
        t->inputs[i] = c->inputs[i].is_image
                           ? vb_tape_new_image(&t->tape, names[i], &c->inputs[i].shape, VB_FLOAT32)
                           : vb_tape_new(&t->tape, names[i], &c->inputs[i].shape, VB_FLOAT32);
        t->inputs[i].requires_grad = i < c->n_followed;
        t->inputs[i].parameter = i < c->n_followed ? i : VB_NONE;
    }
    t->n_made = t->program.n_instructions;
    struct vb_variable y = c->run(&t->tape, t->inputs);
    uint64_t n = vb_shape_elements(&y.shape);
    float *weights = vb_arena_alloc(&t->arena, n, sizeof *weights);
    for (uint64_t i = 0; i < n; i++)
        weights[i] = (float)number(MAX_TENSORS, i, 0.5, 1.5);
    struct vb_variable weight =
        vb_make(&t->tape, &(struct vb_call){ .op = VB_OP_UPLOAD, .data = weights }, &y.shape,
                VB_FLOAT32, NULL, 0);
    t->loss = vb_sum(&t->tape, vb_binary(&t->tape, VB_OP_MUL, y, weight));
    t->n_forward = t->program.n_instructions;
    vb_tape_backward(&t->tape, t->loss);
    cr_assert(!t->program.failed, "%s", c->name);
}

/* The input's elements as fp32 has them. */
static double value_of(const struct gradient_case *c, uint32_t tensor, uint64_t i)
{
    bool is_free = c->low == 0 && c->high == 0;
    return (double)(float)number(tensor, i, is_free ? -1 : c->low, is_free ? 1 : c->high);
}

/* The loss with one element of an input moved. */
static double loss_at(const struct traced *t, const struct gradient_case *c, uint32_t tensor,
                      uint64_t moved, double by)
{
    struct interpreter in = interpreter_open(&t->program, false);
    interpret(&in, 0, t->n_made);
    for (uint32_t k = 0; k < c->n; k++) {
        double *values = in.values[t->inputs[k].storage];
        for (uint64_t i = 0; i < interpret_elements(&c->inputs[k].shape); i++)
            values[i] = value_of(c, k, i) + (k == tensor && i == moved ? by : 0);
    }
    interpret(&in, t->n_made, t->n_forward);
    double loss = in.values[t->loss.storage][0];
    interpreter_close(&in);
    return loss;
}

static void run_call(struct vb_cpu *cpu, const struct vb_call *call, void **memory)
{
    void *tensors[VB_MAX_OPERANDS];
    struct vb_error err = { "" };
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < call->n_operands; i++)
        tensors[i] = call->operands[i].tensor == VB_NONE ? NULL : memory[call->operands[i].tensor];
    cr_assert_eq(vb_cpu_workspace(cpu, call, &bytes, &err), VB_OK, "%s", err.text);
    void *workspace = aligned_alloc(64, (size_t)(bytes / 64 + 1) * 64);
    const struct vb_cpu_work work = {
        .call = call, .tensors = tensors, .workspace = workspace, .update = 1
    };
    cr_assert_eq(vb_cpu_run(cpu, &work, &err), VB_OK, "%s", err.text);
    free(workspace);
}

/* All of the program by the cpu's kernels; tensors stay, whether freed or not. */
static void **run(const struct traced *t, const struct gradient_case *c)
{
    struct vb_error err = { "" };
    struct vb_cpu *cpu = NULL;
    void **memory = calloc(t->program.n_tensors, sizeof *memory);
    cr_assert_eq(vb_cpu_open(2, &cpu, &err), VB_OK, "%s", err.text);
    for (size_t i = 0; i < t->program.n_tensors; i++) {
        memory[i] = malloc((size_t)t->program.tensors[i].bytes + 1);
        memset(memory[i], 0xff, (size_t)t->program.tensors[i].bytes + 1);
    }
    for (uint32_t k = 0; k < c->n; k++) {
        for (uint64_t i = 0; i < vb_shape_elements(&c->inputs[k].shape); i++)
            ((float *)memory[t->inputs[k].storage])[i] = (float)value_of(c, k, i);
    }
    for (size_t i = 0; i < t->program.n_instructions; i++) {
        if (t->program.instructions[i].kind == VB_RUN)
            run_call(cpu, &t->program.calls[t->program.instructions[i].index], memory);
    }
    vb_cpu_close(cpu);
    return memory;
}

/* Both lie alike: a gradient is made as its parameter is, or strides say where an element lies. */
static double gradient_at(const struct traced *t, void **memory, uint32_t tensor, uint64_t i)
{
    const struct vb_variable *gradient = &t->gradients[tensor], *input = &t->inputs[tensor];
    uint64_t from = gradient->offset;
    for (uint32_t axis = 0; axis < input->shape.n_dims; axis++) {
        uint64_t at = i / input->strides[axis] % input->shape.dims[axis];
        from += at * gradient->strides[axis];
    }
    return (double)((float *)memory[gradient->storage])[from];
}

static void compare(const struct gradient_case *c)
{
    struct traced t;
    trace(&t, c);
    void **memory = run(&t, c);
    for (uint32_t k = 0; k < c->n_followed; k++) {
        uint64_t n = vb_shape_elements(&c->inputs[k].shape);
        double worst = 0, largest = 0;
        cr_assert(vb_is_defined(&t.gradients[k]), "%s: input %u has no gradient", c->name, k);
        for (uint64_t i = 0; i < n; i++) {
            double slope = (loss_at(&t, c, k, i, STEP) - loss_at(&t, c, k, i, -STEP)) / (2 * STEP);
            double apart = fabs(gradient_at(&t, memory, k, i) - slope);
            worst = apart > worst || isnan(apart) ? apart : worst;
            largest = fmax(largest, fabs(slope));
        }
        cr_expect(worst <= TOLERANCE * largest, "%s: input %u: %g apart, the largest is %g",
                  c->name, k, worst, largest);
    }
    for (size_t i = 0; i < t.program.n_tensors; i++)
        free(memory[i]);
    free(memory);
    vb_arena_clear(&t.arena);
}

/* The operators. */

static struct vb_variable conv(struct vb_tape *tape, const struct vb_variable *x, uint32_t stride,
                               uint32_t pad, uint32_t groups, bool has_bias)
{
    const uint32_t *size = x[1].shape.dims, *image = x[0].shape.dims;
    const struct vb_conv_shape shape = { { size[2], size[3], stride, pad, 1 }, groups };
    const struct vb_shape out =
        VB_SHAPE(image[0], size[0], (image[2] + 2 * pad - size[2]) / stride + 1,
                 (image[3] + 2 * pad - size[3]) / stride + 1);
    return vb_conv2d(tape, x[0], x[1], has_bias ? x[2] : vb_undefined, &shape, &out);
}

#define OPERATOR(name, expression)                                                                 \
    static struct vb_variable name(struct vb_tape *tape, const struct vb_variable *x)              \
    {                                                                                              \
        return expression;                                                                         \
    }
OPERATOR(conv_pointwise, conv(tape, x, 1, 0, 1, false))
OPERATOR(conv_padded, conv(tape, x, 1, 1, 1, true))
OPERATOR(conv_strided, conv(tape, x, 2, 1, 1, false))
OPERATOR(conv_grouped, conv(tape, x, 1, 1, 2, false))
OPERATOR(conv_depthwise, conv(tape, x, 2, 1, 4, false))
OPERATOR(conv_large_depthwise, conv(tape, x, 1, 3, 3, false))
OPERATOR(conv_stem, conv(tape, x, 2, 2, 1, false))
OPERATOR(silu, vb_silu_in_place(tape, vb_unary(tape, VB_OP_MUL_NUMBER, x[0], 2)))
OPERATOR(relu, vb_relu_in_place(tape, vb_unary(tape, VB_OP_MUL_NUMBER, x[0], 2)))
OPERATOR(add, vb_binary(tape, VB_OP_ADD, x[0], x[1]))
OPERATOR(subtract, vb_binary(tape, VB_OP_SUB, x[0], x[1]))
OPERATOR(multiply, vb_binary(tape, VB_OP_MUL, x[0], x[1]))
OPERATOR(divide, vb_binary(tape, VB_OP_DIV, x[0], x[1]))
OPERATOR(smaller, vb_binary(tape, VB_OP_MINIMUM, x[0], x[1]))
OPERATOR(larger, vb_binary(tape, VB_OP_MAXIMUM, x[0], x[1]))
OPERATOR(sigmoid, vb_unary(tape, VB_OP_SIGMOID, x[0], 0))
OPERATOR(square, vb_unary(tape, VB_OP_POWER, x[0], 2))
OPERATOR(arctangent, vb_unary(tape, VB_OP_ATAN, x[0], 0))
OPERATOR(clamp, vb_unary(tape, VB_OP_CLAMP, x[0], 0.1))
OPERATOR(shift, vb_unary(tape, VB_OP_ADD_NUMBER, x[0], 3))
OPERATOR(from_one, vb_unary(tape, VB_OP_SUBTRACT_FROM, x[0], 1))
OPERATOR(mean, vb_mean(tape, x[0]))
OPERATOR(softmax, vb_softmax(tape, x[0]))
OPERATOR(log_softmax, vb_log_softmax(tape, x[0]))
OPERATOR(matvec, vb_matvec(tape, x[0], x[1]))
OPERATOR(row_mean, vb_row_mean(tape, x[0]))
OPERATOR(cross_entropy, vb_bce_mean(tape, x[0], x[1], x[2]))
OPERATOR(cross_entropy_each, vb_bce(tape, x[0], x[1]))
OPERATOR(select_last, vb_select_last(tape, x[0], 2))
OPERATOR(concat, vb_concat(tape, x, 3, 1))
OPERATOR(permuted, vb_contiguous(tape, vb_permute(tape, x[0], (uint32_t[]){ 0, 2, 3, 1 })))
OPERATOR(average, vb_average(tape, x[0], &VB_SHAPE(x[0].shape.dims[0], x[0].shape.dims[1], 1, 1)))
OPERATOR(linear, vb_linear(tape, x[0], x[1], x[2]))
OPERATOR(matmul, vb_matmul(tape, x[0], x[1]))
OPERATOR(matmul_transposed, vb_matmul(tape, vb_transpose(tape, x[0]), x[1]))
OPERATOR(quarter, vb_every_second(tape, x[0], 2, &VB_SHAPE(2, 3, 2, 3)))

static struct vb_variable batch_norm(struct vb_tape *tape, const struct vb_variable *x)
{
    const struct vb_norm norm = { x[1], x[2], x[3], x[4], 0.03, 1e-3 };
    return vb_batch_norm(tape, x[0], &norm);
}

static struct vb_variable max_pool(struct vb_tape *tape, const struct vb_variable *x)
{
    const struct vb_window window = { 5, 5, 1, 2, 1 };
    return vb_max_pool2d(tape, x[0], &window, &x[0].shape);
}

static struct vb_variable upsample(struct vb_tape *tape, const struct vb_variable *x)
{
    const uint32_t *dims = x[0].shape.dims;
    return vb_upsample(tape, x[0], &VB_SHAPE(dims[0], dims[1], 2 * dims[2], 2 * dims[3]));
}

/* One of three pieces, and a product of the other two. */
static struct vb_variable split(struct vb_tape *tape, const struct vb_variable *x)
{
    struct vb_variable pieces[3];
    vb_split(tape, x[0], 1, (uint32_t[]){ 2, 2, 2 }, 3, pieces);
    return vb_binary(tape, VB_OP_ADD, pieces[1], vb_binary(tape, VB_OP_MUL, pieces[0], pieces[2]));
}

/* As YOLOv5's head sees it. */
static struct vb_variable head(struct vb_tape *tape, const struct vb_variable *x)
{
    const uint32_t *dims = x[0].shape.dims;
    struct vb_variable view =
        vb_view(tape, x[0], &VB_SHAPE(dims[0], 2, dims[1] / 2, dims[2], dims[3]));
    return vb_contiguous(tape, vb_permute(tape, view, (uint32_t[]){ 0, 1, 3, 4, 2 }));
}

/* As YOLOv10's attention sees what its first convolution gives: two heads, of queries and keys of
 * one channel each and values of two. */
static struct vb_variable attention(struct vb_tape *tape, const struct vb_variable *x)
{
    enum { Q, K, V };
    struct vb_variable parts[3];
    const uint32_t *dims = x[0].shape.dims;
    const struct vb_shape plane = VB_SHAPE(dims[0], 4, dims[2], dims[3]);
    struct vb_variable heads =
        vb_view(tape, x[0], &VB_SHAPE(dims[0], 2, dims[1] / 2, dims[2] * dims[3]));
    vb_split(tape, heads, 2, (uint32_t[]){ 1, 1, 2 }, 3, parts);
    struct vb_variable product = vb_matmul(tape, vb_transpose(tape, parts[Q]), parts[K]);
    struct vb_variable weights = vb_softmax(tape, vb_unary(tape, VB_OP_MUL_NUMBER, product, 0.7));
    struct vb_variable seen = vb_matmul(tape, parts[V], vb_transpose(tape, weights));
    return vb_binary(tape, VB_OP_ADD, vb_view(tape, seen, &plane),
                     vb_view(tape, vb_contiguous(tape, parts[V]), &plane));
}

static struct vb_variable rows_twice(struct vb_tape *tape, const struct vb_variable *x)
{
    static const int64_t places[] = { 2, 0, 2, 1 };
    struct vb_variable index =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_UPLOAD, .data = places }, &VB_SHAPE(4),
                VB_INT64, NULL, 0);
    return vb_index(tape, x[0], &index, 1, &VB_SHAPE(4, x[0].shape.dims[1]));
}

static struct vb_variable likelihood(struct vb_tape *tape, const struct vb_variable *x)
{
    static const int64_t labels[] = { 4, 0, 2 };
    struct vb_variable target =
        vb_make(tape, &(struct vb_call){ .op = VB_OP_UPLOAD, .data = labels }, &VB_SHAPE(3),
                VB_INT64, NULL, 0);
    return vb_nll(tape, x[0], target);
}

/* An entry scaled in place after another was set. */
static struct vb_variable entries(struct vb_tape *tape, const struct vb_variable *x)
{
    struct vb_variable vector = vb_unary(tape, VB_OP_MUL_NUMBER, x[0], 1);
    vb_set_entry(tape, &vector, 1, x[1]);
    vb_scale_entry(tape, &vector, 2, 3);
    return vb_unary(tape, VB_OP_MUL_NUMBER, vector, 1);
}

#define IMAGE(...)                                                                                 \
    {                                                                                              \
        VB_SHAPE(__VA_ARGS__), true                                                                \
    }
#define PLAIN(...)                                                                                 \
    {                                                                                              \
        VB_SHAPE(__VA_ARGS__), false                                                               \
    }

static const struct gradient_case cases[] = {
    { "1x1", conv_pointwise, { IMAGE(2, 3, 3, 5), IMAGE(5, 3, 1, 1) }, 2, 2, 0, 0 },
    { "3x3, bias", conv_padded, { IMAGE(2, 3, 5, 3), IMAGE(4, 3, 3, 3), PLAIN(4) }, 3, 3, 0, 0 },
    { "3x3, stride 2", conv_strided, { IMAGE(1, 3, 7, 5), IMAGE(2, 3, 3, 3) }, 2, 2, 0, 0 },
    { "groups", conv_grouped, { IMAGE(2, 4, 3, 5), IMAGE(6, 2, 3, 3) }, 2, 2, 0, 0 },
    { "depthwise, stride 2", conv_depthwise, { IMAGE(2, 4, 5, 7), IMAGE(4, 1, 3, 3) }, 2, 2, 0, 0 },
    { "depthwise 7x7", conv_large_depthwise, { IMAGE(2, 3, 5, 4), IMAGE(3, 1, 7, 7) }, 2, 2, 0, 0 },
    { "6x6, stride 2", conv_stem, { IMAGE(1, 3, 8, 10), IMAGE(2, 3, 6, 6) }, 2, 2, 0, 0 },
    { "batch norm",
      batch_norm,
      { IMAGE(2, 3, 3, 5), PLAIN(3), PLAIN(3), PLAIN(3), PLAIN(3) },
      5,
      3,
      0,
      0 },
    { "silu", silu, { IMAGE(2, 3, 3, 5) }, 1, 1, 0, 0 },
    { "relu", relu, { IMAGE(2, 3, 3, 5) }, 1, 1, 0, 0 },
    { "max pool", max_pool, { IMAGE(2, 3, 5, 7) }, 1, 1, 0, 0 },
    { "upsample", upsample, { IMAGE(2, 3, 3, 5) }, 1, 1, 0, 0 },
    { "average", average, { IMAGE(2, 3, 3, 5) }, 1, 1, 0, 0 },
    { "linear", linear, { PLAIN(3, 5), PLAIN(4, 5), PLAIN(4) }, 3, 3, 0, 0 },
    { "concat", concat, { IMAGE(2, 1, 3, 5), IMAGE(2, 3, 3, 5), IMAGE(2, 2, 3, 5) }, 3, 3, 0, 0 },
    { "split", split, { IMAGE(2, 6, 3, 5) }, 1, 1, 0, 0 },
    { "head", head, { IMAGE(2, 6, 3, 5) }, 1, 1, 0, 0 },
    { "permuted", permuted, { IMAGE(2, 4, 3, 5) }, 1, 1, 0, 0 },
    { "quarter", quarter, { IMAGE(2, 3, 4, 6) }, 1, 1, 0, 0 },
    { "add", add, { IMAGE(2, 3, 3, 5), IMAGE(2, 3, 3, 5) }, 2, 2, 0, 0 },
    { "add, broadcast", add, { PLAIN(3, 7), PLAIN(7) }, 2, 2, 0, 0 },
    { "subtract", subtract, { PLAIN(3, 7), PLAIN(3, 7) }, 2, 2, 0, 0 },
    { "multiply", multiply, { PLAIN(3, 7), PLAIN(3, 7) }, 2, 2, 0, 0 },
    { "divide", divide, { PLAIN(3, 7), PLAIN(3, 7) }, 2, 2, 0.5, 2 },
    { "minimum", smaller, { PLAIN(3, 7), PLAIN(3, 7) }, 2, 2, 0, 0 },
    { "maximum", larger, { PLAIN(3, 7), PLAIN(3, 7) }, 2, 2, 0, 0 },
    { "sigmoid", sigmoid, { PLAIN(3, 7) }, 1, 1, -3, 3 },
    { "square", square, { PLAIN(3, 7) }, 1, 1, 0, 0 },
    { "arctangent", arctangent, { PLAIN(3, 7) }, 1, 1, -3, 3 },
    { "clamp", clamp, { PLAIN(3, 7) }, 1, 1, 0, 0 },
    { "shift", shift, { PLAIN(3, 7) }, 1, 1, 0, 0 },
    { "from one", from_one, { PLAIN(3, 7) }, 1, 1, 0, 0 },
    { "mean", mean, { PLAIN(3, 7) }, 1, 1, 0, 0 },
    { "softmax", softmax, { PLAIN(3, 5) }, 1, 1, -2, 2 },
    { "log softmax", log_softmax, { PLAIN(3, 5) }, 1, 1, -2, 2 },
    { "matvec", matvec, { PLAIN(2, 3, 5), PLAIN(5) }, 2, 1, 0, 0 },
    { "matmul", matmul, { PLAIN(2, 3, 2, 5), PLAIN(2, 3, 5, 3) }, 2, 2, 0, 0 },
    { "matmul, transposed", matmul_transposed, { PLAIN(2, 5, 3), PLAIN(2, 5, 4) }, 2, 2, 0, 0 },
    { "attention", attention, { IMAGE(2, 8, 3, 2) }, 1, 1, -2, 2 },
    { "row mean", row_mean, { PLAIN(3, 5) }, 1, 1, 0, 0 },
    { "likelihood", likelihood, { PLAIN(3, 5) }, 1, 1, 0, 0 },
    { "cross entropy", cross_entropy, { PLAIN(3, 5), PLAIN(3, 5), PLAIN(1) }, 3, 1, 0.1, 0.9 },
    { "cross entropy each", cross_entropy_each, { PLAIN(3, 5), PLAIN(3, 5) }, 2, 1, 0.1, 0.9 },
    { "select last", select_last, { PLAIN(3, 5) }, 1, 1, 0, 0 },
    { "rows twice", rows_twice, { PLAIN(3, 5) }, 1, 1, 0, 0 },
    { "entries", entries, { PLAIN(3), { { 0 }, false } }, 2, 2, 0, 0 },
};

Test(gradients, agree_with_differences)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        compare(&cases[i]);
}
