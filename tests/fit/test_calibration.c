/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdlib.h>

#include "fit/grid.h"

enum { N_SEEDS = 1000, PICKS = 8 };

static struct grid grid;
static double truth[GRID_POINTS];

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void play(const char *planned, const char *played)
{
    size_t from = GRID_PROFILES, to = GRID_PROFILES;
    cr_assert(grid_read(VB_TEST_DATA "/calibration/grid.csv", &grid));
    for (size_t k = 0; k < GRID_PROFILES; k++) {
        from = strcmp(grid_profiles[k], planned) == 0 ? k : from;
        to = strcmp(grid_profiles[k], played) == 0 ? k : to;
    }
    cr_assert(lt(sz, from, GRID_PROFILES));
    cr_assert(lt(sz, to, GRID_PROFILES));
    grid_play(&grid, from, to, truth);
}

/* Percent, at the noise-free values of all points. */
static void errors_of(const struct vb_calibration *calibration, double *median, double *worst)
{
    double errors[GRID_POINTS];
    for (size_t i = 0; i < GRID_POINTS; i++) {
        double deviation;
        errors[i] =
            fabs(vb_calibration_value(calibration, &grid.points[i], &deviation) / truth[i] - 1) *
            100;
    }
    qsort(errors, GRID_POINTS, sizeof *errors, by_value);
    *median = (errors[GRID_POINTS / 2 - 1] + errors[GRID_POINTS / 2]) / 2;
    *worst = errors[GRID_POINTS - 1];
}

static void measure(const size_t *picks, size_t n, uint64_t seed, struct vb_arena *arena,
                    struct vb_calibration *out)
{
    static struct vb_calibration_point points[GRID_POINTS];
    struct vb_error err = { 0 };
    uint64_t state = seed;
    for (size_t k = 0; k < n; k++) {
        points[k] = grid.points[picks[k]];
        points[k].measured_bytes = truth[picks[k]] * (1 + GRID_NOISE * grid_normal(&state));
    }
    *out = (struct vb_calibration){ .precision = VB_FP16 };
    cr_assert(eq(int, vb_calibration_fit(points, n, arena, out, &err), VB_OK), "%s", err.text);
}

struct pair {
    char planned[24], played[24];
};

/* Profiles whose cuDNN choices differ: by the number of SMs, and by what else cuDNN may take. Over
 * the draws of the noise it is the median draw that has to be so good. */
ParameterizedTestParameters(calibration, eight_picked_points_tell_the_grid)
{
    static struct pair pairs[] = { { "t4", "rtx2080ti" },
                                   { "rtx2080ti", "t4" },
                                   { "rtxpro6000", "rtxpro6000-any" },
                                   { "rtxpro6000-any", "rtxpro6000" } };
    return cr_make_param_array(struct pair, pairs, sizeof pairs / sizeof *pairs);
}

ParameterizedTest(struct pair *pair, calibration, eight_picked_points_tell_the_grid)
{
    static double medians[N_SEEDS], worsts[N_SEEDS];
    double cost[GRID_POINTS];
    size_t picks[PICKS];
    struct vb_error err = { 0 };
    play(pair->planned, pair->played);
    for (size_t i = 0; i < GRID_POINTS; i++)
        cost[i] = grid.points[i].planned_bytes;
    cr_assert(eq(int, vb_calibration_pick(grid.points, GRID_POINTS, cost, PICKS, picks, NULL, &err),
                 VB_OK));
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        struct vb_arena arena = { 0 };
        struct vb_calibration calibration;
        measure(picks, PICKS, seed * 31 + 5, &arena, &calibration);
        errors_of(&calibration, &medians[seed], &worsts[seed]);
        vb_arena_clear(&arena);
    }
    qsort(medians, N_SEEDS, sizeof *medians, by_value);
    qsort(worsts, N_SEEDS, sizeof *worsts, by_value);
    fprintf(stderr, "%s as %s plans: median error %.2f %%, worst %.2f %%\n", pair->played,
            pair->planned, medians[N_SEEDS / 2], worsts[N_SEEDS / 2]);
    cr_expect(le(dbl, medians[N_SEEDS / 2], 1.5));
    cr_expect(le(dbl, worsts[N_SEEDS / 2], 6));
}

/* Of each new point, measured as the others were, nine in ten lie in the interval that the few
 * points give. */
