/* SPDX-License-Identifier: Apache-2.0 */
/* Rank tests against all ways to share out the ranks, and against the published tables. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "fit/rank.h"

enum { MOST = 12 };

static double draw(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static double test(const double *a, size_t n_a, const double *b, size_t n_b)
{
    struct vb_error err = { 0 };
    double p = -1;
    cr_assert_eq(vb_rank_test(a, n_a, b, n_b, &p, &err), VB_OK, "%s", err.text);
    return p;
}

/* Pairs that a wins over b, halves for equal ones: U. */
static double wins(const double *a, size_t n_a, const double *b, size_t n_b)
{
    double u = 0;
    for (size_t i = 0; i < n_a; i++) {
        for (size_t j = 0; j < n_b; j++)
            u += a[i] > b[j] ? 1 : a[i] < b[j] ? 0 : 0.5;
    }
    return u;
}

/* Every subset of n_a of the values as the first sample. */
static double brute_force(const double *values, size_t n, size_t n_a)
{
    const double middle = 0.5 * (double)(n_a * (n - n_a));
    const double seen = fabs(wins(values, n_a, values + n_a, n - n_a) - middle);
    size_t n_all = 0, n_beyond = 0;
    for (unsigned mask = 0; mask < 1u << n; mask++) {
        double a[MOST], b[MOST];
        size_t i_a = 0, i_b = 0;
        if ((size_t)__builtin_popcount(mask) != n_a)
            continue;
        for (size_t i = 0; i < n; i++) {
            if (mask >> i & 1)
                a[i_a++] = values[i];
            else
                b[i_b++] = values[i];
        }
        n_all++;
        n_beyond += fabs(wins(a, i_a, b, i_b) - middle) >= seen - 1e-9;
    }
    return (double)n_beyond / (double)n_all;
}

/* `kinds` of values: few kinds give many ties. */
static void compare_with_brute_force(unsigned kinds, uint64_t seed)
{
    uint64_t state = seed;
    for (size_t n = 2; n <= MOST; n++) {
        for (size_t n_a = 1; n_a < n; n_a++) {
            double values[MOST];
            for (size_t i = 0; i < n; i++)
                values[i] = floor(draw(&state) * kinds);
            cr_expect_float_eq(test(values, n_a, values + n_a, n - n_a),
                               brute_force(values, n, n_a), 1e-12, "%zu of %zu, %u kinds", n_a, n,
                               kinds);
        }
    }
}

Test(rank, counts_all_ways_to_share_out_the_ranks)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        compare_with_brute_force(1000000, seed);
}

Test(rank, counts_them_where_values_are_equal)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        compare_with_brute_force(6, seed);
        compare_with_brute_force(2, seed);
        compare_with_brute_force(1, seed);
    }
}

/* Two samples without ties in which a wins u pairs: each of a's values stands above as many of b's
 * as it wins. */
static double p_of(size_t n_a, size_t n_b, size_t u)
{
    double a[32], b[32];
    for (size_t i = 0; i < n_b; i++)
        b[i] = (double)(i + 1);
    for (size_t i = 0; i < n_a; i++) {
        const size_t won = u < n_b ? u : n_b;
        a[i] = (double)won + 0.3 + 0.01 * (double)i;
        u -= won;
    }
    return test(a, n_a, b, n_b);
}

/* The largest U that is significant at 5 %, both tails: Mann and Whitney's table as it is in every
 * textbook. */
Test(rank, has_the_tables_critical_values)
{
    static const size_t table[][3] = {
        { 4, 4, 0 },    { 3, 5, 0 },    { 5, 5, 2 },    { 5, 8, 6 },     { 4, 10, 5 },
        { 5, 10, 8 },   { 6, 6, 5 },    { 7, 7, 8 },    { 8, 8, 13 },    { 9, 9, 17 },
        { 10, 10, 23 }, { 12, 12, 37 }, { 15, 15, 64 }, { 20, 20, 127 },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const size_t n_a = table[i][0], n_b = table[i][1], u = table[i][2];
        cr_expect_leq(p_of(n_a, n_b, u), 0.05, "%zu and %zu, U %zu", n_a, n_b, u);
        cr_expect_gt(p_of(n_a, n_b, u + 1), 0.05, "%zu and %zu, U %zu", n_a, n_b, u + 1);
    }
    cr_expect_float_eq(p_of(10, 10, 0), 2 / 184756.0, 1e-15);
    cr_expect_gt(p_of(3, 3, 0), 0.05);
}

/* Larger samples, which are not counted, against 20,000 shuffles: `kinds` of values, few of which
 * give many ties. */
