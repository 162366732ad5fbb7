/* SPDX-License-Identifier: Apache-2.0 */
/* The error of a calibration against the number of points that it rests on: picked ones, random
 * ones, and AutoBatch's (batch 1 to 16 at one resolution, a line over the batch), where one virtual
 * GPU plays the one that another one's plans are for. 1,000 draws of 3 % noise in each measured
 * peak; errors are at the noise-free values of all 196 points.
 *
 *     bench_points GRID.csv [PLANNED PLAYED]     one pair for the chart; without: all, at 8 points
 */
#include <stdlib.h>

#include "fit/grid.h"

enum { N_SEEDS = 1000, MOST = 32 };

enum way { PICKED, RANDOM, AUTOBATCH, AUTOBATCH_AT_HOME, N_WAYS };

struct errors {
    double median, worst; /* of the grid, percent */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct errors summarise(double *errors, size_t n)
{
    qsort(errors, n, sizeof *errors, by_value);
    return (struct errors){ (errors[(n - 1) / 2] + errors[n / 2]) / 2, errors[n - 1] };
}

static void draw_random(size_t n, uint64_t *state, size_t *picks)
{
    for (size_t k = 0; k < n; k++) {
        bool is_new = false;
        while (!is_new) {
            picks[k] = (size_t)(grid_uniform(state) * GRID_POINTS);
            is_new = true;
            for (size_t m = 0; m < k; m++)
                is_new = is_new && picks[m] != picks[k];
        }
    }
}

static struct errors structural(const struct grid *grid, const double *truth, const size_t *picks,
                                size_t n, uint64_t *state)
{
    struct vb_calibration_point points[MOST];
    struct vb_calibration calibration = { 0 };
    struct vb_arena arena = { 0 };
    struct vb_error err;
    double errors[GRID_POINTS];
    for (size_t k = 0; k < n; k++) {
        points[k] = grid->points[picks[k]];
        points[k].measured_bytes = truth[picks[k]] * (1 + GRID_NOISE * grid_normal(state));
    }
    if (vb_calibration_fit(points, n, &arena, &calibration, &err) != VB_OK)
        abort();
    for (size_t i = 0; i < GRID_POINTS; i++) {
        double deviation;
        double value = vb_calibration_value(&calibration, &grid->points[i], &deviation);
        errors[i] = fabs(value / truth[i] - 1) * 100;
    }
    vb_arena_clear(&arena);
    return summarise(errors, GRID_POINTS);
}

/* A line by least squares through the batches 1, 2, 4, 8, 16 at 640, fp16, over again where more
 * points are asked for. `at_home`: judged at 640, fp16, without mosaic alone, all batches. */
static struct errors autobatch(const struct grid *grid, const double *truth, size_t n, bool at_home,
                               uint64_t *state)
{
    double sum = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, errors[GRID_POINTS];
    size_t n_errors = 0;
    for (size_t k = 0; k < n; k++) {
        uint32_t batch = 1u << (k % 5);
        for (size_t i = 0; i < GRID_POINTS; i++) {
            const struct vb_calibration_point *point = &grid->points[i];
            if (point->batch != batch || point->imgsz != 640 || point->precision != VB_FP16 ||
                point->mosaic != VB_MOSAIC_OFF)
                continue;
            double y = truth[i] * (1 + GRID_NOISE * grid_normal(state));
            sum++, sx += batch, sy += y, sxx += (double)batch * batch, sxy += batch * y;
        }
    }
    double slope = (sum * sxy - sx * sy) / (sum * sxx - sx * sx), begin = (sy - slope * sx) / sum;
    for (size_t i = 0; i < GRID_POINTS; i++) {
        const struct vb_calibration_point *point = &grid->points[i];
        bool is_home =
            point->imgsz == 640 && point->precision == VB_FP16 && point->mosaic == VB_MOSAIC_OFF;
        if (is_home || !at_home)
            errors[n_errors++] = fabs((begin + slope * point->batch) / truth[i] - 1) * 100;
    }
    return summarise(errors, n_errors);
}

/* Over the seeds: medians and nine in ten, and how many draws meet 1.5 % and 6 %. */
static void print(const struct grid *grid, const double *truth, enum way way, size_t n)
{
    static double median[N_SEEDS], worst[N_SEEDS];
    double cost[GRID_POINTS];
    size_t picks[MOST], n_met = 0;
    struct vb_error err;
    for (size_t i = 0; i < GRID_POINTS; i++)
        cost[i] = grid->points[i].planned_bytes;
    if (way == PICKED &&
        vb_calibration_pick(grid->points, GRID_POINTS, cost, n, picks, NULL, &err) != VB_OK)
        abort();
    for (size_t seed = 0; seed < N_SEEDS; seed++) {
        uint64_t state = seed * 1000003 + n;
        if (way == RANDOM)
            draw_random(n, &state, picks);
        struct errors errors = way == AUTOBATCH || way == AUTOBATCH_AT_HOME
                                   ? autobatch(grid, truth, n, way == AUTOBATCH_AT_HOME, &state)
                                   : structural(grid, truth, picks, n, &state);
        median[seed] = errors.median;
        worst[seed] = errors.worst;
        n_met += errors.median <= 1.5 && errors.worst <= 6;
    }
    qsort(median, N_SEEDS, sizeof *median, by_value);
    qsort(worst, N_SEEDS, sizeof *worst, by_value);
    printf(" %.2f %.2f %.2f %.2f %.1f", median[N_SEEDS / 2], median[N_SEEDS * 9 / 10],
           worst[N_SEEDS / 2], worst[N_SEEDS * 9 / 10], (double)n_met * 100 / N_SEEDS);
}

/* What the form leaves where every point counts and none has noise: no number of points goes lower.
 */
static struct errors limit(const struct grid *grid, const double *truth)
{
    static struct vb_calibration_point points[GRID_POINTS];
    double x[GRID_POINTS * VB_CALIBRATION_TERMS], errors[GRID_POINTS];
    struct vb_robust fit;
    struct vb_arena arena = { 0 };
    struct vb_error err;
    memcpy(points, grid->points, sizeof points);
    for (size_t i = 0; i < GRID_POINTS; i++)
        (void)vb_calibration_row(VB_CALIBRATE_APART, &points[i], x + i * VB_CALIBRATION_TERMS);
    if (vb_robust_fit(x, truth, GRID_POINTS, VB_CALIBRATION_TERMS, NULL, &arena, &fit, &err) !=
        VB_OK)
        abort();
    for (size_t i = 0; i < GRID_POINTS; i++)
        errors[i] = fabs(vb_robust_value(&fit, x + i * VB_CALIBRATION_TERMS) / truth[i] - 1) * 100;
    vb_arena_clear(&arena);
    return summarise(errors, GRID_POINTS);
}

static size_t profile(const char *name)
{
    for (size_t k = 0; k < GRID_PROFILES; k++) {
        if (strcmp(grid_profiles[k], name) == 0)
            return k;
    }
    (void)fprintf(stderr, "no profile '%s' in the grid\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static struct grid grid;
    static double truth[GRID_POINTS];
    static const char *const pairs[][2] = {
        { "t4", "t4" },
        { "t4", "rtx2080ti" },
        { "rtx2080ti", "t4" },
        { "rtxpro6000", "rtxpro6000-any" },
        { "rtxpro6000-any", "rtxpro6000" },
        { "h200", "h200-benchmark" },
        { "h200", "b200" },
        { "b200", "h200" },
    };
    if (argc != 2 && argc != 4) {
        (void)fprintf(stderr, "usage: bench_points GRID.csv [PLANNED PLAYED]\n");
        return 2;
    }
    if (!grid_read(argv[1], &grid))
        return 2;
    if (argc == 4) {
        static const size_t counts[] = { 4, 5, 6, 8, 10, 12, 16, 20, 24, 32 };
        grid_play(&grid, profile(argv[2]), profile(argv[3]), truth);
        printf("# points; picked, random, AutoBatch's, the same at 640 fp16: median, its nine in "
               "ten, worst, its nine in "
               "ten, met\n");
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            printf("%zu", counts[k]);
            for (int way = 0; way < N_WAYS; way++)
                print(&grid, truth, (enum way)way, counts[k]);
            printf("\n");
        }
        return 0;
    }
    printf("planned played  picked: median 9/10 worst 9/10 met  random: the same  limit: median "
           "worst\n");
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        grid_play(&grid, profile(pairs[k][0]), profile(pairs[k][1]), truth);
        printf("%s %s ", pairs[k][0], pairs[k][1]);
        print(&grid, truth, PICKED, 8);
        printf(" ");
        print(&grid, truth, RANDOM, 8);
        struct errors least = limit(&grid, truth);
        printf("  %.2f %.2f\n", least.median, least.worst);
    }
    return 0;
}
