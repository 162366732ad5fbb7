/* SPDX-License-Identifier: Apache-2.0 */
/* Operators along the last axis: softmax.c, products.c, top_k.c, scatter.c, claims.c. */
#include "cpu/operands.h"

static const enum vb_dtype floats[] = { VB_FLOAT32, VB_FLOAT16, VB_BFLOAT16 };
static const uint32_t lengths[] = { 1, 2, 16, 80, 1000, 2500 };
enum { N_LENGTHS = 6, ROWS = 6 };

/* Of the row of x that begins at `first`. */
static double softmax_of(const struct operand *x, size_t first, size_t n, size_t i, bool log_of)
{
    double sum = 0, largest = -INFINITY;
    for (size_t k = 0; k < n; k++)
        largest = fmax(largest, get(x, first + k));
    for (size_t k = 0; k < n; k++)
        sum += exp(get(x, first + k) - largest);
    double value = get(x, first + i) - largest;
    return log_of ? value - log(sum) : exp(value) / sum;
}

Test(lines, softmax_and_its_logarithm)
{
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < N_LENGTHS * 3 * N_LIES * 2; k++) {
        size_t n = lengths[k % N_LENGTHS];
        bool log_of = k >= N_LENGTHS * 3 * N_LIES;
        enum vb_operator op = log_of ? VB_OP_LOG_SOFTMAX : VB_OP_SOFTMAX;
        enum lies lies = (enum lies)(k / N_LENGTHS / 3 % N_LIES);
        struct operand x = new_operand(floats[k / N_LENGTHS % 3], SHAPE(2, 3, (uint32_t)n), lies);
        struct operand y = new_operand(VB_FLOAT32, SHAPE(2, 3, (uint32_t)n), lies);
        set_random(&x, -90, 90);
        cr_assert_eq(RUN(op, 0, 0, &x, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < ROWS * n; i += 1 + n / 9) {
            double expected = softmax_of(&x, i / n * n, n, i % n, log_of);
            cr_assert(is_close(&y, i, expected, 1e-37), "%zu: %g for %g", i, get(&y, i), expected);
        }
        drop_operand(&x);
        drop_operand(&y);
    }
}

static double backward_of(const struct operand *g, const struct operand *y, size_t first, size_t n,
                          size_t i, bool log_of)
{
    double sum = 0, mine = get(y, first + i);
    for (size_t k = 0; k < n; k++)
        sum += get(g, first + k) * (log_of ? 1 : get(y, first + k));
    return log_of ? get(g, first + i) - exp(mine) * sum : mine * (get(g, first + i) - sum);
}

Test(lines, their_gradients)
{
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < N_LENGTHS * 3 * N_LIES * 2; k++) {
        size_t n = lengths[k % N_LENGTHS];
        bool log_of = k >= N_LENGTHS * 3 * N_LIES;
        enum vb_operator op = log_of ? VB_OP_LOG_SOFTMAX_BACKWARD : VB_OP_SOFTMAX_BACKWARD;
        enum lies lies = (enum lies)(k / N_LENGTHS / 3 % N_LIES);
        struct vb_shape shape = SHAPE(3, 2, (uint32_t)n);
        struct operand g = new_operand(floats[k / N_LENGTHS % 3], shape, lies);
        struct operand y = new_operand(VB_FLOAT32, shape, IN_ORDER);
        struct operand x = new_operand(VB_FLOAT32, shape, lies);
        set_random(&g, -2, 2);
        set_random(&y, log_of ? -5 : 0, log_of ? 0 : 1);
        cr_assert_eq(RUN(op, 0, 0, &g, &y, &x), VB_OK, "%s", error.text);
        for (size_t i = 0; i < ROWS * n; i += 1 + n / 9) {
            double expected = backward_of(&g, &y, i / n * n, n, i % n, log_of);
            cr_assert(is_close(&x, i, expected, 3e-7 * (1 + (double)n)), "%s %u %zu: %g for %g",
                      vb_operator_names[op], k, i, get(&x, i), expected);
        }
        drop_operand(&g);
        drop_operand(&y);
        drop_operand(&x);
    }
}

Test(lines, a_vector_is_multiplied)
{
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < N_LENGTHS * 3; k++) {
        uint32_t n = lengths[k % N_LENGTHS];
        struct operand x = new_operand(floats[k / N_LENGTHS], SHAPE(2, 3, n), BACKWARDS);
        struct operand z = new_operand(floats[k / N_LENGTHS], SHAPE(n), WITH_GAPS);
        struct operand y = new_operand(floats[k / N_LENGTHS], SHAPE(2, 3), IN_ORDER);
        set_random(&x, 0, 1);
        set_random(&z, 0, 1);
        cr_assert_eq(RUN(VB_OP_MATVEC, 0, 0, &x, &z, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < ROWS; i++) {
            double sum = 0;
            for (size_t at = 0; at < n; at++)
                sum += get(&x, i * n + at) * get(&z, at);
            cr_assert(is_close(&y, i, sum, 0));
        }
        drop_operand(&x);
        drop_operand(&z);
        drop_operand(&y);
    }
}

