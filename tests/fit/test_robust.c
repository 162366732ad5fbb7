/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "fit/grid.h"
#include "fit/robust.h"
#include "fit/student.h"

enum { N_SEEDS = 1000, N = GRID_POINTS, TERMS = 3 };

/* A grid as a GPU would have it, in GiB: what is planned without workspaces grows with batch and
 * pixels, workspaces jump where an algorithm switches. */
static void make_grid(uint64_t *state, double *x)
{
    double first = 4e6 + 8e6 * grid_uniform(state), second = 2e7 + 4e7 * grid_uniform(state);
    for (size_t i = 0; i < N; i++) {
        double batch = (double)(1u << (i % 7)), size = 320 + 160 * (double)(i / 7 % 7);
        double pixels = batch * size * size, half = i / 49 % 2 == 0 ? 1 : 0.6;
        double share = pixels < first ? 0.30 : pixels < second ? 0.06 : 0.17;
        x[i * TERMS] = 0.15 + pixels * 7e-7 * half;
        x[i * TERMS + 1] = x[i * TERMS] * share * (i / 98 == 0 ? 1 : 0.8);
        x[i * TERMS + 2] = 1;
    }
}

struct truth {
    double coefficients[TERMS];
    double y[N], spoilt[N]; /* with noise; with a tenth of it bad */
};

/* Bad points are a fifth to as much again too large: something else was on the GPU. */
static void make_truth(uint64_t *state, const double *x, double noise, struct truth *out)
{
    out->coefficients[0] = 0.85 + 0.3 * grid_uniform(state);
    out->coefficients[1] = 0.3 + 1.5 * grid_uniform(state);
    out->coefficients[2] = 0.1 + 0.7 * grid_uniform(state);
    for (size_t i = 0; i < N; i++) {
        double value = 0;
        for (size_t k = 0; k < TERMS; k++)
            value += out->coefficients[k] * x[i * TERMS + k];
        out->y[i] = value * (1 + noise * grid_normal(state));
        bool is_bad = grid_uniform(state) < 0.1;
        out->spoilt[i] = out->y[i] * (is_bad ? 1.2 + 0.8 * grid_uniform(state) : 1);
    }
}

struct tally {
    size_t covered[TERMS];
    double most_moved;
};

static void count_covered(const struct vb_robust *fit, const struct truth *truth,
                          struct tally *tally)
{
    double t = vb_student_quantile(0.95, fit->freedom);
    for (size_t k = 0; k < TERMS; k++) {
        double distance = fabs(fit->coefficients[k] - truth->coefficients[k]);
        tally->covered[k] += distance <= t * sqrt(fit->covariance[k * TERMS + k]);
    }
}

static void run_seed(uint64_t seed, double noise, struct tally *clean, struct tally *spoilt)
{
    static double x[N * TERMS];
    static struct truth truth;
    struct vb_arena arena = { 0 };
    struct vb_robust fit, other;
    struct vb_error err = { 0 };
    uint64_t state = seed;
    make_grid(&state, x);
    make_truth(&state, x, noise, &truth);
    cr_assert(eq(int, vb_robust_fit(x, truth.y, N, TERMS, NULL, &arena, &fit, &err), VB_OK), "%s",
              err.text);
    cr_assert(eq(int, vb_robust_fit(x, truth.spoilt, N, TERMS, NULL, &arena, &other, &err), VB_OK),
              "%s", err.text);
    count_covered(&fit, &truth, clean);
    count_covered(&other, &truth, spoilt);
    for (size_t i = 0; i < N; i++) {
        double moved =
            fabs(vb_robust_value(&other, x + i * TERMS) / vb_robust_value(&fit, x + i * TERMS) - 1);
        spoilt->most_moved = fmax(spoilt->most_moved, moved);
    }
    vb_arena_clear(&arena);
}

static void check_covered(const char *what, const struct tally *tally)
{
    for (size_t k = 0; k < TERMS; k++) {
        double percent = (double)tally->covered[k] * 100 / N_SEEDS;
        fprintf(stderr, "%s: coefficient %zu within its 90 %% interval in %.1f %%\n", what, k,
                percent);
        cr_expect(lt(dbl, fabs(percent - 90), 3), "%s: coefficient %zu: %.1f %%", what, k, percent);
    }
}

Test(robust, intervals_cover_and_bad_points_move_nothing)
{
    static const double noises[] = { 0.01, 0.03 };
    for (size_t n = 0; n < 2; n++) {
        struct tally clean = { 0 }, spoilt = { 0 };
        for (uint64_t seed = 1; seed <= N_SEEDS; seed++)
            run_seed(seed * 1000 + n, noises[n], &clean, &spoilt);
        fprintf(stderr, "noise %g: ", noises[n]);
        check_covered("noise alone", &clean);
        check_covered("a tenth bad", &spoilt);
        fprintf(stderr, "bad points move a prediction by at most %.2f %%\n",
                spoilt.most_moved * 100);
        cr_expect(lt(dbl, spoilt.most_moved, 0.02));
    }
}

