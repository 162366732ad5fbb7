/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_RESULTS_H
#define VB_REPORT_RESULTS_H

/* Everything that a sweep leaves in its folder beside the journal: points.csv, points.md, fit.csv,
 * fit.md and charts/, where each chart has its data, its gnuplot script, an SVG and a PNG. */

#include "base/text.h"
#include "fit/calibrate.h"
#include "record/record.h"

enum { VB_N_CHARTS = 6 };

struct vb_results {
    const char *charts[VB_N_CHARTS]; /* names of those that were drawn or written */
    size_t n_charts;
    char note[512]; /* why a chart was not drawn: no gnuplot, nothing to show; "" */
};

/* VB_E_SYSTEM: the folder cannot be written. Without gnuplot the scripts and data are there, and
 * the note says so. */
VB_CHECKED enum vb_status vb_results_write(const struct vb_record *records, size_t n,
                                           const char *folder, struct vb_results *out,
                                           struct vb_error *err);

/* "0.250 GiB at 320, 0.300 GiB at 640 + 80.25 B a pixel", of a series that has a fit. */
void vb_append_coefficients(const struct vb_series *series, struct vb_text *out);

#endif
