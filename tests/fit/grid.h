/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TEST_GRID_H
#define VB_TEST_GRID_H

/* The 196 points of sweeps/v5s.ini as several profiles plan them (tests/fit/grid.sh), so that one
 * can play a GPU that is measured and another be what is planned for it. */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fit/calibration.h"

enum { GRID_POINTS = 196, GRID_PROFILES = 7 };
static const char *const grid_profiles[GRID_PROFILES] = {
    "t4", "rtx2080ti", "h200", "h200-benchmark", "b200", "rtxpro6000", "rtxpro6000-any",
};

struct grid {
    struct vb_calibration_point points[GRID_POINTS];              /* planned and apart are 0 */
    double apart[GRID_POINTS], peaks[GRID_PROFILES][GRID_POINTS]; /* reserved bytes */
};

/* False where the file is not there, or not as grid.sh writes it. */
static inline bool grid_read(const char *path, struct grid *out)
{
    char line[1024];
    size_t n = 0;
    FILE *file = fopen(path, "r");
    memset(out, 0, sizeof *out);
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        return false;
    for (; n < GRID_POINTS && fgets(line, sizeof line, file) != NULL; n++) {
        struct vb_calibration_point *point = &out->points[n];
        char precision[8], mosaic[8];
        double v[8];
        if (sscanf(line, "%u,%u,%7[^,],%7[^,],%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf", &point->batch,
                   &point->imgsz, precision, mosaic, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
                   &v[6], &v[7]) != 12)
            break;
        point->precision = strcmp(precision, "fp16") == 0 ? VB_FP16 : VB_FP32;
        point->mosaic = strcmp(mosaic, "on") == 0 ? VB_MOSAIC_ON : VB_MOSAIC_OFF;
        point->repeats = 1;
        out->apart[n] = v[0];
        for (size_t k = 0; k < GRID_PROFILES; k++)
            out->peaks[k][n] = v[1 + k];
    }
    (void)fclose(file);
    return n == GRID_POINTS;
}

#define GRID_GIB 1073741824.0
#define GRID_CONTEXT (0.30 * GRID_GIB)       /* as planned */
#define GRID_OTHER_CONTEXT (0.55 * GRID_GIB) /* as the GPU that is played has it */
#define GRID_NOISE 0.03

/* One profile plans, another is what is there: the truth is its device bytes, without noise. */
static inline void grid_play(struct grid *grid, size_t planned, size_t played, double *truth)
{
    for (size_t i = 0; i < GRID_POINTS; i++) {
        grid->points[i].planned_bytes = grid->peaks[planned][i] + GRID_CONTEXT;
        grid->points[i].apart_bytes = grid->apart[i] + GRID_CONTEXT;
        truth[i] = grid->peaks[played][i] + GRID_OTHER_CONTEXT;
    }
}

/* splitmix64, and Box and Muller's normal numbers. Source: Vigna, splitmix64.c (public domain
 * algorithm); Box and Muller 1958. */
static inline double grid_uniform(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) / 9007199254740992.0;
}

static inline double grid_normal(uint64_t *state)
{
    double a = grid_uniform(state), b = grid_uniform(state);
    return sqrt(-2 * log(a)) * cos(6.283185307179586 * b);
}

#endif
