/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/operands.h"

enum { X_SIZE = 3 * 4 * 5 * 6 };

/* Rows of x [3,4,5,6] by `n` indices of shape [2,7]. */
struct rows {
    struct operand x, y, indices[4];
    struct operand *operands[6];
    size_t n_rows, row;
    uint32_t n;
};

static struct rows new_rows(uint32_t n, enum vb_dtype dtype, enum lies lies)
{
    static const uint32_t dims[] = { 3, 4, 5, 6 };
    struct rows rows = { .x = new_operand(dtype, SHAPE(3, 4, 5, 6), lies), .n_rows = 14, .n = n };
    struct vb_shape shape = SHAPE(2, 7);
    rows.row = 1;
    for (uint32_t i = n; i < 4; i++) {
        shape.dims[shape.n_dims++] = dims[i];
        rows.row *= dims[i];
    }
    rows.y = new_operand(dtype, shape, lies);
    for (size_t i = 0; i < X_SIZE; i++)
        set(&rows.x, i, dtype == VB_BOOL ? random_below(2) : random_below(100));
    for (size_t i = 0; i < elements_of(&rows.y); i++)
        set(&rows.y, i, dtype == VB_BOOL ? random_below(2) : random_below(100));
    for (uint32_t k = 0; k < n; k++) {
        rows.indices[k] = new_operand(VB_INT64, SHAPE(2, 7), lies);
        set_random(&rows.indices[k], 0, dims[k]);
    }
    return rows;
}

static void drop_rows(struct rows *rows)
{
    drop_operand(&rows->x);
    drop_operand(&rows->y);
    for (uint32_t i = 0; i < rows->n; i++)
        drop_operand(&rows->indices[i]);
}

static size_t first_of(const struct rows *rows, size_t row)
{
    static const size_t dims[] = { 3, 4, 5, 6 };
    size_t at = 0;
    for (uint32_t i = 0; i < rows->n; i++)
        at = at * dims[i] + (size_t)get(&rows->indices[i], row);
    return at * rows->row;
}

static enum vb_status run_rows(struct rows *rows, enum vb_operator op, struct vb_error *error)
{
    bool reads = op == VB_OP_INDEX;
    rows->operands[0] = reads ? &rows->x : &rows->y;
    for (uint32_t i = 0; i < rows->n; i++)
        rows->operands[1 + i] = &rows->indices[i];
    rows->operands[1 + rows->n] = reads ? &rows->y : &rows->x;
    return run(op, (struct numbers){ 0 }, rows->operands, rows->n + 2, 2, error);
}

static void try_rows(uint32_t n, enum vb_dtype dtype, enum lies lies)
{
    struct vb_error error = { "" };
    double expected[X_SIZE];
    struct rows rows = new_rows(n, dtype, lies);
    for (size_t i = 0; i < X_SIZE; i++)
        expected[i] = get(&rows.x, i);
    cr_assert_eq(run_rows(&rows, VB_OP_INDEX, &error), VB_OK, "%s", error.text);
    for (size_t i = 0; i < rows.n_rows * rows.row; i++)
        cr_assert_eq(get(&rows.y, i), expected[first_of(&rows, i / rows.row) + i % rows.row]);
    for (size_t i = 0; i < rows.n_rows * rows.row; i++) {
        set(&rows.y, i, dtype == VB_BOOL ? random_below(2) : random_below(5));
        expected[first_of(&rows, i / rows.row) + i % rows.row] = get(&rows.y, i);
    }
    cr_assert_eq(run_rows(&rows, VB_OP_INDEX_PUT, &error), VB_OK, "%s", error.text);
    for (size_t i = 0; i < X_SIZE; i++)
        cr_assert_eq(get(&rows.x, i), expected[i]);
    for (size_t i = 0; i < rows.n_rows * rows.row && dtype != VB_BOOL; i++)
        expected[first_of(&rows, i / rows.row) + i % rows.row] += get(&rows.y, i);
    if (dtype != VB_BOOL)
        cr_assert_eq(run_rows(&rows, VB_OP_INDEX_ADD, &error), VB_OK, "%s", error.text);
    for (size_t i = 0; i < X_SIZE; i++)
        cr_assert_eq(get(&rows.x, i), expected[i]);
    drop_rows(&rows);
}

Test(index, rows_are_read_put_and_added)
{
    static const enum vb_dtype types[] = { VB_FLOAT32, VB_FLOAT16, VB_BFLOAT16,
                                           VB_INT64,   VB_UINT8,   VB_BOOL };
    for (uint32_t k = 0; k < 4 * 6 * N_LIES; k++)
        try_rows(1 + k % 4, types[k / 4 % 6], (enum lies)(k / 24));
}