static void compare_with_shuffles(unsigned kinds)
{
    enum { N = 40, SHUFFLES = 20000 };
    double values[2 * N];
    uint64_t state = kinds;
    size_t n_beyond = 0;
    for (size_t i = 0; i < 2 * N; i++)
        values[i] = floor((draw(&state) + (i < N ? 0 : 0.1)) * kinds);
    const double p = test(values, N, values + N, N);
    const double seen = fabs(wins(values, N, values + N, N) - 0.5 * N * N);
    for (size_t round = 0; round < SHUFFLES; round++) {
        for (size_t i = 2 * N - 1; i > 0; i--) {
            const size_t other = (size_t)(draw(&state) * (double)(i + 1));
            const double value = values[i];
            values[i] = values[other];
            values[other] = value;
        }
        n_beyond += fabs(wins(values, N, values + N, N) - 0.5 * N * N) >= seen - 1e-9;
    }
    const double shuffled = (double)n_beyond / SHUFFLES;
    /* Four deviations of the shuffles, and a twentieth of the chance for the approximation. */
    cr_expect_float_eq(p, shuffled, 0.05 * shuffled + 4 * sqrt(shuffled / SHUFFLES),
                       "%g, by shuffles %g", p, shuffled);
}

Test(rank, approximates_what_it_does_not_count)
{
    double same[40];
    compare_with_shuffles(3);
    compare_with_shuffles(20);
    compare_with_shuffles(1000000);
    for (size_t i = 0; i < 40; i++)
        same[i] = 1;
    cr_expect_eq(test(same, 40, same, 40), 1);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

Test(rank, shift_is_the_median_of_all_differences)
{
    uint64_t state = 7;
    for (size_t round = 0; round < 200; round++) {
        double a[30], b[30], all[900];
        const size_t n_a = 1 + (size_t)(draw(&state) * 30), n_b = 1 + (size_t)(draw(&state) * 30);
        const double unit = round % 2 == 0 ? 1e-3 : 1;
        const size_t n = n_a * n_b;
        struct vb_shift shift;
        struct vb_error err = { 0 };
        for (size_t i = 0; i < 30; i++) {
            a[i] = round % 3 == 0 ? floor(5 * draw(&state)) : unit * draw(&state);
            b[i] = round % 3 == 0 ? floor(5 * draw(&state)) : unit * draw(&state) + 3;
        }
        for (size_t i = 0; i < n; i++)
            all[i] = b[i / n_a] - a[i % n_a];
        qsort(all, n, sizeof *all, by_value);
        cr_assert_eq(vb_rank_shift(a, n_a, b, n_b, &shift, &err), VB_OK);
        cr_expect_float_eq(shift.middle, 0.5 * (all[(n - 1) / 2] + all[n / 2]), 1e-12);
        cr_expect(!shift.has_interval || (shift.low <= shift.middle && shift.middle <= shift.high));
    }
}

/* The interval holds the true shift 95 times in 100, for equal and unequal sizes. */
Test(rank, interval_covers_the_shift)
{
    static const size_t sizes[][2] = { { 4, 4 }, { 6, 6 }, { 10, 10 }, { 5, 20 }, { 40, 40 } };
    uint64_t state = 3;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n_held = 0;
        for (size_t round = 0; round < 4000; round++) {
            double a[40], b[40];
            struct vb_shift shift;
            struct vb_error err = { 0 };
            for (size_t i = 0; i < 40; i++) {
                a[i] = -log(draw(&state) + 1e-12);
                b[i] = -log(draw(&state) + 1e-12) + 0.7;
            }
            cr_assert_eq(vb_rank_shift(a, sizes[s][0], b, sizes[s][1], &shift, &err), VB_OK);
            cr_assert(shift.has_interval);
            n_held += shift.low <= 0.7 && 0.7 <= shift.high;
        }
        /* 95 % of 4,000 less three deviations; small samples hold more than they say. */
        cr_expect_geq(n_held, 3758, "%zu and %zu: %zu", sizes[s][0], sizes[s][1], n_held);
    }
}

Test(rank, three_beside_three_have_no_interval)
{
    const double a[] = { 1, 2, 3 }, b[] = { 11, 12, 13 };
    struct vb_shift shift;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_rank_shift(a, 3, b, 3, &shift, &err), VB_OK);
    cr_expect_not(shift.has_interval);
    cr_expect_float_eq(shift.middle, 10, 1e-12);
}

/* Holm's own example: 0.01, 0.02, 0.03 of three tests are 0.03, 0.04, 0.04. */
Test(rank, holm_steps_down_and_never_falls)
{
    double p[] = { 0.03, 0.01, 0.02 }, large[] = { 0.9, 0.6 };
    struct vb_error err = { 0 };
    cr_assert_eq(vb_holm(p, 3, &err), VB_OK);
    cr_expect_float_eq(p[0], 0.04, 1e-15);
    cr_expect_float_eq(p[1], 0.03, 1e-15);
    cr_expect_float_eq(p[2], 0.04, 1e-15);
    cr_assert_eq(vb_holm(large, 2, &err), VB_OK);
    cr_expect_eq(large[0], 1);
    cr_expect_eq(large[1], 1);
    cr_expect_eq(vb_holm(NULL, 0, &err), VB_OK);
}

Test(rank, quantiles_are_those_of_the_table)
{
    cr_expect_float_eq(vb_normal_quantile(0.05), 1.959963985, 1e-8);
    cr_expect_float_eq(vb_normal_quantile(0.01), 2.575829304, 1e-8);
    cr_expect_float_eq(vb_normal_beyond(vb_normal_quantile(1e-6)), 1e-6, 1e-12);
}
