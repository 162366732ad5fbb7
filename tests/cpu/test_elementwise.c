/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/operands.h"

/* Where each operator is tried. */
struct law {
    enum vb_operator op;
    uint32_t n; /* inputs */
    double a, b;
    double low, high; /* of the inputs */
    bool in_wholes;   /* also of whole numbers, into int64 ... */
    bool is_test;     /* ... or bool */
    double slack;     /* what cancels out, absolutely */
};

static const struct law laws[] = {
    { VB_OP_COPY, 1, 0, 0, -9, 9, true, false, 0 },
    { VB_OP_FILL, 0, 2, 0, 0, 1, true, false, 0 },
    { VB_OP_ADD, 2, 0, 0, -9, 9, true, false, 0 },
    { VB_OP_ADD_SCALED, 2, -3, 0, -9, 9, true, false, 1e-5 },
    { VB_OP_SUB, 2, 0, 0, -9, 9, true, false, 0 },
    { VB_OP_MUL, 2, 0, 0, -9, 9, true, false, 0 },
    { VB_OP_DIV, 2, 0, 0, 1, 9, true, false, 0 },
    { VB_OP_MINIMUM, 2, 0, 0, -9, 9, true, false, 0 },
    { VB_OP_MAXIMUM, 2, 0, 0, -9, 9, true, false, 0 },
    { VB_OP_EQUAL, 2, 0, 0, -3, 3, true, true, 0 },
    { VB_OP_LESS, 2, 0, 0, -9, 9, true, true, 0 },
    { VB_OP_ADD_NUMBER, 1, 3, 0, -9, 9, true, false, 1e-6 },
    { VB_OP_MUL_NUMBER, 1, -2, 0, -9, 9, true, false, 0 },
    { VB_OP_SUBTRACT_FROM, 1, 1, 0, -9, 9, true, false, 1e-6 },
    { VB_OP_POWER, 1, 1.5, 0, 0, 9, false, false, 0 },
    { VB_OP_POWER, 1, 2, 0, -9, 9, false, false, 0 },
    { VB_OP_POWER, 1, 1, 0, -9, 9, false, false, 0 },
    { VB_OP_REMAINDER, 1, 2, 0, -9, 9, true, false, 1e-6 },
    { VB_OP_CLAMP, 1, -2, 3, -9, 9, true, false, 0 },
    { VB_OP_CLAMP, 1, 0, INFINITY, -9, 9, true, false, 0 },
    { VB_OP_LESS_NUMBER, 1, 1.5, 0, -9, 9, true, true, 0 },
    { VB_OP_GREATER_NUMBER, 1, 1.5, 0, -9, 9, true, true, 0 },
    { VB_OP_AT_LEAST_NUMBER, 1, 2, 0, -9, 9, true, true, 0 },
    { VB_OP_RECIPROCAL, 1, 0, 0, 0.1, 9, false, false, 0 },
    { VB_OP_SQRT, 1, 0, 0, 0, 9, false, false, 0 },
    { VB_OP_EXP, 1, 0, 0, -20, 20, false, false, 0 },
    { VB_OP_LOG, 1, 0, 0, 1e-3, 20, false, false, 0 },
    { VB_OP_ATAN, 1, 0, 0, -20, 20, false, false, 0 },
    { VB_OP_SIGMOID, 1, 0, 0, -20, 20, false, false, 0 },
    { VB_OP_SIGMOID_BACKWARD, 2, 0, 0, 0, 1, false, false, 0 },
    { VB_OP_LOG_SIGMOID, 1, 0, 0, -20, 20, false, false, 0 },
    { VB_OP_SILU, 1, 0, 0, -20, 20, false, false, 0 },
    { VB_OP_SILU_BACKWARD, 2, 0, 0, -20, 20, false, false, 1e-5 },
    { VB_OP_RELU, 1, 0, 0, -9, 9, false, false, 0 },
    { VB_OP_RELU_BACKWARD, 2, 0, 0, -9, 9, false, false, 0 },
};
enum { N_LAWS = sizeof laws / sizeof *laws };

