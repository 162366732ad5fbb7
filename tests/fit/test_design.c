/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "fit/design.h"
#include "fit/grid.h"

enum { N = 14, PICKS = 4 };

/* det of the information of two terms, with nothing known before but a trace. */
static double determinant(const double *x, const double *size, const size_t *picks, size_t n)
{
    double a = 1e-12, b = 0, c = 1e-12;
    for (size_t k = 0; k < n; k++) {
        double u = x[2 * picks[k]] / size[picks[k]], v = x[2 * picks[k] + 1] / size[picks[k]];
        a += u * u;
        b += u * v;
        c += v * v;
    }
    return a * c - b * b;
}

/* By trying every four of fourteen. */
static double best_of_all(const double *x, const double *size)
{
    double best = 0;
    for (size_t a = 0; a < N; a++)
        for (size_t b = a + 1; b < N; b++)
            for (size_t c = b + 1; c < N; c++)
                for (size_t d = c + 1; d < N; d++)
                    best = fmax(best, determinant(x, size, (size_t[]){ a, b, c, d }, PICKS));
    return best;
}

Test(design, picks_are_as_good_as_the_best_of_all)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        double x[N * 2], size[N], cost[N];
        size_t picks[PICKS];
        struct vb_error err = { 0 };
        uint64_t state = seed;
        for (size_t i = 0; i < N; i++) {
            x[2 * i] = size[i] = 0.2 + 20 * grid_uniform(&state);
            x[2 * i + 1] = 0.5 + grid_uniform(&state);
            cost[i] = grid_uniform(&state);
        }
        const struct vb_candidates candidates = { x, size, cost, N, 2, NULL };
        cr_assert(eq(int, vb_design_pick(&candidates, PICKS, picks, &err), VB_OK));
        for (size_t k = 1; k < PICKS; k++)
            cr_expect(lt(sz, picks[k - 1], picks[k]));
        cr_expect(ge(dbl, determinant(x, size, picks, PICKS), 0.9 * best_of_all(x, size)),
                  "seed %d", (int)seed);
    }
}

Test(design, of_equals_the_cheapest_is_taken)
{
    double x[] = { 1, 1, 1, 1, 1, 1, 9, 1, 9, 1, 9, 1 }, size[] = { 1, 1, 1, 9, 9, 9 };
    double cost[] = { 3, 1, 2, 2, 3, 1 };
    size_t picks[2];
    struct vb_error err = { 0 };
    const struct vb_candidates candidates = { x, size, cost, 6, 2, NULL };
    cr_assert(eq(int, vb_design_pick(&candidates, 2, picks, &err), VB_OK));
    cr_expect(eq(sz, picks[0], 1));
    cr_expect(eq(sz, picks[1], 5));
}

Test(design, more_picks_tell_more)
{
    double x[N * 2], size[N], cost[N], before = HUGE_VAL;
    size_t picks[N];
    struct vb_error err = { 0 };
    for (size_t i = 0; i < N; i++) {
        x[2 * i] = size[i] = cost[i] = 0.3 * pow(1.5, (double)i);
        x[2 * i + 1] = 1;
    }
    const struct vb_candidates candidates = { x, size, cost, N, 2, NULL };
    for (size_t n = 2; n <= N; n += 4) {
        cr_assert(eq(int, vb_design_pick(&candidates, n, picks, &err), VB_OK));
        double deviation = vb_design_deviation(&candidates, picks, n, 0.03);
        cr_expect(lt(dbl, deviation, before));
        before = deviation;
    }
}
