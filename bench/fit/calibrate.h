/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_CALIBRATE_H
#define VB_FIT_CALIBRATE_H

/* The curve of a series: peak reserved bytes of one (model, precision, mosaic) against batch and
 * pixels, by one of a few named forms, the one with the least leave-one-out error. Rows are
 * weighted by 1 / y, so that errors count relative: peaks span two orders of magnitude. */

#include "fit/regress.h"
#include "record/record.h"

enum vb_form {
    VB_FORM_BATCH,        /* a + b * batch, as AutoBatch fits it: blind to the image size */
    VB_FORM_BATCH_PIXELS, /* a + b * batch * pixels */
    VB_FORM_INTERCEPTS,   /* an intercept for each resolution, b * batch * pixels */
};
enum { VB_N_FORMS = 3 };
extern const char *const vb_form_names[VB_N_FORMS];

struct vb_series {
    char model[256];
    enum vb_precision precision;
    enum vb_mosaic mosaic;
    size_t n; /* points that were ok */
    size_t n_oom;
    enum vb_form form;
    struct vb_fit fit; /* intercepts by resolution come first, in `sizes`' order */
    uint32_t sizes[VB_MAX_TERMS];
    size_t n_sizes;
    double median_error, worst_error; /* leave-one-out, relative */
    double interval; /* half-width of the 90 % jackknife+ interval, relative to the fit */
};

/* The series of the records, at most `room`. `*n_series` counts them; one with too few points for
 * any form has n_terms 0. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_calibrate(const struct vb_record *records, size_t n,
                                       struct vb_series *out, size_t room, size_t *n_series,
                                       struct vb_error *err);

/* Bytes that the series' fit gives for a point; NaN where it has none, or not that resolution. */
double vb_series_bytes(const struct vb_series *series, uint32_t batch, uint32_t imgsz);

#endif