static double of_two(enum vb_operator op, double x, double z, double a)
{
    double s = 1 / (1 + exp(-z));
    switch ((int)op) {
    case VB_OP_ADD:
        return x + z;
    case VB_OP_ADD_SCALED:
        return x + a * z;
    case VB_OP_SUB:
        return x - z;
    case VB_OP_MUL:
        return x * z;
    case VB_OP_DIV:
        return x / z;
    case VB_OP_MINIMUM:
        return x < z ? x : z;
    case VB_OP_MAXIMUM:
        return x > z ? x : z;
    case VB_OP_EQUAL:
        return x == z;
    case VB_OP_LESS:
        return x < z;
    case VB_OP_SIGMOID_BACKWARD:
        return x * z * (1 - z);
    case VB_OP_SILU_BACKWARD:
        return x * s * (1 + z * (1 - s));
    case VB_OP_RELU_BACKWARD:
        return z > 0 ? x : 0;
    }
    return NAN;
}

static double of_one(enum vb_operator op, double x, double a, double b)
{
    switch ((int)op) {
    case VB_OP_COPY:
        return x;
    case VB_OP_ADD_NUMBER:
        return x + a;
    case VB_OP_MUL_NUMBER:
        return a * x;
    case VB_OP_SUBTRACT_FROM:
        return a - x;
    case VB_OP_POWER:
        return pow(x, a);
    case VB_OP_REMAINDER:
        return x - a * floor(x / a);
    case VB_OP_CLAMP:
        return fmin(fmax(x, a), b);
    case VB_OP_LESS_NUMBER:
        return x < a;
    case VB_OP_GREATER_NUMBER:
        return x > a;
    case VB_OP_AT_LEAST_NUMBER:
        return x >= a;
    case VB_OP_RECIPROCAL:
        return 1 / x;
    case VB_OP_SQRT:
        return sqrt(x);
    case VB_OP_EXP:
        return exp(x);
    case VB_OP_LOG:
        return log(x);
    case VB_OP_ATAN:
        return atan(x);
    case VB_OP_SIGMOID:
        return 1 / (1 + exp(-x));
    case VB_OP_LOG_SIGMOID:
        return -log1p(exp(-x));
    case VB_OP_SILU:
        return x / (1 + exp(-x));
    case VB_OP_RELU:
        return x > 0 ? x : 0;
    }
    return NAN;
}

static double reference(enum vb_operator op, const double *in, double a, double b)
{
    if (op == VB_OP_FILL)
        return a;
    double two = of_two(op, in[0], in[1], a);
    return isnan(two) ? of_one(op, in[0], a, b) : two;
}

static enum vb_dtype random_float(void)
{
    static const enum vb_dtype types[] = { VB_FLOAT32, VB_FLOAT32, VB_FLOAT16, VB_BFLOAT16 };
    return types[random_below(4)];
}

/* The result's shape with the first axes taken off and some others of length 1. */
static struct vb_shape random_part(struct vb_shape shape)
{
    uint32_t fewer = random_below(4) == 0 ? random_below(shape.n_dims + 1) : 0;
    memmove(shape.dims, shape.dims + fewer, (shape.n_dims - fewer) * sizeof *shape.dims);
    shape.n_dims -= fewer;
    for (uint32_t i = 0; i < shape.n_dims; i++)
        shape.dims[i] = random_below(5) == 0 ? 1 : shape.dims[i];
    return shape;
}

static struct vb_shape random_shape(void)
{
    struct vb_shape shape = { .n_dims = random_below(VB_MAX_DIMS + 1) };
    for (uint32_t i = 0; i < shape.n_dims; i++)
        shape.dims[i] = random_below(60) == 0 ? 0 : 1 + random_below(i % 2 == 0 ? 5 : 9);
    if (shape.n_dims == 1)
        shape.dims[0] *= 1 + random_below(400);
    return shape;
}