Test(index, rows_of_another_type_are_converted)
{
    static const enum vb_dtype types[] = { VB_INT64, VB_UINT8, VB_BOOL };
    struct vb_error error = { "" };
    for (uint32_t t = 0; t < 3; t++) {
        struct operand z = new_operand(VB_FLOAT32, SHAPE(20, 3), IN_ORDER);
        struct operand i = new_operand(VB_INT64, SHAPE(20), IN_ORDER);
        struct operand y = new_operand(types[t], SHAPE(4, 3), BACKWARDS);
        struct operand read = new_operand(VB_INT64, SHAPE(20, 3), IN_ORDER);
        double expected[4 * 3];
        set_random(&i, 0, 4);
        for (size_t k = 0; k < 4 * 3; k++) {
            expected[k] = random_below(2);
            set(&y, k, expected[k]);
        }
        for (size_t k = 0; k < 20 * 3; k++) {
            set(&z, k, random_below(3));
            expected[(size_t)get(&i, k / 3) * 3 + k % 3] += get(&z, k);
        }
        cr_assert_eq(RUN(VB_OP_INDEX_ADD, 0, 0, &z, &i, &y), VB_OK, "%s", error.text);
        for (size_t k = 0; k < 4 * 3; k++)
            cr_assert_eq(get(&y, k), types[t] == VB_BOOL ? expected[k] != 0 : expected[k]);
        cr_assert_eq(RUN(VB_OP_INDEX, 0, 0, &y, &i, &read), VB_OK, "%s", error.text);
        for (size_t k = 0; k < 20 * 3; k++)
            cr_assert_eq(get(&read, k), get(&y, (size_t)get(&i, k / 3) * 3 + k % 3));
        drop_operand(&z);
        drop_operand(&i);
        drop_operand(&y);
        drop_operand(&read);
    }
}

Test(index, places_outside_are_refused)
{
    static const enum vb_operator ops[] = { VB_OP_INDEX, VB_OP_INDEX_PUT, VB_OP_INDEX_ADD };
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 3; k++) {
        struct rows rows = new_rows(2, VB_FLOAT32, WITH_GAPS);
        set(&rows.indices[1], 13, 4);
        cr_assert_eq(run_rows(&rows, ops[k], &error), VB_E_DEVICE);
        cr_assert_not_null(strstr(error.text, SAID("goes to place 4 of 4", "goes to place")), "%s",
                           error.text);
        set(&rows.indices[1], 13, -1);
        cr_assert_eq(run_rows(&rows, ops[k], &error), VB_E_DEVICE);
        drop_rows(&rows);
    }
}

Test(index, of_many_rows_at_one_place_the_last_stays)
{
    enum { PICKS = 1000, ROWS = 40, ROW = 3 };
    struct vb_error error = { "" };
    struct operand z = new_operand(VB_FLOAT16, SHAPE(PICKS, ROW), WITH_GAPS);
    struct operand i = new_operand(VB_INT64, SHAPE(PICKS), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(ROWS, ROW), BACKWARDS);
    double expected[ROWS * ROW], sums[ROWS * ROW];
    set_random(&i, 0, ROWS);
    set_random(&y, 0, 1);
    for (size_t k = 0; k < ROWS * ROW; k++)
        expected[k] = get(&y, k);
    for (size_t k = 0; k < PICKS * ROW; k++) {
        set(&z, k, random_below(1000));
        expected[(size_t)get(&i, k / ROW) * ROW + k % ROW] = get(&z, k);
    }
    cr_assert_eq(RUN(VB_OP_INDEX_PUT, 0, 0, &z, &i, &y), VB_OK, "%s", error.text);
    for (size_t k = 0; k < ROWS * ROW; k++)
        cr_assert_eq(get(&y, k), sums[k] = expected[k]);
    for (size_t k = 0; k < PICKS * ROW; k++)
        sums[(size_t)get(&i, k / ROW) * ROW + k % ROW] += get(&z, k);
    cr_assert_eq(RUN(VB_OP_INDEX_ADD, 0, 0, &z, &i, &y), VB_OK, "%s", error.text);
    for (size_t k = 0; k < ROWS * ROW; k++)
        cr_assert(is_close(&y, k, sums[k], 0));
    drop_operand(&z);
    drop_operand(&i);
    drop_operand(&y);
}

