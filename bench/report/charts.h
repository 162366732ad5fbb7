/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_CHARTS_H
#define VB_REPORT_CHARTS_H

/* The six charts' data and settings, as gnuplot reads them; what they look like is in plots/. */

#include "base/text.h"
#include "fit/calibrate.h"
#include "record/record.h"

struct vb_chart {
    const char *name;
    /* Appends the data and the settings; false: the records have nothing for this chart. */
    bool (*write)(const struct vb_record *records, size_t n, const struct vb_series *series,
                  struct vb_text *data, struct vb_text *settings);
};
extern const struct vb_chart vb_charts[6];

#endif