static double value_of(const struct law *law, const struct operand *x, const struct operand *z,
                       const struct vb_shape *shape, size_t i)
{
    double in[2] = { 0 };
    if (law->n > 0)
        in[0] = get(x, broadcast(x, shape, i));
    if (law->n > 1)
        in[1] = get(z, broadcast(z, shape, i));
    return reference(law->op, in, law->a, law->b);
}

static void try_law(const struct law *law)
{
    struct vb_error error = { "" };
    struct vb_shape shape = random_shape();
    bool in_wholes = law->in_wholes && random_below(4) == 0;
    struct operand inputs[2], *operands[3];
    double expected[9 * 9 * 5 * 5 * 5];
    for (uint32_t i = 0; i < law->n; i++) {
        inputs[i] = new_operand(in_wholes ? VB_INT64 : random_float(), random_part(shape),
                                (enum lies)random_below(N_LIES));
        set_random(&inputs[i], law->low, law->high);
        operands[i] = &inputs[i];
    }
    enum vb_dtype result = in_wholes ? VB_INT64 : random_float();
    struct operand y =
        new_operand(law->is_test ? VB_BOOL : result, shape, (enum lies)random_below(N_LIES));
    operands[law->n] = &y;
    size_t n = elements_of(&y);
    for (size_t i = 0; i < n; i++) {
        expected[i] = value_of(law, &inputs[0], &inputs[1], &shape, i);
        expected[i] = in_wholes ? floor(expected[i]) : expected[i];
    }
    enum vb_status status = run(law->op, (struct numbers){ law->a, law->b, NULL, 0 }, operands,
                                law->n + 1, 1 + random_below(2), &error);
    cr_assert_eq(status, VB_OK, "%s: %s", vb_operator_names[law->op], error.text);
    for (size_t i = 0; i < n; i++)
        cr_assert(is_close(&y, i, expected[i], law->slack), "%s [%zu]: %.9g, expected %.9g",
                  vb_operator_names[law->op], i, get(&y, i), expected[i]);
    for (uint32_t i = 0; i <= law->n; i++)
        drop_operand(operands[i]);
}

Test(elementwise, any_shapes_strides_and_types_give_the_operators_value)
{
    for (size_t i = 0; i < N_LAWS; i++) {
        test_seed = 77 + i;
        for (int k = 0; k < 300; k++)
            try_law(&laws[i]);
    }
}

Test(elementwise, a_result_may_be_an_input)
{
    static const uint32_t sizes[] = { 1, 7, 1024, 1025, 40001 };
    for (size_t i = 0; i < N_LAWS * 5; i++) {
        struct law law = laws[i / 5];
        struct vb_error error = { "" };
        if (law.n == 0 || law.is_test)
            continue;
        for (uint32_t lies = IN_ORDER; lies <= WITH_GAPS; lies += WITH_GAPS) {
            struct operand y = new_operand(VB_FLOAT32, SHAPE(sizes[i % 5]), (enum lies)lies);
            struct operand z = new_operand(VB_FLOAT32, SHAPE(sizes[i % 5]), IN_ORDER);
            double *expected = calloc(sizes[i % 5], sizeof *expected);
            set_random(&y, law.low, law.high);
            set_random(&z, law.low, law.high);
            for (size_t k = 0; k < sizes[i % 5]; k++)
                expected[k] = reference(law.op, (double[]){ get(&y, k), get(&z, k) }, law.a, law.b);
            struct operand *operands[] = { &y, law.n == 1 ? &y : &z, &y };
            /* One memory: the first and the last operand are one tensor. */
            cr_assert_eq(run(law.op, (struct numbers){ law.a, law.b, NULL, 0 }, operands, law.n + 1,
                             2, &error),
                         VB_OK, "%s", error.text);
            for (size_t k = 0; k < sizes[i % 5]; k++)
                cr_assert(is_close(&y, k, expected[k], law.slack), "%s %s [%zu]: %g for %g",
                          vb_operator_names[law.op], lies_names[lies], k, get(&y, k), expected[k]);
            drop_operand(&y);
            drop_operand(&z);
            free(expected);
        }
    }
}

