/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>

#include "fit/accuracy.h"

static struct vb_prediction prediction(double planned, const char *gpu)
{
    return (struct vb_prediction){ .planned_bytes = planned,
                                   .observed_bytes = 100,
                                   .has_interval90 = true,
                                   .interval90 = { planned - 5, planned + 5 },
                                   .groups = { gpu, "", "", "" } };
}

Test(accuracy, statistics_are_those_worked_out_by_hand)
{
    struct vb_prediction items[] = { prediction(90, "a"), prediction(104, "b"),
                                     prediction(102, "a"), prediction(140, "a"),
                                     prediction(100, "b") };
    struct vb_accuracy a;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_accuracy_of(items, 5, &a, &err), VB_OK, "%s", err.text);
    cr_expect_eq(a.n, 5);
    cr_expect_float_eq(a.median_ape, 4, 1e-9);
    cr_expect_float_eq(a.mean_ape, (10 + 4 + 2 + 40 + 0) / 5.0, 1e-9);
    cr_expect_float_eq(a.p90_ape, 10 + 0.6 * 30, 1e-9); /* between the ranks 3 and 4, at 3.6 */
    cr_expect_float_eq(a.worst_ape, 40, 1e-9);
    cr_expect_float_eq(a.bias, 2, 1e-9);
    cr_expect_float_eq(a.mean_bias, 36 / 5.0, 1e-9);
    cr_expect_float_eq(a.coverage90, 60, 1e-9);
    cr_expect(isnan(a.coverage50), "no item has such an interval");
}

Test(accuracy, nothing_is_not_zero)
{
    struct vb_accuracy a;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_accuracy_of(NULL, 0, &a, &err), VB_OK);
    cr_expect(isnan(a.median_ape) && isnan(a.bias) && isnan(a.coverage90));
}

Test(accuracy, groups_come_by_size)
{
    struct vb_prediction items[] = { prediction(90, "b"), prediction(104, "a"),
                                     prediction(102, "a") };
    struct vb_accuracy_group *groups = NULL;
    size_t n = 0;
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    cr_assert_eq(vb_accuracy_by(items, 3, VB_BY_GPU, &arena, &groups, &n, &err), VB_OK);
    cr_assert_eq(n, 2);
    cr_expect_str_eq(groups[0].name, "a");
    cr_expect_float_eq(groups[0].accuracy.bias, 3, 1e-9);
    cr_expect_str_eq(groups[1].name, "b");
    vb_arena_clear(&arena);
}