Test(lines, what_a_class_costs)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(5, 7), WITH_GAPS);
    struct operand target = new_operand(VB_INT64, SHAPE(5), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(5), IN_ORDER);
    struct operand mean = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
    struct operand dx = new_operand(VB_FLOAT32, SHAPE(5, 7), BACKWARDS);
    double sum = 0;
    set_random(&x, -9, 0);
    set_all(&target, (double[]){ 0, 6, 3, 3, 1 });
    cr_assert_eq(RUN(VB_OP_NLL, 0, 0, &x, &target, &y), VB_OK, "%s", error.text);
    cr_assert_eq(RUN(VB_OP_NLL, 0, 0, &x, &target, &mean), VB_OK, "%s", error.text);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(get(&y, i), -get(&x, i * 7 + (size_t)get(&target, i)));
        sum += get(&y, i);
    }
    cr_assert(is_close(&mean, 0, sum / 5, 0));
    cr_assert_eq(RUN(VB_OP_NLL_BACKWARD, 0, 0, &y, &target, &dx), VB_OK, "%s", error.text);
    for (size_t i = 0; i < 35; i++)
        cr_assert_eq(get(&dx, i), i % 7 == (size_t)get(&target, i / 7) ? -get(&y, i / 7) : 0);
    cr_assert_eq(RUN(VB_OP_NLL_BACKWARD, 0, 0, &mean, &target, &dx), VB_OK, "%s", error.text);
    for (size_t i = 0; i < 35; i++)
        cr_assert(
            is_close(&dx, i, i % 7 == (size_t)get(&target, i / 7) ? -get(&mean, 0) / 5 : 0, 0));
    set(&target, 2, 7);
    cr_assert_eq(RUN(VB_OP_NLL, 0, 0, &x, &target, &y), VB_E_DEVICE);
    cr_assert_str_eq(error.text, SAID("nll_loss in 'model.0' goes to place 7 of 7: "
                                      "[5,7] fp32, [5] int64, [5] fp32",
                                      "goes to place"));
    set(&target, 2, -1);
    cr_assert_eq(RUN(VB_OP_NLL_BACKWARD, 0, 0, &y, &target, &dx), VB_E_DEVICE);
    struct operand *all[] = { &x, &target, &y, &mean, &dx };
    for (size_t i = 0; i < 5; i++)
        drop_operand(all[i]);
}

static void try_top(uint32_t rows, uint32_t n, uint32_t top, enum vb_dtype type, enum lies lies)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(type, SHAPE(rows, n), lies);
    struct operand values = new_operand(type, SHAPE(rows, top), lies);
    struct operand places = new_operand(VB_INT64, SHAPE(rows, top), lies);
    for (size_t i = 0; i < elements_of(&x); i++)
        set(&x, i, random_below(40)); /* many are equal */
    cr_assert_eq(RUN(VB_OP_TOP_K, 0, 0, &x, &values, &places), VB_OK, "%s", error.text);
    bool *taken = malloc(n);
    for (size_t row = 0; row < rows; row++) {
        memset(taken, 0, n);
        for (size_t i = 0; i < top; i++) {
            size_t best = n;
            for (size_t at = 0; at < n; at++) {
                if (!taken[at] && (best == n || get(&x, row * n + at) > get(&x, row * n + best)))
                    best = at;
            }
            taken[best] = true;
            cr_assert_eq(get(&places, row * top + i), (double)best);
            cr_assert_eq(get(&values, row * top + i), get(&x, row * n + best));
        }
    }
    free(taken);
    drop_operand(&x);
    drop_operand(&values);
    drop_operand(&places);
}

Test(lines, the_largest_come_first)
{
    static const uint32_t ks[] = { 1, 3, 10, 97 };
    for (uint32_t k = 0; k < 4 * N_LIES * 2; k++)
        try_top(300, 97, ks[k % 4], k < 12 ? VB_FLOAT32 : VB_FLOAT16, (enum lies)(k / 4 % N_LIES));
    for (uint32_t k = 0; k < N_LIES; k++)
        try_top(2, 3001, 13, VB_FLOAT32, (enum lies)k);
}

