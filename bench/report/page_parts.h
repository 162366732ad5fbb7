/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_PAGE_PARTS_H
#define VB_REPORT_PAGE_PARTS_H

/* For page_write.c: the parts of a page, each of which it appends; and the files of page/. */

#include "report/page.h"

extern const unsigned char vb_page_html[], vb_page_css[], vb_page_js[]; /* end in 0 */

/* Rows of the page that have peaks, ran out of memory, and neither. */
struct vb_page_counts {
    size_t n_peaks, n_oom, n_failed;
};
struct vb_page_counts vb_page_count(const struct vb_page *page);

/* Whether the i-th row is among those that the page's table shows: evenly some of very many. */
bool vb_page_shows(const struct vb_page *page, size_t i);

/* The bits of vb_page's `differing`. */
uint64_t vb_page_find_differing(const struct vb_page *page);

/* What a kind is beside its model and precision: "mosaic cpu, sgd", and what not all kinds of the
 * page have alike. Not escaped. */
void vb_page_tell_settings(const struct vb_page *page, const struct vb_page_kind *kind,
                           struct vb_text *out);

void vb_page_append_summary(const struct vb_page *page, struct vb_text *out);
void vb_page_append_charts(const struct vb_page *page, struct vb_text *out);
void vb_page_append_points(const struct vb_page *page, struct vb_text *out);
void vb_page_append_fits(const struct vb_page *page, struct vb_text *out);
void vb_page_append_calibrations(const struct vb_page *page, struct vb_text *out);
void vb_page_append_sources(const struct vb_page *page, struct vb_text *out);
/* The filters' boxes, a fieldset each. */
void vb_page_append_filters(const struct vb_page *page, struct vb_text *out);
/* The JSON that the script works from: kinds, what can be asked, calibrations and bands. */
void vb_page_append_data(const struct vb_page *page, struct vb_text *out);

#endif