Test(calibration, intervals_of_few_points_hold)
{
    double cost[GRID_POINTS], inside = 0;
    size_t picks[PICKS];
    struct vb_error err = { 0 };
    play("t4", "t4");
    for (size_t i = 0; i < GRID_POINTS; i++)
        cost[i] = grid.points[i].planned_bytes;
    cr_assert(eq(int, vb_calibration_pick(grid.points, GRID_POINTS, cost, PICKS, picks, NULL, &err),
                 VB_OK));
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        struct vb_arena arena = { 0 };
        struct vb_calibration calibration;
        uint64_t state = seed * 77 + 3;
        measure(picks, PICKS, seed * 31 + 5, &arena, &calibration);
        size_t i = (size_t)(grid_uniform(&state) * GRID_POINTS);
        const struct vb_calibration_fit *fit = &calibration.fits[calibration.chosen];
        double deviation, value = vb_calibration_value(&calibration, &grid.points[i], &deviation);
        double error = truth[i] * (1 + GRID_NOISE * grid_normal(&state)) / value - 1;
        inside += error >= fit->interval_low && error <= fit->interval_high;
        vb_arena_clear(&arena);
    }
    fprintf(stderr, "inside the 90 %% interval of 8 points: %.1f %%\n", inside * 100 / N_SEEDS);
    cr_expect(ge(dbl, inside / N_SEEDS, 0.87));
}

Test(calibration, many_points_of_its_own_are_not_pooled)
{
    size_t all[GRID_POINTS];
    struct vb_arena arena = { 0 };
    struct vb_calibration calibration;
    play("rtxpro6000", "rtxpro6000-any");
    for (size_t i = 0; i < GRID_POINTS; i++)
        all[i] = i;
    measure(all, GRID_POINTS, 3, &arena, &calibration);
    cr_expect(eq(sz, calibration.n_own, 49));
    cr_expect(eq(sz, calibration.n_points, 49));
    cr_expect(not(calibration.is_pooled));
    for (size_t i = 0; i < calibration.n_points; i++)
        cr_expect(eq(int, calibration.points[i].precision, VB_FP16));
    measure(all, 20, 3, &arena, &calibration);
    cr_expect(calibration.is_pooled);
    cr_expect(eq(sz, calibration.n_points, 20));
    vb_arena_clear(&arena);
}

Test(calibration, says_how_far_outside_a_question_lies)
{
    size_t all[GRID_POINTS];
    struct vb_arena arena = { 0 };
    struct vb_calibration calibration;
    double least = HUGE_VAL, most = 0;
    play("t4", "t4");
    for (size_t i = 0; i < GRID_POINTS; i++)
        all[i] = i;
    measure(all, GRID_POINTS, 3, &arena, &calibration);
    for (size_t i = 0; i < calibration.n_points; i++) {
        least = fmin(least, calibration.points[i].planned_bytes);
        most = fmax(most, calibration.points[i].planned_bytes);
    }
    struct vb_calibration_point point = calibration.points[0];
    point.planned_bytes = most;
    cr_expect(eq(dbl, vb_calibration_outside(&calibration, &point), 0));
    point.planned_bytes = most * 1.5;
    cr_expect(lt(dbl, fabs(vb_calibration_outside(&calibration, &point) - 0.5), 1e-9));
    point.planned_bytes = least / 4;
    cr_expect(lt(dbl, fabs(vb_calibration_outside(&calibration, &point) - 0.75), 1e-9));
    vb_arena_clear(&arena);
}

Test(calibration, too_few_points_are_refused)
{
    struct vb_arena arena = { 0 };
    struct vb_calibration calibration = { .precision = VB_FP32 };
    struct vb_error err = { 0 };
    play("t4", "t4");
    for (size_t i = 0; i < GRID_POINTS; i++)
        grid.points[i].measured_bytes = truth[i];
    cr_expect(eq(int, vb_calibration_fit(grid.points, 3, &arena, &calibration, &err), VB_E_INPUT));
    cr_expect(eq(str, err.text, "3 points, from which no form can be fitted"));
    cr_expect(eq(int, vb_calibration_fit(grid.points, 4, &arena, &calibration, &err), VB_OK));
    vb_arena_clear(&arena);
}

/* Without plans there are the plain forms, and no workspaces to tell apart. */
Test(calibration, plain_forms_need_no_plans)
{
    struct vb_calibration_point points[40] = { 0 };
    struct vb_arena arena = { 0 };
    struct vb_calibration calibration = { .precision = VB_FP32 };
    struct vb_error err = { 0 };
    for (uint32_t i = 0; i < 40; i++) {
        points[i] =
            (struct vb_calibration_point){ .batch = 1 + i % 8, .imgsz = 320 + 32 * (i / 8) };
        double pixels = (double)points[i].batch * points[i].imgsz * points[i].imgsz;
        points[i].measured_bytes = 5e8 + 700 * pixels;
    }
    cr_assert(eq(int, vb_calibration_fit(points, 40, &arena, &calibration, &err), VB_OK));
    cr_expect(eq(int, calibration.chosen, VB_CALIBRATE_PIXELS));
    cr_expect(not(calibration.fits[VB_CALIBRATE_PLAN].is_fitted));
    cr_expect(lt(dbl, fabs(calibration.fits[VB_CALIBRATE_PIXELS].coefficients[0] - 700), 1e-3));
    cr_expect(
        lt(dbl, fabs(calibration.fits[VB_CALIBRATE_PIXELS].coefficients[1] * GRID_GIB - 5e8), 1e3));
    vb_arena_clear(&arena);
}