Test(lines, numbers_go_to_their_places)
{
    static const enum vb_dtype types[] = { VB_FLOAT32, VB_FLOAT16, VB_INT64 };
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 3 * N_LIES; k++) {
        enum lies lies = (enum lies)(k / 3);
        struct operand places = new_operand(VB_INT64, SHAPE(4, 3, 5), lies);
        struct operand z = new_operand(types[k % 3], SHAPE(4, 3, 5), lies);
        struct operand y = new_operand(types[k % 3], SHAPE(4, 3, 8), lies);
        double expected[96];
        set_random(&places, 0, 8);
        set_random(&y, 0, 9);
        for (size_t i = 0; i < elements_of(&z); i++)
            set(&z, i, random_below(20));
        for (size_t i = 0; i < 96; i++)
            expected[i] = floor(get(&y, i));
        set_all(&y, expected);
        for (size_t i = 0; i < 60; i++)
            expected[i / 5 * 8 + (size_t)get(&places, i)] += get(&z, i);
        cr_assert_eq(RUN(VB_OP_SCATTER_ADD, 0, 0, &places, &z, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 96; i++)
            cr_assert_eq(get(&y, i), expected[i]);
        for (size_t i = 0; i < 60; i++)
            expected[i / 5 * 8 + (size_t)get(&places, i)] = 3;
        cr_assert_eq(RUN(VB_OP_SCATTER, 3, 0, &places, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 96; i++)
            cr_assert_eq(get(&y, i), expected[i]);
        set(&places, 59, 8);
        cr_assert_eq(RUN(VB_OP_SCATTER, 3, 0, &places, &y), VB_E_DEVICE);
        cr_assert_eq(RUN(VB_OP_SCATTER_ADD, 0, 0, &places, &z, &y), VB_E_DEVICE);
        drop_operand(&places);
        drop_operand(&z);
        drop_operand(&y);
    }
}

/* The plain way: of a place that more than one has, all lose it but the first of the best. */
static void resolve(const struct operand *overlaps, double *claims, size_t k, size_t n, size_t at)
{
    size_t best = 0, count = 0;
    for (size_t i = 0; i < k; i++) {
        best = get(overlaps, at + i * n) > get(overlaps, at + best * n) ? i : best;
        count += claims[at + i * n] != 0;
    }
    for (size_t i = 0; i < k && count > 1; i++)
        claims[at + i * n] = i == best;
}

Test(lines, claims_go_to_the_best)
{
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 2 * N_LIES; k++) {
        enum vb_dtype type = k < N_LIES ? VB_FLOAT32 : VB_FLOAT16;
        struct operand overlaps = new_operand(type, SHAPE(3, 5, 131), IN_ORDER);
        struct operand claims = new_operand(type, SHAPE(3, 5, 131), (enum lies)(k % N_LIES));
        double expected[3 * 5 * 131];
        for (size_t i = 0; i < 3 * 5 * 131; i++) {
            set(&overlaps, i, random_below(4));
            set(&claims, i, expected[i] = random_below(3) == 0);
        }
        for (size_t i = 0; i < 3 * 131; i++)
            resolve(&overlaps, expected, 5, 131, i / 131 * 5 * 131 + i % 131);
        cr_assert_eq(RUN(VB_OP_RESOLVE_CLAIMS, 0, 0, &overlaps, &claims), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 3 * 5 * 131; i++)
            cr_assert_eq(get(&claims, i), expected[i]);
        drop_operand(&overlaps);
        drop_operand(&claims);
    }
}

Test(lines, operands_that_do_not_go_together_are_refused)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(3, 4), IN_ORDER);
    struct operand other = new_operand(VB_FLOAT32, SHAPE(3, 5), IN_ORDER);
    struct operand vector = new_operand(VB_FLOAT32, SHAPE(3), IN_ORDER);
    struct operand whole = new_operand(VB_INT64, SHAPE(3, 5), IN_ORDER);
    struct operand one = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
    cr_assert_eq(RUN(VB_OP_SOFTMAX, 0, 0, &x, &other), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_SOFTMAX, 0, 0, &one, &one), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_SOFTMAX, 0, 0, &other, &whole), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_SOFTMAX_BACKWARD, 0, 0, &x, &x, &other), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_MATVEC, 0, 0, &x, &vector, &vector), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_TOP_K, 0, 0, &x, &other, &whole), VB_E_DEVICE); /* 5 of 4 */
    cr_assert_eq(RUN(VB_OP_TOP_K, 0, 0, &x, &x, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_SCATTER, 0, 0, &x, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_RESOLVE_CLAIMS, 0, 0, &x, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_NLL, 0, 0, &x, &vector, &vector), VB_E_DEVICE);
    struct operand *all[] = { &x, &other, &vector, &whole, &one };
    for (size_t i = 0; i < 5; i++)
        drop_operand(all[i]);
}