Test(elementwise, threads_change_no_bit)
{
    for (size_t i = 0; i < N_LAWS; i++) {
        const struct law *law = &laws[i];
        struct vb_error error = { "" };
        struct operand inputs[2], y[2];
        struct vb_shape shape = SHAPE(3, 67, 61, 11);
        for (uint32_t k = 0; k < 2; k++) {
            inputs[k] = new_operand(VB_FLOAT32, k == 0 ? shape : SHAPE(67, 1, 1),
                                    k == 0 ? BACKWARDS : IN_ORDER);
            set_random(&inputs[k], law->low, law->high);
        }
        for (uint32_t k = 0; k < 2; k++) {
            y[k] = new_operand(VB_FLOAT32, shape, IN_ORDER);
            struct operand *operands[] = { &inputs[0], &inputs[1], &y[k] };
            if (law->n < 2)
                operands[law->n] = &y[k];
            cr_assert_eq(run(law->op, (struct numbers){ law->a, law->b, NULL, 0 }, operands,
                             law->n + 1, k + 1, &error),
                         VB_OK, "%s", error.text);
        }
        cr_assert_eq(memcmp(y[0].memory, y[1].memory, y[0].bytes), 0, "%s",
                     vb_operator_names[law->op]);
        for (uint32_t k = 0; k < 2; k++) {
            drop_operand(&y[k]);
            drop_operand(&inputs[k]);
        }
    }
}

Test(elementwise, what_is_no_number_stays_none)
{
    static const uint32_t signalling = 0x7fa00000;
    for (size_t i = 0; i < N_LAWS; i++) {
        const struct law *law = &laws[i];
        struct vb_error error = { "" };
        if (law->n == 0 || law->is_test)
            continue;
        for (uint32_t which = 0; which < law->n; which++) {
            struct operand x = new_operand(VB_FLOAT32, SHAPE(19), IN_ORDER);
            struct operand z = new_operand(VB_FLOAT32, SHAPE(19), IN_ORDER);
            struct operand y = new_operand(VB_FLOAT32, SHAPE(19), IN_ORDER);
            set_random(&x, law->low, law->high);
            set_random(&z, law->low, law->high);
            if (law->op == VB_OP_RELU_BACKWARD && which == 0)
                set_random(&z, 1, 2);
            for (size_t k = 0; k < 19; k++)
                memcpy((char *)(which == 0 ? &x : &z)->memory + 4 * k, &signalling, 4);
            struct operand *operands[] = { &x, law->n == 1 ? &y : &z, &y };
            cr_assert_eq(run(law->op, (struct numbers){ law->a, law->b, NULL, 0 }, operands,
                             law->n + 1, 1, &error),
                         VB_OK);
            bool passes = law->op == VB_OP_RELU_BACKWARD && which == 1;
            for (size_t k = 0; k < 19; k++)
                cr_assert(isnan(get(&y, k)) || passes, "%s", vb_operator_names[law->op]);
            drop_operand(&x);
            drop_operand(&z);
            drop_operand(&y);
        }
    }
}

