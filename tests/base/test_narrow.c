/* SPDX-License-Identifier: Apache-2.0 */
#include "base/narrow.h"

#include <criterion/criterion.h>

static const struct {
    float (*nearest)(float);
    int bits, least,
        most; /* of the significand; exponents of the least number and of the largest */
} types[] = { { vb_nearest_bfloat16, 8, -133, 127 }, { vb_nearest_float16, 11, -24, 15 } };

/* Neighbours a and b of a type, a with an even significand: what lies between goes to the nearer
 * one, the middle to a. */
static void go_to_nearest(float (*nearest)(float), double a, double b)
{
    double middle = (a + b) / 2;
    for (int sign = -1; sign <= 1; sign += 2) {
        cr_expect_eq(nearest((float)(sign * a)), (float)(sign * a), "%a", a);
        cr_expect_eq(nearest((float)(sign * middle)), (float)(sign * a), "%a", middle);
        cr_expect_eq(nearest((float)(sign * (a + (b - a) / 4))), (float)(sign * a), "%a", a);
        cr_expect_eq(nearest((float)(sign * (a + (b - a) * 3 / 4))), (float)(sign * b), "%a", a);
    }
}

Test(narrow, goes_to_the_nearest_and_of_two_to_the_even)
{
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (int exponent = types[t].least; exponent <= types[t].most - types[t].bits;
             exponent += 5) {
            double unit = ldexp(1, exponent);
            int end = 1 << types[t].bits;
            /* Below half of the significands numbers lie closer, but for the least ones. */
            int begin = exponent == types[t].least ? 2 : end / 2 + 2;
            for (int i = begin; i < end; i += 34) {
                go_to_nearest(types[t].nearest, i * unit, (i - 1) * unit);
                go_to_nearest(types[t].nearest, i * unit, (i + 1) * unit);
            }
        }
    }
}

Test(narrow, ends_where_the_type_does)
{
    cr_expect_eq(vb_nearest_float16(65504), 65504.0f);
    cr_expect_eq(vb_nearest_float16(65519), 65504.0f);
    cr_expect_eq(vb_nearest_float16(65520), INFINITY);
    cr_expect_eq(vb_nearest_float16(-1e9f), -INFINITY);
    cr_expect_eq(vb_nearest_float16(0x1p-26f), 0.0f);
    cr_expect_eq(vb_nearest_bfloat16(0), 0.0f);
}
