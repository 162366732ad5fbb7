/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/operands.h"

static const struct reduction {
    char label[40];
    struct vb_shape x, y;
} reductions[] = {
    { "everything", { 4, { 3, 5, 7, 9 } }, { 0, { 0 } } },
    { "everything, kept as axes", { 2, { 3, 5 } }, { 2, { 1, 1 } } },
    { "channels stay", { 4, { 2, 70, 5, 3 } }, { 3, { 70, 1, 1 } } },
    { "the last axis goes", { 3, { 4, 6, 33 } }, { 3, { 4, 6, 1 } } },
    { "the first axes go", { 3, { 4, 6, 33 } }, { 1, { 33 } } },
    { "a middle axis goes", { 3, { 4, 6, 33 } }, { 3, { 4, 1, 33 } } },
    { "every second axis goes", { 5, { 3, 2, 4, 5, 3 } }, { 5, { 1, 2, 1, 5, 1 } } },
    { "nothing goes", { 2, { 5, 6 } }, { 2, { 5, 6 } } },
    { "many in chunks", { 2, { 1031, 129 } }, { 0, { 0 } } },
    { "many rows", { 2, { 2053, 67 } }, { 2, { 2053, 1 } } },
    { "many columns", { 2, { 2053, 67 } }, { 1, { 67 } } },
    { "one element", { 1, { 1 } }, { 0, { 0 } } },
    { "no results", { 2, { 0, 5 } }, { 2, { 0, 1 } } },
    { "sums of nothing", { 2, { 3, 0 } }, { 2, { 3, 1 } } },
};
enum { N_REDUCTIONS = sizeof reductions / sizeof *reductions };

/* The plain way, one element after the other. */
static void reduce(enum vb_operator op, const struct operand *x, const struct operand *y,
                   double *out)
{
    size_t n = elements_of(y), in = elements_of(x);
    for (size_t i = 0; i < n; i++)
        out[i] = op == VB_OP_MAX_OF ? -INFINITY : 0;
    for (size_t i = 0; i < in; i++) {
        double value = get(x, i), *sum = &out[broadcast(y, &x->view.shape, i)];
        if (op == VB_OP_MAX_OF)
            *sum = fmax(*sum, value);
        else
            *sum += op == VB_OP_NORM ? value * value : value;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = op == VB_OP_NORM ? sqrt(out[i]) : out[i];
        out[i] = op == VB_OP_MEAN ? out[i] / ((double)in / (double)n) : out[i];
    }
}

static void try_reduction(const struct reduction *r, enum vb_operator op, enum vb_dtype from,
                          enum vb_dtype to, enum lies lies)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(from, r->x, lies), y[2];
    set_random(&x, from == VB_BOOL ? 0 : -5, from == VB_BOOL ? 2 : 9);
    double *expected = calloc(elements_of(&x) + 5, sizeof *expected);
    for (uint32_t k = 0; k < 2; k++) {
        struct operand *operands[] = { &x, &y[k] };
        y[k] = new_operand(to, r->y, k == 0 ? lies : IN_ORDER);
        enum vb_status status = run(op, (struct numbers){ 0 }, operands, 2, k + 1, &error);
        cr_assert_eq(status, VB_OK, "%s: %s", r->label, error.text);
        reduce(op, &x, &y[k], expected);
        for (size_t i = 0; i < elements_of(&y[k]); i++) {
            double slack = 1e-6 * (double)elements_of(&x) / (double)elements_of(&y[k]) * 5;
            cr_assert(is_close(&y[k], i, expected[i], to < VB_FLOAT16 ? 0 : 1e-2 * slack),
                      "%s %s %s [%zu]: %.9g for %.9g", vb_operator_names[op], r->label,
                      lies_names[lies], i, get(&y[k], i), expected[i]);
            cr_assert(get(&y[0], i) == get(&y[k], i) || isnan(get(&y[k], i)));
        }
    }
    drop_operand(&x);
    drop_operand(&y[0]);
    drop_operand(&y[1]);
    free(expected);
}

Test(reduce, sums_means_norms_and_the_largest)
{
    static const enum vb_operator ops[] = { VB_OP_SUM, VB_OP_MEAN, VB_OP_NORM, VB_OP_MAX_OF };
    static const enum vb_dtype types[] = { VB_FLOAT32, VB_FLOAT16, VB_BFLOAT16 };
    for (size_t i = 0; i < N_REDUCTIONS; i++) {
        for (uint32_t k = 0; k < 4 * 3 * N_LIES; k++) {
            enum vb_dtype type = types[k / 4 % 3];
            bool is_empty = reductions[i].x.n_dims == 2 && reductions[i].x.dims[1] == 0;
            bool is_large = reductions[i].x.dims[0] > 1000; /* tried in fp32 alone */
            if ((ops[k % 4] == VB_OP_MAX_OF && is_empty) || (is_large && type != VB_FLOAT32))
                continue;
            try_reduction(&reductions[i], ops[k % 4], type, type, (enum lies)(k / 12));
        }
    }
}