Test(elementwise, masks_choose_and_fill)
{
    static const enum vb_dtype types[] = { VB_FLOAT32, VB_FLOAT16, VB_BFLOAT16, VB_INT64, VB_BOOL };
    struct vb_error error = { "" };
    for (size_t t = 0; t < 5 * N_LIES; t++) {
        enum lies lies = (enum lies)(t % N_LIES);
        struct operand mask = new_operand(VB_BOOL, SHAPE(5, 1), lies);
        struct operand x = new_operand(types[t / N_LIES], SHAPE(5, 7), lies);
        struct operand z = new_operand(types[t / N_LIES], SCALAR, IN_ORDER);
        struct operand y = new_operand(types[t / N_LIES], SHAPE(5, 7), IN_ORDER);
        set_random(&mask, 0, 2);
        set_random(&x, 0, 2);
        set(&z, 0, 1);
        cr_assert_eq(RUN(VB_OP_WHERE, 0, 0, &mask, &x, &z, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 35; i++)
            cr_assert_eq(get(&y, i), get(&mask, i / 7) != 0 ? get(&x, i) : 1);
        cr_assert_eq(RUN(VB_OP_COPY, 0, 0, &x, &y), VB_OK, "%s", error.text);
        cr_assert_eq(RUN(VB_OP_MASKED_FILL, 1, 0, &mask, &x), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 35; i++)
            cr_assert_eq(get(&x, i), get(&mask, i / 7) != 0 ? 1 : get(&y, i));
        struct operand *all[] = { &mask, &x, &z, &y };
        for (size_t i = 0; i < 4; i++)
            drop_operand(all[i]);
    }
}

Test(elementwise, and_is_of_bools)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_BOOL, SHAPE(4), IN_ORDER), z = x, y = x;
    z = new_operand(VB_BOOL, SHAPE(4), IN_ORDER);
    y = new_operand(VB_BOOL, SHAPE(4), IN_ORDER);
    set_all(&x, (double[]){ 0, 0, 1, 1 });
    set_all(&z, (double[]){ 0, 1, 0, 1 });
    cr_assert_eq(RUN(VB_OP_AND, 0, 0, &x, &z, &y), VB_OK, "%s", error.text);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(get(&y, i), i == 3);
    struct operand real = new_operand(VB_FLOAT32, SHAPE(4), IN_ORDER);
    set_all(&real, (double[]){ 0, 1, 0, 1 });
    cr_assert_eq(RUN(VB_OP_AND, 0, 0, &x, &real, &y), VB_E_DEVICE);
    drop_operand(&real);
    drop_operand(&x);
    drop_operand(&z);
    drop_operand(&y);
}

/* From what to what, by PyTorch's .to(). */
static const struct cast {
    enum vb_dtype from, to;
    double x, y;
} casts[] = {
    { VB_FLOAT32, VB_INT64, -2.75, -2 },
    { VB_FLOAT32, VB_INT64, 1e30, 9223372036854775807.0 },
    { VB_FLOAT32, VB_INT64, NAN, -9223372036854775808.0 },
    { VB_FLOAT32, VB_UINT8, 254.9, 254 },
    { VB_FLOAT32, VB_BOOL, 0.25, 1 },
    { VB_FLOAT32, VB_FLOAT16, 65519, 65504 },
    { VB_FLOAT32, VB_FLOAT16, 65520, INFINITY },
    { VB_FLOAT32, VB_FLOAT16, 2049, 2048 },
    { VB_FLOAT32, VB_FLOAT16, 2051, 2052 },
    { VB_FLOAT32, VB_FLOAT16, 0x1p-25, 0 },
    { VB_FLOAT32, VB_FLOAT16, 0x1.8p-24, 0x1p-23 },
    { VB_FLOAT32, VB_BFLOAT16, 257, 256 },
    { VB_FLOAT32, VB_BFLOAT16, 259, 260 },
    { VB_UINT8, VB_FLOAT32, 255, 255 },
    { VB_BOOL, VB_INT64, 1, 1 },
    { VB_INT64, VB_FLOAT16, 1023, 1023 },
    { VB_INT64, VB_BOOL, -4, 1 },
};

