/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/operands.h"

enum { SIZE = 40013 };

static struct operand scalar(double value)
{
    struct operand x = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
    set(&x, 0, value);
    return x;
}

static struct operand drawn(double low, double high)
{
    struct operand x = new_operand(VB_FLOAT32, SHAPE(SIZE), IN_ORDER);
    set_random(&x, low, high);
    return x;
}

static enum vb_status run_at(uint32_t update, enum vb_operator op, double a, double b,
                             struct operand *const *operands, uint32_t n, struct vb_error *error)
{
    return run(op, (struct numbers){ a, b, NULL, update }, operands, n, 2, error);
}

static void drop_all(struct operand *const *operands, size_t n)
{
    for (size_t i = 0; i < n; i++)
        drop_operand(operands[i]);
}

static bool is_near(const struct operand *x, size_t i, double expected)
{
    return is_close(x, i, expected, 3e-7);
}

/* Which operands beside direction, momentum and parameter an update has. */
static const struct sgd_case {
    bool has_step, has_found;
    double found;
} sgd_cases[] = { { true, false, 0 }, { true, true, 0 }, { true, true, 1 }, { false, false, 0 } };

Test(update, sgd)
{
    for (size_t k = 0; k < 4; k++) {
        const struct sgd_case *given = &sgd_cases[k];
        struct vb_error error = { "" };
        struct operand none = not_given, found = scalar(given->found), direction = drawn(-1, 1);
        struct operand momentum = drawn(-1, 1), parameter = drawn(-2, 2), step = drawn(0, 1);
        double *before = calloc(2 * SIZE, sizeof *before);
        for (size_t i = 0; i < SIZE; i++) {
            before[2 * i] = get(&momentum, i);
            before[2 * i + 1] = get(&parameter, i);
        }
        struct operand *operands[] = { given->has_found ? &found : &none, &direction, &momentum,
                                       given->has_step ? &step : &none, &parameter };
        cr_assert_eq(run_at(1, VB_OP_SGD, 0.01, 0.9, operands, 5, &error), VB_OK, "%s", error.text);
        for (size_t i = 0; i < SIZE; i++) {
            double d = get(&direction, i), m = 0.9 * before[2 * i] + d;
            double by = given->has_step ? d + 0.9 * m : m;
            bool stays = given->found != 0;
            cr_assert(is_near(&momentum, i, stays ? before[2 * i] : m));
            cr_assert(is_near(&parameter, i, before[2 * i + 1] - (stays ? 0 : 0.01 * by)));
            if (given->has_step && !stays)
                cr_assert(is_near(&step, i, by));
        }
        struct operand *all[] = { &found, &direction, &momentum, &step, &parameter };
        drop_all(all, 5);
        free(before);
    }
}

Test(update, sgds_step_may_take_the_directions_place)
{
    struct vb_error error = { "" };
    struct operand none = not_given, direction = drawn(-1, 1), momentum = drawn(-1, 1);
    struct operand parameter = drawn(-2, 2);
    struct operand *operands[] = { &none, &direction, &momentum, &direction, &parameter };
    double d = get(&direction, 7), m = get(&momentum, 7), p = get(&parameter, 7);
    cr_assert_eq(run_at(2, VB_OP_SGD, 0.1, 0.5, operands, 5, &error), VB_OK, "%s", error.text);
    cr_assert(is_near(&momentum, 7, 0.5 * m + d));
    cr_assert(is_near(&direction, 7, d + 0.5 * (0.5 * m + d)));
    cr_assert(is_near(&parameter, 7, p - 0.1 * (d + 0.5 * (0.5 * m + d))));
    drop_all(operands + 1, 2);
    drop_operand(&parameter);
}