Test(reduce, whole_numbers_are_summed_exactly)
{
    for (size_t i = 0; i < N_REDUCTIONS; i++) {
        for (uint32_t lies = 0; lies < N_LIES && reductions[i].x.dims[0] < 2000; lies++) {
            try_reduction(&reductions[i], VB_OP_SUM, VB_BOOL, VB_INT64, (enum lies)lies);
            try_reduction(&reductions[i], VB_OP_SUM, VB_INT64, VB_INT64, (enum lies)lies);
            try_reduction(&reductions[i], VB_OP_SUM, VB_BOOL, VB_FLOAT32, (enum lies)lies);
            if (reductions[i].x.n_dims < 2 || reductions[i].x.dims[1] > 0)
                try_reduction(&reductions[i], VB_OP_MAX_OF, VB_INT64, VB_INT64, (enum lies)lies);
        }
    }
}

Test(reduce, what_is_no_number_stays_none)
{
    static const enum vb_operator ops[] = { VB_OP_SUM, VB_OP_MEAN, VB_OP_NORM, VB_OP_MAX_OF };
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 4; k++) {
        struct operand x = new_operand(VB_FLOAT32, SHAPE(4, 5), IN_ORDER);
        struct operand y = new_operand(VB_FLOAT32, SHAPE(4, 1), IN_ORDER);
        set_random(&x, -1, 1);
        set(&x, 7, NAN);
        cr_assert_eq(RUN(ops[k], 0, 0, &x, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 4; i++)
            cr_assert_eq(isnan(get(&y, i)) != 0, i == 1);
        drop_operand(&x);
        drop_operand(&y);
    }
}

Test(reduce, the_first_of_the_largest)
{
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 2 * N_LIES; k++) {
        struct operand x =
            new_operand(k % 2 == 0 ? VB_FLOAT32 : VB_INT64, SHAPE(3, 17, 70), (enum lies)(k / 2));
        struct operand y = new_operand(VB_INT64, SHAPE(3, 1, 70), IN_ORDER);
        set_random(&x, -6, 6);
        cr_assert_eq(RUN(VB_OP_ARGMAX, 0, 0, &x, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 210; i++) {
            size_t best = 0, first = i / 70 * 17 * 70 + i % 70;
            for (size_t at = 1; at < 17; at++)
                best = get(&x, first + at * 70) > get(&x, first + best * 70) ? at : best;
            cr_assert_eq(get(&y, i), (double)best);
        }
        drop_operand(&x);
        drop_operand(&y);
    }
}

Test(reduce, the_first_of_the_largest_of_many)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(5, 3001), IN_ORDER);
    struct operand y = new_operand(VB_INT64, SHAPE(5, 1), IN_ORDER);
    for (size_t i = 0; i < elements_of(&x); i++)
        set(&x, i, random_below(9)); /* many are equal */
    cr_assert_eq(RUN(VB_OP_ARGMAX, 0, 0, &x, &y), VB_OK, "%s", error.text);
    for (size_t row = 0; row < 5; row++) {
        size_t best = 0;
        for (size_t at = 1; at < 3001; at++)
            best = get(&x, row * 3001 + at) > get(&x, row * 3001 + best) ? at : best;
        cr_assert_eq(get(&y, row), (double)best);
    }
    drop_operand(&x);
    drop_operand(&y);
}

Test(reduce, along_the_last_axis_and_of_one)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(2, 4), IN_ORDER);
    struct operand y = new_operand(VB_INT64, SHAPE(2, 1), IN_ORDER);
    struct operand all = new_operand(VB_INT64, SHAPE(2, 4), IN_ORDER);
    set_all(&x, (double[]){ 1, 5, 5, 2, 7, NAN, 9, NAN });
    cr_assert_eq(RUN(VB_OP_ARGMAX, 0, 0, &x, &y), VB_OK, "%s", error.text);
    cr_assert_eq(get(&y, 0), 1);
    cr_assert_eq(get(&y, 1), 1); /* no number is larger than any */
    cr_assert_eq(RUN(VB_OP_ARGMAX, 0, 0, &x, &all), VB_OK, "%s", error.text);
    cr_assert_eq(get(&all, 5), 0);
    drop_operand(&x);
    drop_operand(&y);
    drop_operand(&all);
}

Test(reduce, operands_that_do_not_go_together_are_refused)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(3, 4), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(3), IN_ORDER);
    struct operand whole = new_operand(VB_INT64, SHAPE(3, 4), IN_ORDER);
    struct operand one = new_operand(VB_INT64, SCALAR, IN_ORDER);
    struct operand empty = new_operand(VB_FLOAT32, SHAPE(3, 0), IN_ORDER);
    struct operand results = new_operand(VB_FLOAT32, SHAPE(3, 1), IN_ORDER);
    struct operand places = new_operand(VB_INT64, SHAPE(3, 1), IN_ORDER);
    cr_assert_eq(RUN(VB_OP_SUM, 0, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_SUM, 0, 0, &y, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_MEAN, 0, 0, &whole, &one), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_ARGMAX, 0, 0, &x, &one), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_ARGMAX, 0, 0, &x, &results), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_MAX_OF, 0, 0, &empty, &results), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_ARGMAX, 0, 0, &empty, &places), VB_E_DEVICE);
    struct operand *all[] = { &x, &y, &whole, &one, &empty, &results, &places };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        drop_operand(all[i]);
}
