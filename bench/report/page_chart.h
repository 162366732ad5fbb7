/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_PAGE_CHART_H
#define VB_REPORT_PAGE_CHART_H

/* The charts of a page: those that a sweep leaves in its folder, of each series of a stack, drawn
 * by gnuplot in a folder that is gone after and kept as text. */

#include "base/arena.h"
#include "fit/calibrate.h"
#include "record/record.h"

enum { VB_MOST_CHARTED_SERIES = 12 }; /* in a page */

struct vb_page_chart {
    const char *name; /* "memory": charts.h */
    const char *svg;  /* for a page: no heading, its names its own; "": was not drawn */
};

/* Of one model, precision and mosaic, of records of one stack. */
struct vb_page_series {
    struct vb_series series;
    uint32_t stack;
    struct vb_page_chart charts[6];
    size_t n_charts;
};

struct vb_page_charts {
    struct vb_page_series *series;
    size_t n, room;
    const char *note; /* why some or all are missing; NULL: none is */
};

/* Fits the series of the records, which are of stack `stack`, and draws their charts. VB_E_SYSTEM:
 * no host memory, or no folder for a while. */
VB_CHECKED enum vb_status vb_page_draw(const struct vb_record *records, size_t n, uint32_t stack,
                                       struct vb_arena *arena, struct vb_page_charts *out,
                                       struct vb_error *err);

/* An SVG that gnuplot wrote, to stand in a page beside others: without what is before its element,
 * and with `prefix` before its names. NULL: it is none, it holds what no chart of ours does, or
 * there is no host memory. */
char *vb_page_svg(const char *svg, const char *prefix, struct vb_arena *arena);

#endif