Test(index, one_number_is_put_everywhere)
{
    struct vb_error error = { "" };
    struct operand z = new_operand(VB_FLOAT32, SCALAR, IN_ORDER);
    struct operand i = new_operand(VB_INT64, SHAPE(2), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(4, 3), IN_ORDER);
    set(&z, 0, 7);
    set_all(&i, (double[]){ 3, 1 });
    set_random(&y, 0, 1);
    cr_assert_eq(RUN(VB_OP_INDEX_PUT, 0, 0, &z, &i, &y), VB_OK, "%s", error.text);
    for (size_t k = 0; k < 12; k++)
        cr_assert_eq(get(&y, k) == 7, k / 3 == 1 || k / 3 == 3);
    drop_operand(&z);
    drop_operand(&i);
    drop_operand(&y);
}

Test(index, no_rows_at_all)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(4, 3), IN_ORDER);
    struct operand i = new_operand(VB_INT64, SHAPE(0), IN_ORDER);
    struct operand y = new_operand(VB_FLOAT32, SHAPE(0, 3), IN_ORDER);
    struct operand wrong = new_operand(VB_FLOAT32, SHAPE(0, 4), IN_ORDER);
    cr_assert_eq(RUN(VB_OP_INDEX, 0, 0, &x, &i, &y), VB_OK, "%s", error.text);
    cr_assert_eq(RUN(VB_OP_INDEX_PUT, 0, 0, &y, &i, &x), VB_OK, "%s", error.text);
    cr_assert_eq(RUN(VB_OP_INDEX, 0, 0, &x, &i, &wrong), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_INDEX, 0, 0, &x, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_INDEX, 0, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_INDEX, 0, 0, &i, &i, &i, &y), VB_E_DEVICE);
    drop_operand(&x);
    drop_operand(&i);
    drop_operand(&y);
    drop_operand(&wrong);
}

Test(index, places_of_what_is_true)
{
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 2 * N_LIES; k++) {
        struct operand mask =
            new_operand(k % 2 == 0 ? VB_BOOL : VB_FLOAT32, SHAPE(7, 300, 2), (enum lies)(k / 2));
        uint32_t found = 0, total = 7 * 300 * 2;
        for (size_t i = 0; i < total; i++) {
            set(&mask, i, random_below(3) == 0);
            found += get(&mask, i) != 0;
        }
        struct operand places = new_operand(VB_INT64, SHAPE(found, 3), (enum lies)(k / 2));
        struct operand filled = new_operand(VB_INT64, SHAPE(found + 5, 3), (enum lies)(k / 2));
        struct operand fewer = new_operand(VB_INT64, SHAPE(found - 1, 3), IN_ORDER);
        cr_assert_eq(RUN(VB_OP_NONZERO, 0, 0, &mask, &places), VB_OK, "%s", error.text);
        cr_assert_eq(RUN(VB_OP_NONZERO_FILL, 0, 0, &mask, &filled), VB_OK, "%s", error.text);
        cr_assert_eq(RUN(VB_OP_NONZERO, 0, 0, &mask, &filled), VB_E_DEVICE);
        char text[100];
        snprintf(text, sizeof text, "the program has room for %u places and the mask has %u",
                 found + 5, found);
        cr_assert_not_null(strstr(error.text, SAID(text, "was built for another count")), "%s",
                           error.text);
        cr_assert_eq(RUN(VB_OP_NONZERO_FILL, 0, 0, &mask, &fewer), VB_E_DEVICE);
        size_t row[2] = { 0, found };
        for (size_t i = 0; i < total; i++) {
            size_t at = row[get(&mask, i) == 0]++;
            double is[] = { (double)(i / 600), (double)(i / 2 % 300), (double)(i % 2) };
            for (size_t axis = 0; axis < 3 && at < found + 5; axis++) {
                cr_assert_eq(get(&filled, at * 3 + axis), is[axis]);
                cr_assert(at >= found || get(&places, at * 3 + axis) == is[axis]);
            }
        }
        struct operand *all[] = { &mask, &places, &filled, &fewer };
        for (size_t i = 0; i < 4; i++)
            drop_operand(all[i]);
    }
}

/* More than the kernels of a GPU take at a time. */
Test(index, places_in_a_long_mask)
{
    enum { N = 20000003, STEP = 997 };
    struct vb_error error = { "" };
    struct operand mask = new_operand(VB_BOOL, SHAPE(N), IN_ORDER);
    struct operand places = new_operand(VB_INT64, SHAPE(N / STEP + 1, 1), IN_ORDER);
    memset(mask.memory, 0, N);
    for (size_t i = 0; i < N; i += STEP)
        set(&mask, i, 1);
    cr_assert_eq(RUN(VB_OP_NONZERO, 0, 0, &mask, &places), VB_OK, "%s", error.text);
    for (size_t i = 0; i < elements_of(&places); i++)
        cr_assert_eq(get(&places, i), (double)(i * STEP));
    drop_operand(&mask);
    drop_operand(&places);
}