Test(update, adam)
{
    struct vb_error error = { "" };
    struct operand none = not_given, gradient = drawn(-1, 1), mean = drawn(-1, 1);
    struct operand squares = drawn(0, 1), parameter = drawn(-2, 2), denominator = drawn(0, 1);
    double m = get(&mean, SIZE - 1), s = get(&squares, SIZE - 1), p = get(&parameter, SIZE - 1);
    double g = get(&gradient, SIZE - 1);
    struct operand *moments[] = { &none, &gradient, &mean, &squares };
    cr_assert_eq(run_at(3, VB_OP_ADAM_MOMENTS, 0.9, 0.999, moments, 4, &error), VB_OK);
    m = 0.9 * m + 0.1 * g;
    s = 0.999 * s + 0.001 * g * g;
    cr_assert(is_near(&mean, SIZE - 1, m));
    cr_assert(is_near(&squares, SIZE - 1, s));
    struct operand *step[] = { &none, &mean, &squares, &denominator, &parameter };
    cr_assert_eq(RUN(VB_OP_SQRT, 0, 0, &squares, &squares), VB_OK);
    cr_assert_eq(run_at(3, VB_OP_ADAM_STEP, 0.01, 0.9, step, 5, &error), VB_OK, "%s", error.text);
    double d = sqrt(s) / sqrt(1 - pow(VB_SQUARES_DECAY, 3)) + VB_ADAM_EPSILON;
    cr_assert(is_close(&denominator, SIZE - 1, d, 1e-5));
    cr_assert(is_near(&parameter, SIZE - 1, p - 0.01 / (1 - pow(0.9, 3)) * m / d));
    /* The denominator in the root's place. */
    struct operand root = scalar(0.5), m1 = scalar(0.25), p1 = scalar(1);
    struct operand *one[] = { &none, &m1, &root, &root, &p1 };
    cr_assert_eq(run_at(1, VB_OP_ADAM_STEP, 0.01, 0.9, one, 5, &error), VB_OK, "%s", error.text);
    cr_assert(is_close(&root, 0, 0.5 / sqrt(0.001), 1e-4));
    cr_assert(is_near(&p1, 0, 1 - 0.1 * 0.25 / (0.5 / sqrt(0.001))));
    struct operand *all[] = {
        &gradient, &mean, &squares, &parameter, &denominator, &root, &m1, &p1
    };
    drop_all(all, 8);
}

Test(update, nothing_moves_where_something_was_found)
{
    struct vb_error error = { "" };
    struct operand found = scalar(1), x[4];
    struct operand *operands[5] = { &found };
    static const enum vb_operator ops[] = { VB_OP_SGD, VB_OP_ADAM_MOMENTS, VB_OP_ADAM_STEP,
                                            VB_OP_DECAY };
    static const uint32_t n[] = { 5, 4, 5, 2 };
    for (uint32_t k = 0; k < 4; k++) {
        for (uint32_t i = 0; i < 4; i++) {
            x[i] = new_operand(VB_FLOAT32, SHAPE(3), IN_ORDER);
            set_all(&x[i], (double[]){ 5, 5, 5 });
            operands[1 + i] = &x[i];
        }
        cr_assert_eq(run_at(1, ops[k], 0.1, 0.9, operands, n[k], &error), VB_OK, "%s", error.text);
        for (uint32_t i = 0; i < 4; i++) {
            cr_assert_eq(get(&x[i], 1), 5);
            drop_operand(&x[i]);
        }
    }
    drop_operand(&found);
}

Test(update, decay_and_clip)
{
    struct vb_error error = { "" };
    struct operand none = not_given, parameter = drawn(-2, 2), norm = scalar(4), small = scalar(2);
    double p = get(&parameter, 3), q = get(&parameter, 3);
    cr_assert_eq(RUN(VB_OP_DECAY, 0.75, 0, &none, &parameter), VB_OK, "%s", error.text);
    cr_assert(is_near(&parameter, 3, p * 0.75));
    cr_assert_eq(RUN(VB_OP_CLIP, 3, 0, &small, &parameter), VB_OK, "%s", error.text);
    cr_assert(is_near(&parameter, 3, p * 0.75));
    cr_assert_eq(RUN(VB_OP_CLIP, 3, 0, &norm, &parameter), VB_OK, "%s", error.text);
    cr_assert(is_near(&parameter, 3, q * 0.75 * 3 / (4 + 1e-6)));
    struct operand *all[] = { &parameter, &norm, &small };
    drop_all(all, 3);
}

Test(update, gradients_are_unscaled_and_looked_at)
{
    static const double values[] = { 1, INFINITY, -INFINITY, NAN };
    for (size_t k = 0; k < 4; k++) {
        struct vb_error error = { "" };
        struct operand inverse = scalar(0.25), gradient = drawn(-1, 1), found = scalar(0);
        double g = get(&gradient, 0);
        set(&gradient, SIZE - 2, values[k]);
        cr_assert_eq(RUN(VB_OP_UNSCALE, 0, 0, &inverse, &gradient, &found), VB_OK, "%s",
                     error.text);
        cr_assert_eq(get(&found, 0), k > 0);
        cr_assert_eq(get(&gradient, 0), g * 0.25);
        cr_assert(is_close(&gradient, SIZE - 2, values[k] * 0.25, 0));
        struct operand *all[] = { &inverse, &gradient, &found };
        drop_all(all, 3);
    }
}