Test(robust, an_exact_line_is_found_through_bad_points)
{
    double x[20 * 2], y[20];
    struct vb_arena arena = { 0 };
    struct vb_robust fit;
    struct vb_error err = { 0 };
    for (size_t i = 0; i < 20; i++) {
        x[2 * i] = (double)(i + 1);
        x[2 * i + 1] = 1;
        y[i] = 3 * x[2 * i] + 5;
    }
    y[4] *= 1.5;
    y[11] *= 0.4;
    cr_assert(eq(int, vb_robust_fit(x, y, 20, 2, NULL, &arena, &fit, &err), VB_OK), "%s", err.text);
    cr_expect(lt(dbl, fabs(fit.coefficients[0] - 3), 1e-6));
    cr_expect(lt(dbl, fabs(fit.coefficients[1] - 5), 1e-6));
    cr_expect(eq(sz, fit.n_aside, 2));
    cr_expect(eq(dbl, fit.weights[4], 0));
    cr_expect(eq(dbl, fit.weights[11], 0));
    vb_arena_clear(&arena);
}

/* The fit without point `left`, with weights and scales as they are, by Cramer's rule. */
static double without(const double *x, const double *y, size_t n, const struct vb_robust *fit,
                      size_t left)
{
    double a = 0, b = 0, c = 0, d = 0, e = 0;
    for (size_t i = 0; i < n; i++) {
        double fitted = fit->coefficients[0] * x[2 * i] + fit->coefficients[1] * x[2 * i + 1];
        double weight = i == left ? 0 : fit->weights[i] / (fitted * fitted);
        a += weight * x[2 * i] * x[2 * i];
        b += weight * x[2 * i] * x[2 * i + 1];
        c += weight * x[2 * i + 1] * x[2 * i + 1];
        d += weight * x[2 * i] * y[i];
        e += weight * x[2 * i + 1] * y[i];
    }
    double determinant = a * c - b * b;
    return ((d * c - e * b) * x[2 * left] + (e * a - d * b) * x[2 * left + 1]) / determinant;
}

Test(robust, leaving_out_is_fitting_without)
{
    double x[24 * 2], y[24];
    struct vb_arena arena = { 0 };
    struct vb_robust fit;
    struct vb_error err = { 0 };
    uint64_t state = 7;
    for (size_t i = 0; i < 24; i++) {
        x[2 * i] = 0.5 + (double)i;
        x[2 * i + 1] = 1;
        y[i] = (1.1 * x[2 * i] + 0.4) * (1 + 0.03 * grid_normal(&state));
    }
    cr_assert(eq(int, vb_robust_fit(x, y, 24, 2, NULL, &arena, &fit, &err), VB_OK), "%s", err.text);
    for (size_t i = 0; i < 24; i++) {
        double expected = without(x, y, 24, &fit, i);
        cr_expect(lt(dbl, fabs(fit.left_out[i] / expected - 1), 1e-6), "point %zu", i);
    }
    vb_arena_clear(&arena);
}

Test(robust, too_little_to_tell_is_refused)
{
    double x[] = { 1, 1, 2, 2, 3, 3, 4, 4 }, y[] = { 1, 2, 3, 4 };
    struct vb_arena arena = { 0 };
    struct vb_robust fit;
    struct vb_error err = { 0 };
    cr_expect(eq(int, vb_robust_fit(x, y, 4, 2, NULL, &arena, &fit, &err), VB_E_INPUT));
    cr_expect(eq(str, err.text, "the terms cannot be told apart by these 4 points"));
    cr_expect(eq(int, vb_robust_fit(x, y, 2, 2, NULL, &arena, &fit, &err), VB_E_INPUT));
    cr_expect(eq(str, err.text, "2 points for 2 coefficients"));
    vb_arena_clear(&arena);
}

Test(robust, what_is_known_before_counts_as_points_do)
{
    double x[] = { 2, 1 }, y[] = { 3 };
    const struct vb_prior prior = { .mean = { 1, 0 }, .deviation = { 1e-6, 10 } };
    struct vb_arena arena = { 0 };
    struct vb_robust fit;
    struct vb_error err = { 0 };
    cr_assert(eq(int, vb_robust_fit(x, y, 1, 2, &prior, &arena, &fit, &err), VB_E_INPUT));
    double more[] = { 2, 1, 2, 1, 2, 1 }, values[] = { 3, 3, 3 };
    cr_assert(eq(int, vb_robust_fit(more, values, 3, 2, &prior, &arena, &fit, &err), VB_OK), "%s",
              err.text);
    cr_expect(lt(dbl, fabs(fit.coefficients[0] - 1), 1e-3));
    cr_expect(lt(dbl, fabs(fit.coefficients[1] - 1), 1e-2));
    vb_arena_clear(&arena);
}