Test(elementwise, copies_cast)
{
    for (size_t i = 0; i < sizeof casts / sizeof *casts; i++) {
        for (uint32_t lies = 0; lies < N_LIES; lies++) {
            struct vb_error error = { "" };
            struct operand x = new_operand(casts[i].from, SHAPE(3, 5), (enum lies)lies);
            struct operand y = new_operand(casts[i].to, SHAPE(3, 5), IN_ORDER);
            for (size_t k = 0; k < 15; k++)
                set(&x, k, casts[i].x);
            cr_assert_eq(RUN(VB_OP_COPY, 0, 0, &x, &y), VB_OK, "%s", error.text);
            for (size_t k = 0; k < 15; k++)
                cr_assert_eq(get(&y, k), casts[i].y, "%zu: %g", i, get(&y, k));
            drop_operand(&x);
            drop_operand(&y);
        }
    }
}

Test(elementwise, whole_numbers_are_exact_and_wrap)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_INT64, SHAPE(2), IN_ORDER), y = x;
    int64_t *values = x.memory;
    values[0] = INT64_MAX;
    values[1] = (1LL << 53) + 1;
    cr_assert_eq(RUN(VB_OP_ADD_NUMBER, 1, 0, &x, &y), VB_OK, "%s", error.text);
    cr_assert_eq(values[0], INT64_MIN);
    cr_assert_eq(values[1], (1LL << 53) + 2);
    cr_assert_eq(RUN(VB_OP_MUL_NUMBER, 0.5, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_FILL, INFINITY, 0, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_REMAINDER, 0, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_EXP, 0, 0, &x, &y), VB_E_DEVICE);
    values[1] = -1;
    struct operand z = new_operand(VB_INT64, SHAPE(2), IN_ORDER);
    ((int64_t *)z.memory)[0] = -1;
    ((int64_t *)z.memory)[1] = 0;
    cr_assert_eq(RUN(VB_OP_DIV, 0, 0, &x, &z, &y), VB_OK, "%s", error.text);
    cr_assert_eq(values[0], INT64_MIN);
    cr_assert_eq(values[1], 0);
    drop_operand(&x);
    drop_operand(&z);
}

Test(elementwise, operands_that_do_not_go_together_are_refused)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(3, 4), IN_ORDER);
    struct operand z = new_operand(VB_FLOAT32, SHAPE(5), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(3, 4), IN_ORDER);
    struct operand none = not_given;
    cr_assert_eq(RUN(VB_OP_ADD, 0, 0, &x, &z, &y), VB_E_DEVICE);
    cr_assert_str_eq(error.text, "add in 'model.0' has operands of shapes that do not go together: "
                                 "[3,4] fp32, [5] fp32, [3,4] fp32");
    cr_assert_eq(RUN(VB_OP_ADD, 0, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_ADD, 0, 0, &x, &none, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_COPY, 0, 0, &z, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_COPY, 0, 0, &x, &z), VB_E_DEVICE);
    y.view.strides[0] = 0;
    cr_assert_eq(RUN(VB_OP_COPY, 0, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_RELU, 0, 0, &x, &y), VB_E_DEVICE);
    y.view.shape.dims[0] = y.view.shape.dims[1] = UINT32_MAX;
    cr_assert_eq(RUN(VB_OP_FILL, 0, 0, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_PLANNED, 0, 0, &x), VB_E_UNSUPPORTED);
    drop_operand(&x);
    drop_operand(&z);
    drop_operand(&y);
}

Test(elementwise, pictures_are_mixed_and_rounded)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_UINT8, SHAPE(1, 3, 2, 5), IN_ORDER);
    struct operand z = new_operand(VB_UINT8, SHAPE(1, 3, 2, 5), WITH_GAPS);
    struct operand y = new_operand(VB_UINT8, SHAPE(1, 3, 2, 5), BACKWARDS);
    set_random(&x, 0, 256);
    set_random(&z, 0, 256);
    cr_assert_eq(RUN(VB_OP_MIX, 0.25, 0, &x, &z, &y), VB_OK, "%s", error.text);
    for (size_t i = 0; i < 30; i++)
        cr_assert_eq(get(&y, i), floor(0.25 * get(&x, i) + 0.75 * get(&z, i) + 0.5));
    drop_operand(&x);
    drop_operand(&z);
    drop_operand(&y);
}
