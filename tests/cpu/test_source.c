/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/operands.h"

Test(source, data_is_brought_to_any_strides)
{
    struct vb_error error = { "" };
    static const int64_t wholes[] = { 5, -6, 7, 8, 1LL << 60, 0 };
    static const float reals[] = { 1, 2, 3, 4, 5, 0.1F };
    for (uint32_t lies = 0; lies < N_LIES; lies++) {
        struct operand x = new_operand(VB_INT64, SHAPE(2, 3), (enum lies)lies);
        struct operand y = new_operand(VB_FLOAT32, SHAPE(2, 3), (enum lies)lies);
        struct operand *to_x[] = { &x }, *to_y[] = { &y };
        cr_assert_eq(run(VB_OP_UPLOAD, (struct numbers){ 0, 0, wholes, 1 }, to_x, 1, 2, &error),
                     VB_OK, "%s", error.text);
        cr_assert_eq(run(VB_OP_UPLOAD, (struct numbers){ 0, 0, reals, 1 }, to_y, 1, 2, &error),
                     VB_OK, "%s", error.text);
        for (size_t i = 0; i < 6; i++) {
            cr_assert_eq(get(&x, i), (double)wholes[i]);
            cr_assert_eq(get(&y, i), (double)reals[i]);
        }
        cr_assert_eq(RUN(VB_OP_UPLOAD, 0, 0, &y), VB_E_DEVICE);
        drop_operand(&x);
        drop_operand(&y);
    }
    struct operand empty = new_operand(VB_FLOAT32, SHAPE(0, 3), IN_ORDER);
    cr_assert_eq(RUN(VB_OP_UPLOAD, 0, 0, &empty), VB_OK);
}

Test(source, a_range_counts_up)
{
    static const enum vb_dtype types[] = { VB_FLOAT32, VB_INT64, VB_FLOAT16 };
    struct vb_error error = { "" };
    for (uint32_t k = 0; k < 3; k++) {
        struct operand y = new_operand(types[k], SHAPE(100), WITH_GAPS);
        struct operand two = new_operand(types[k], SHAPE(2, 2), IN_ORDER);
        cr_assert_eq(RUN(VB_OP_RANGE, 3, 2, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < 100; i++)
            cr_assert_eq(get(&y, i), 3 + 2 * (double)i);
        cr_assert_eq(RUN(VB_OP_RANGE, 0.5, 1, &y), VB_OK, "%s", error.text);
        cr_assert_eq(get(&y, 7), k == 1 ? 7 : 7.5);
        cr_assert_eq(RUN(VB_OP_RANGE, 0, 1, &two), VB_E_DEVICE);
        drop_operand(&y);
        drop_operand(&two);
    }
}

Test(source, chance_knows_the_seed_and_nothing_else)
{
    struct vb_error error = { "" };
    struct vb_shape shape = SHAPE(3, 40, 500);
    struct operand y[N_LIES], other = new_operand(VB_FLOAT32, shape, IN_ORDER);
    double sum = 0, squares = 0, n = 60000;
    for (uint32_t lies = 0; lies < N_LIES; lies++) {
        struct operand *operands[] = { &y[lies] };
        y[lies] = new_operand(VB_FLOAT32, shape, (enum lies)lies);
        cr_assert_eq(
            run(VB_OP_UNIFORM, (struct numbers){ 7, 0.5, NULL, 1 }, operands, 1, 1 + lies, &error),
            VB_OK, "%s", error.text);
    }
    cr_assert_eq(RUN(VB_OP_UNIFORM, 8, 0.5, &other), VB_OK);
    size_t same = 0;
    for (size_t i = 0; i < (size_t)n; i++) {
        double value = get(&y[0], i);
        cr_assert(value >= -0.5 && value <= 0.5);
        cr_assert_eq(value, get(&y[1], i));
        cr_assert_eq(value, get(&y[2], i));
        same += value == get(&other, i);
        sum += value;
        squares += value * value;
    }
    cr_assert_lt(same, 10);
    cr_assert_lt(fabs(sum / n), 0.01);
    cr_assert_lt(fabs(squares / n - 1.0 / 12), 0.002);
    struct operand whole = new_operand(VB_INT64, SHAPE(3), IN_ORDER);
    cr_assert_eq(RUN(VB_OP_UNIFORM, 8, 0.5, &whole), VB_E_DEVICE);
    drop_operand(&whole);
    drop_operand(&other);
    for (uint32_t i = 0; i < N_LIES; i++)
        drop_operand(&y[i]);
}