Test(index, more_places_than_elements_are_refused)
{
    struct vb_error error = { "" };
    struct operand mask = new_operand(VB_BOOL, SHAPE(3), IN_ORDER);
    struct operand places = new_operand(VB_INT64, SHAPE(4, 1), IN_ORDER);
    set_random(&mask, 0, 2);
    cr_assert_eq(RUN(VB_OP_NONZERO_FILL, 0, 0, &mask, &places), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_NONZERO, 0, 0, &mask, &mask), VB_E_DEVICE);
    drop_operand(&mask);
    drop_operand(&places);
}

Test(index, what_is_different_among_many)
{
    enum { N = 5000, GROUPS = 300 };
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_FLOAT32, SHAPE(N), IN_ORDER);
    struct operand values = new_operand(VB_FLOAT32, SHAPE(GROUPS), IN_ORDER);
    struct operand places = new_operand(VB_INT64, SHAPE(N), IN_ORDER);
    struct operand counts = new_operand(VB_INT64, SHAPE(GROUPS), IN_ORDER);
    double times[GROUPS] = { 0 };
    for (size_t i = 0; i < N; i++) {
        size_t group = i < GROUPS ? i : random_below(GROUPS);
        set(&x, i, 2.0 * (double)group - GROUPS);
        times[group]++;
    }
    cr_assert_eq(RUN(VB_OP_UNIQUE, 0, 0, &x, &values, &places, &counts), VB_OK, "%s", error.text);
    for (size_t i = 0; i < GROUPS; i++) {
        cr_assert_eq(get(&values, i), 2.0 * (double)i - GROUPS);
        cr_assert_eq(get(&counts, i), times[i]);
    }
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(get(&values, (size_t)get(&places, i)), get(&x, i));
    struct operand *all[] = { &x, &values, &places, &counts };
    for (size_t i = 0; i < 4; i++)
        drop_operand(all[i]);
}

Test(index, what_is_different_ascends)
{
    static const enum vb_dtype types[] = { VB_FLOAT32, VB_INT64, VB_FLOAT16 };
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 3; k++) {
        struct operand x = new_operand(types[k], SHAPE(9), WITH_GAPS);
        struct operand values = new_operand(types[k], SHAPE(4), IN_ORDER);
        struct operand places = new_operand(VB_INT64, SHAPE(9), BACKWARDS);
        struct operand counts = new_operand(VB_INT64, SHAPE(4), WITH_GAPS);
        struct operand three = new_operand(types[k], SHAPE(3), IN_ORDER), none = not_given;
        set_all(&x, (double[]){ 5, -2, 5, 0, 11, -0.0, 5, -2, 5 });
        cr_assert_eq(RUN(VB_OP_UNIQUE, 0, 0, &x, &values, &places, &counts), VB_OK, "%s",
                     error.text);
        static const double sorted[] = { -2, 0, 5, 11 }, times[] = { 2, 2, 4, 1 };
        for (size_t i = 0; i < 4; i++) {
            cr_assert_eq(get(&values, i), sorted[i]);
            cr_assert_eq(get(&counts, i), times[i]);
        }
        for (size_t i = 0; i < 9; i++)
            cr_assert_eq(get(&values, (size_t)get(&places, i)), get(&x, i));
        cr_assert_eq(RUN(VB_OP_UNIQUE, 0, 0, &x, &values, &none, &none), VB_OK, "%s", error.text);
        cr_assert_eq(RUN(VB_OP_UNIQUE, 0, 0, &x, &three, &none, &none), VB_E_DEVICE);
        cr_assert_not_null(strstr(error.text, SAID("room for 3 different ones and there are 4",
                                                   "was built for another count")));
        cr_assert_eq(RUN(VB_OP_UNIQUE, 0, 0, &x, &x, &none, &none), VB_E_DEVICE);
        cr_assert_eq(RUN(VB_OP_UNIQUE, 0, 0, &x, &values, &counts, &none), VB_E_DEVICE);
        struct operand *all[] = { &x, &values, &places, &counts, &three };
        for (size_t i = 0; i < 5; i++)
            drop_operand(all[i]);
    }
}
