/* SPDX-License-Identifier: Apache-2.0 */
/* Fits against the normal equations in long double, and intervals that must cover. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "fit/calibrate.h"

static double draw(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(*state >> 11) / 9007199254740992.0;
}

Test(regress, is_the_solution_of_the_normal_equations)
{
    enum { N = 40 };
    double x[2 * N], y[N], weights[N];
    uint64_t state = 1;
    long double s = 0, sx = 0, sxx = 0, sy = 0, sxy = 0;
    for (int i = 0; i < N; i++) {
        x[2 * i] = 1;
        x[2 * i + 1] = 10 * draw(&state);
        y[i] = 3 + 0.5 * x[2 * i + 1] + draw(&state);
        weights[i] = 0.5 + draw(&state);
        long double w = (long double)weights[i] * weights[i];
        s += w;
        sx += w * x[2 * i + 1];
        sxx += w * x[2 * i + 1] * x[2 * i + 1];
        sy += w * y[i];
        sxy += w * x[2 * i + 1] * y[i];
    }
    struct vb_fit fit;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_regress(x, y, weights, N, 2, &fit, &err), VB_OK, "%s", err.text);
    long double slope = (s * sxy - sx * sy) / (s * sxx - sx * sx);
    cr_expect(fabsl(fit.coefficients[1] - slope) < 1e-12L);
    cr_expect(fabsl(fit.coefficients[0] - (sy - slope * sx) / s) < 1e-11L);
    cr_expect_eq(fit.rank, 2);
}

Test(regress, refuses_too_few_points_and_what_is_no_number)
{
    double x[] = { 1, 2, 1, 3 }, y[] = { 1, (double)NAN };
    struct vb_fit fit;
    struct vb_error err = { 0 };
    cr_expect_eq(vb_regress(x, y, NULL, 1, 2, &fit, &err), VB_E_INPUT);
    cr_expect_eq(vb_regress(x, y, NULL, 2, 2, &fit, &err), VB_E_INPUT);
}

static size_t make_series(struct vb_record *records, double noise, uint64_t seed)
{
    size_t n = 0;
    for (uint32_t batch = 1; batch <= 64; batch *= 2) {
        for (uint32_t imgsz = 320; imgsz <= 960; imgsz += 160) {
            struct vb_record *r = &records[n++];
            *r = (struct vb_record){ .state = VB_STATE_OK, .device = "virtual:t4" };
            (void)snprintf(r->point.model, sizeof r->point.model, "m");
            r->point.batch = batch;
            r->point.imgsz = imgsz;
            double bytes = 1e8 + 500.0 * batch * imgsz * imgsz;
            r->peak_reserved_bytes = (uint64_t)(bytes * (1 + noise * (draw(&seed) - 0.5)));
        }
    }
    return n;
}

Test(calibrate, finds_the_form_that_made_the_points)
{
    struct vb_record records[64];
    struct vb_series series[4];
    struct vb_error err = { 0 };
    size_t n_series = 0, n = make_series(records, 0.02, 5);
    cr_assert_eq(vb_calibrate(records, n, series, 4, &n_series, &err), VB_OK, "%s", err.text);
    cr_assert_eq(n_series, 1);
    cr_expect_neq(series[0].form, VB_FORM_BATCH);
    cr_expect(fabs(series[0].fit.coefficients[series[0].fit.n_terms - 1] / 500 - 1) < 0.01);
    cr_expect_lt(series[0].median_error, 0.01);
}

Test(calibrate, nine_in_ten_new_points_lie_in_the_interval)
{
    size_t n_in = 0, n_all = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct vb_record records[64], fresh[64];
        struct vb_series series[4];
        struct vb_error err = { 0 };
        size_t n_series = 0, n = make_series(records, 0.2, seed);
        (void)make_series(fresh, 0.2, seed + 1000);
        cr_assert_eq(vb_calibrate(records, n, series, 4, &n_series, &err), VB_OK);
        for (size_t i = 0; i < n; i++) {
            double fit = vb_series_bytes(&series[0], fresh[i].point.batch, fresh[i].point.imgsz);
            double off = fabs(fit / (double)fresh[i].peak_reserved_bytes - 1);
            n_in += off <= series[0].interval;
            n_all++;
        }
    }
    double share = (double)n_in / (double)n_all;
    cr_expect(share > 0.86 && share < 0.97, "%.3f of them", share);
}

Test(calibrate, says_when_there_are_too_few_points)
{
    struct vb_record records[64];
    struct vb_series series[4];
    struct vb_error err = { 0 };
    size_t n_series = 0;
    (void)make_series(records, 0, 1);
    cr_assert_eq(vb_calibrate(records, 2, series, 4, &n_series, &err), VB_OK);
    cr_expect_eq(series[0].fit.n_terms, 0);
    cr_expect(isnan(vb_series_bytes(&series[0], 1, 320)));
}
