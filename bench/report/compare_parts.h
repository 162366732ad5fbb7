/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_COMPARE_PARTS_H
#define VB_REPORT_COMPARE_PARTS_H

/* For compare*.c: what the formats share. */

#include "record/json.h"
#include "report/compare.h"

/* How a point is told from the others: the settings in which points differ. */
enum { VB_MOST_LABELS = 32 };
struct vb_labels {
    const struct vb_member *members[VB_MOST_LABELS];
    int widths[VB_MOST_LABELS]; /* of their widest value */
    size_t n;
    int width; /* of all, with a blank between */
};
struct vb_labels vb_labels_find(const struct vb_comparison *comparison);

/* One setting's value, of a model the last part of its path. */
struct vb_label_text {
    char text[64];
};
struct vb_label_text vb_label_value(const struct vb_member *member, const struct vb_point *point);

/* All of a point's, `between` them, each as wide as the widest if `aligned`. */
void vb_label_append(const struct vb_labels *labels, const struct vb_compared *item,
                     const char *between, bool aligned, struct vb_text *out);
const struct vb_point *vb_compared_point(const struct vb_compared *item);

/* What of a run is not as it was in the other: "driver", "580.65.06", "590.10.01". */
struct vb_environment_change {
    const char *what, *base, *candidate;
};
enum { VB_MOST_ENVIRONMENT = 8 };
size_t vb_environment_changes(const struct vb_comparison *comparison,
                              struct vb_environment_change changes[VB_MOST_ENVIRONMENT]);

/* "+4.98 %" of 1.0498. */
struct vb_label_text vb_percent_text(double ratio);
/* The outcome in a line: "REGRESSION: 2 of 196 points (...)". */
void vb_outcome_append(const struct vb_comparison *comparison, struct vb_text *out);
/* What else must be said, a line each: times not compared, clocks held down, what would settle it.
 */
void vb_remarks_append(const struct vb_comparison *comparison, const char *before,
                       struct vb_text *out);

/* The formats. */
void vb_compare_markdown(const struct vb_comparison *comparison,
                         const struct vb_compare_texts *texts, struct vb_text *out);
void vb_compare_junit(const struct vb_comparison *comparison, struct vb_text *out);
VB_CHECKED enum vb_status vb_compare_json(const struct vb_comparison *comparison,
                                          const struct vb_compare_texts *texts, struct vb_text *out,
                                          struct vb_error *err);

#endif
