/* SPDX-License-Identifier: Apache-2.0 */
/* convert.h and exponential.h, whose functions are the kernels' only arithmetic of their own. */
#include "cpu/convert.h"

#include "cpu/exponential.h"
#include "cpu/operands.h"

Test(convert, every_half_there_and_back)
{
    for (uint32_t bits = 0; bits < 65536; bits++) {
        double half = decode(bits, 5, 10), brief = decode(bits, 8, 7);
        float from_half = vb_float_of_half((uint16_t)bits);
        float from_brief = vb_float_of_bfloat((uint16_t)bits);
        cr_assert(isnan(half) ? isnan(from_half) != 0 : (double)from_half == half, "%x", bits);
        cr_assert(isnan(brief) ? isnan(from_brief) != 0 : (double)from_brief == brief, "%x", bits);
        cr_assert(isnan(half) ? isnan(vb_float_of_half(vb_half_of_float(from_half))) != 0
                              : vb_half_of_float(from_half) == bits);
        cr_assert(isnan(brief) ? isnan(vb_float_of_bfloat(vb_bfloat_of_float(from_brief))) != 0
                               : vb_bfloat_of_float(from_brief) == bits);
    }
}

Test(convert, floats_are_rounded_to_nearest_even)
{
    for (uint64_t bits = 0; bits < 1ULL << 32; bits += 9973) {
        float x = vb_float_of_bits((uint32_t)bits);
        if (isnan(x)) {
            cr_assert(isnan(decode(vb_half_of_float(x), 5, 10)));
            cr_assert(isnan(decode(vb_bfloat_of_float(x), 8, 7)));
            continue;
        }
        cr_assert_eq(vb_half_of_float(x), encode((double)x, 5, 10), "%a", (double)x);
        cr_assert_eq(vb_bfloat_of_float(x), encode((double)x, 8, 7), "%a", (double)x);
    }
}

Test(convert, ties_go_to_even)
{
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        double tie = (decode(bits, 5, 10) + decode(bits + 1, 5, 10)) / 2;
        cr_assert_eq(vb_half_of_float((float)tie), bits + bits % 2);
        cr_assert_eq(vb_half_of_float(nextafterf((float)tie, 0)), bits);
        cr_assert_eq(vb_half_of_float(nextafterf((float)tie, 1e9F)), bits + 1);
    }
}

/* Relative, of a result that is a normal number. */
static double error_of(float got, double expected)
{
    if (fabs(expected) < 0x1p-126 || fabs(expected) > 3.4e38)
        return 0;
    return fabs((double)got - expected) / fabs(expected);
}

Test(convert, exponentials_are_off_by_two_parts_in_ten_million_at_most)
{
    for (uint64_t bits = 0; bits < 1ULL << 32; bits += 4099) {
        float x = vb_float_of_bits((uint32_t)bits), part = fabsf(x) <= 1 ? fabsf(x) : 1;
        if (isnan(x))
            continue;
        double wide = (double)x;
        cr_assert_lt(error_of(vb_exp(x), exp(wide)), 2e-7, "%a", wide);
        cr_assert_lt(error_of(vb_sigmoid(x), 1 / (1 + exp(-wide))), 2e-7, "%a", wide);
        cr_assert_lt(error_of(vb_log_1_plus(part), log1p((double)part)), 2e-7, "%a", wide);
        if (x > 0)
            cr_assert_lt(error_of(vb_log(x), log(wide)), 2e-7, "%a", wide);
    }
}

Test(convert, ends_of_the_exponentials)
{
    cr_assert_eq(vb_exp(-INFINITY), 0);
    cr_assert_eq(vb_exp(-200), 0);
    cr_assert_eq(vb_exp(0), 1);
    cr_assert_eq(vb_exp(INFINITY), INFINITY);
    cr_assert_eq(vb_exp(89), INFINITY);
    cr_assert(isnan(vb_exp(NAN)) && isnan(vb_log(NAN)) && isnan(vb_log(-1)));
    cr_assert_eq(vb_log(0), -INFINITY);
    cr_assert_eq(vb_log(1), 0);
    cr_assert_eq(vb_log(INFINITY), INFINITY);
    cr_assert_float_eq((double)vb_exp(-100), exp(-100.0), 1e-45);
}

Test(convert, whole_numbers_saturate)
{
    cr_assert_eq(vb_whole_of_float(-2.9), -2);
    cr_assert_eq(vb_whole_of_float(0x1p63), INT64_MAX);
    cr_assert_eq(vb_whole_of_float(-0x1p63), INT64_MIN);
    cr_assert_eq(vb_whole_of_float(NAN), INT64_MIN);
    cr_assert_eq(vb_byte_of_float(255.9F), 255);
    cr_assert_eq(vb_byte_of_float(1e9F), 255);
    cr_assert_eq(vb_byte_of_float(-3), 0);
    cr_assert_eq(vb_byte_of_float(NAN), 0);
}