Test(update, the_scale_halves_and_doubles)
{
    static const struct {
        double found, steps, scale, steps_after, scale_after;
    } cases[] = {
        { 1, 7, 64, 0, 32 },
        { 0, 7, 64, 8, 64 },
        { 0, 8, 64, 9, 64 },
        { 0, 9, 64, 0, 128 },
    };
    for (size_t k = 0; k < 4; k++) {
        struct vb_error error = { "" };
        struct operand found = scalar(cases[k].found), steps = scalar(cases[k].steps);
        struct operand scale = scalar(cases[k].scale);
        cr_assert_eq(RUN(VB_OP_RESCALE, 10, 0, &found, &steps, &scale), VB_OK, "%s", error.text);
        cr_assert_eq(get(&steps, 0), cases[k].steps_after);
        cr_assert_eq(get(&scale, 0), cases[k].scale_after);
        struct operand *all[] = { &found, &steps, &scale };
        drop_all(all, 3);
    }
}

Test(update, the_average_follows)
{
    struct vb_error error = { "" };
    struct operand parameter = drawn(-2, 2), product = drawn(0, 1), average = drawn(-2, 2);
    struct operand *operands[] = { &parameter, &product, &average };
    double p = get(&parameter, 5), before = get(&average, 5);
    double decay = 0.9999 * (1 - exp(-7.0 / 2000));
    cr_assert_eq(run_at(7, VB_OP_EMA, 0.9999, 2000, operands, 3, &error), VB_OK, "%s", error.text);
    cr_assert(is_near(&product, 5, (1 - decay) * p));
    cr_assert(is_near(&average, 5, decay * before + (1 - decay) * p));
    drop_all(operands, 3);
}

/* As they lie, of any type, and one number for all. */
Test(update, of_any_type_and_strides)
{
    static const enum vb_dtype dtypes[] = { VB_FLOAT32, VB_FLOAT16, VB_BFLOAT16 };
    for (uint32_t k = 0; k < 3 * N_LIES * 2; k++) {
        struct vb_error error = { "" };
        const enum vb_dtype dtype = dtypes[k % 3];
        const enum lies lies = (enum lies)(k / 3 % N_LIES);
        struct operand parameter = new_operand(dtype, SHAPE(16, 24), IN_ORDER);
        struct operand product = new_operand(VB_FLOAT32, SHAPE(16, 24), lies);
        struct operand average = new_operand(dtype, SHAPE(16, 24), lies);
        struct operand one = new_operand(dtype, SCALAR, IN_ORDER);
        struct operand *from = k / 9 == 0 ? &parameter : &one;
        struct operand *operands[] = { from, &product, &average };
        double before[16 * 24], decay = 0.9 * (1 - exp(-7.0 / 10));
        set_random(&parameter, -2, 2);
        set_random(&average, -2, 2);
        set(&one, 0, 1.5);
        for (size_t i = 0; i < 16 * 24; i++)
            before[i] = get(&average, i);
        cr_assert_eq(run_at(7, VB_OP_EMA, 0.9, 10, operands, 3, &error), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 16 * 24; i++) {
            double p = (1 - decay) * get(from, from == &one ? 0 : i);
            cr_assert(is_near(&product, i, p));
            cr_assert(is_near(&average, i, decay * before[i] + p));
        }
        struct operand *all[] = { &parameter, &product, &average, &one };
        drop_all(all, 4);
    }
}

Test(update, operands_that_do_not_go_together_are_refused)
{
    struct vb_error error = { "" };
    struct operand none = not_given, x = new_operand(VB_FLOAT32, SHAPE(4), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(3), IN_ORDER);
    struct operand whole = new_operand(VB_INT64, SHAPE(4), IN_ORDER);
    cr_assert_eq(RUN(VB_OP_SGD, 0, 0, &none, &x, &y, &x, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_SGD, 0, 0, &none, &x, &x, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_SGD, 0, 0, &none, &x, &none, &x, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_EMA, 0, 0, &x, &x, &whole), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_UNSCALE, 0, 0, &x, &x, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_RESCALE, 0, 0, &x, &x, &x), VB_E_DEVICE);
    struct operand *all[] = { &x, &y, &whole };
    drop_all(all, 3);
}
