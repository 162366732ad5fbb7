/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_CALIBRATION_H
#define VB_FIT_CALIBRATION_H

/* A calibration: how far the plans for one GPU, its driver and its cuDNN are off, learned from
 * points measured there, for one (model, precision, mosaic, optimizer). Beside the plain
 * regressions over batch and pixels stand the structural forms, over what the virtual device of the
 * same GPU plans for the point: it takes far fewer points to learn where a plan is off than to
 * learn the curve. Pure functions; who reads journals and plans is not decided here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "fit/robust.h"
#include "record/point.h"

enum vb_calibration_form {
    /* a x planned without workspaces + b x planned workspaces + c: which plans cuDNN takes is what
     * a plan knows the least */
    VB_CALIBRATE_APART,
    VB_CALIBRATE_PLAN,   /* a x planned + b */
    VB_CALIBRATE_PIXELS, /* a x batch x pixels + b */
    VB_CALIBRATE_BATCH,  /* a x batch + b */
};
enum { VB_N_CALIBRATION_FORMS = 4, VB_CALIBRATION_TERMS = 3 };
extern const char *const vb_calibration_form_names[VB_N_CALIBRATION_FORMS];

enum {
    VB_MOST_CALIBRATED = 4096, /* points that one rests on; of more, every so many-th */
    VB_FEW_POINTS = 32,        /* fewer, and what is known of plans anyway counts */
    VB_LEAST_POINTS = 4,       /* fewer, and there is no calibration */
};

/* Bytes are the device's: what the allocator reserves and the context. */
struct vb_calibration_point {
    uint32_t batch, imgsz;
    enum vb_precision precision;
    enum vb_mosaic mosaic;
    uint32_t repeats; /* `measured_bytes` is their median */
    double measured_bytes;
    double planned_bytes;  /* 0: not planned */
    double apart_bytes;    /* planned with no workspace in it; 0: not planned */
    double left_out_bytes; /* what the chosen form says, fitted without the point */
    double weight;         /* 1: counts in full; 0: set aside */
};

struct vb_calibration_fit {
    bool is_fitted; /* else there are too few points, or they do not differ */
    size_t n, n_aside, n_terms;
    double coefficients[VB_CALIBRATION_TERMS];                    /* the last is in GiB */
    double low[VB_CALIBRATION_TERMS], high[VB_CALIBRATION_TERMS]; /* of 90 % confidence */
    double covariance[VB_CALIBRATION_TERMS * VB_CALIBRATION_TERMS];
    double spread, freedom; /* relative standard deviation of one point, degrees of freedom */
    double median_error, worst_error;   /* left out, relative; of points that count */
    double interval_low, interval_high; /* 90 % of new points lie within: 1 + these times it */
};

struct vb_calibration {
    char gpu[64], driver[32], cuda[16], cudnn[32]; /* "" where not known */
    uint32_t compute_capability;
    char model[256];
    enum vb_precision precision;
    enum vb_mosaic mosaic;
    enum vb_optimizer optimizer;
    enum vb_workload workload;
    uint64_t capacity_bytes;
    char planned_with[64]; /* whose workspaces the plans have: "9.19.0 (library)"; "": no plans */
    size_t n_own;          /* points of this very precision and mosaic */
    bool is_pooled;        /* these were few: those of the others count as well */
    struct vb_calibration_fit fits[VB_N_CALIBRATION_FORMS];
    enum vb_calibration_form chosen;
    struct vb_calibration_point *points; /* those it rests on, by size */
    size_t n_points;
};

/* Fits all forms to `points` (n of them, every point of the GPU's, model's and optimizer's) for the
 * precision and mosaic that `out` names, and chooses one. Writes all of `out` from `n_own` on; what
 * it points to is the arena's. VB_E_INPUT: too few points, or no form can be fitted. VB_E_SYSTEM:
 * no host memory. */
VB_CHECKED enum vb_status vb_calibration_fit(const struct vb_calibration_point *points, size_t n,
                                             struct vb_arena *arena, struct vb_calibration *out,
                                             struct vb_error *err);

/* A form's row for a point, and what is known of its coefficients before; false: none. */
size_t vb_calibration_row(enum vb_calibration_form form, const struct vb_calibration_point *point,
                          double row[VB_CALIBRATION_TERMS]);
bool vb_calibration_prior(enum vb_calibration_form form, struct vb_prior *out);

/* What the chosen form says of a point, in the device's bytes; `*deviation` is that of the fit
 * alone, relative. Below 0 is no answer. */
double vb_calibration_value(const struct vb_calibration *calibration,
                            const struct vb_calibration_point *point, double *deviation);

/* How far the point lies outside what was measured: 0 within, 0.5: half as large again as the
 * largest, or half of the smallest. By what is planned, or by batch x pixels without plans. */
double vb_calibration_outside(const struct vb_calibration *calibration,
                              const struct vb_calibration_point *point);

/* What it costs to have only N points, picked by `picks` (places in `points`): the errors,
 * relative, of the structural fit on those at all others, the median and the worst. */
VB_CHECKED enum vb_status vb_calibration_few(const struct vb_calibration_point *points, size_t n,
                                             const size_t *picks, size_t n_picks, double *median,
                                             double *worst, struct vb_error *err);

/* The most informative of the points for the structural form: design.h. `cost`: n of them. */
VB_CHECKED enum vb_status vb_calibration_pick(const struct vb_calibration_point *points, size_t n,
                                              const double *cost, size_t n_picks, size_t *picks,
                                              double *deviation, struct vb_error *err);

#endif
