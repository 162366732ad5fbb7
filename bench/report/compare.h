/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_COMPARE_H
#define VB_REPORT_COMPARE_H

/* What changed between two runs: a table for people, and the same for programs and pull requests.
 */

#include "base/text.h"
#include "fit/compare.h"

enum vb_compare_format {
    VB_COMPARE_TEXT,     /* at most 80 columns where a point's settings take no more than 29 */
    VB_COMPARE_MARKDOWN, /* for a pull request */
    VB_COMPARE_JSON,     /* one object; what is not known is absent */
    VB_COMPARE_JUNIT,    /* a test case a point; inconclusive ones are skipped */
};

struct vb_compare_texts {
    const char *base, *candidate; /* as the user calls them */
    bool all;                     /* points that are the same are listed too */
};

/* Appends it. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_compare_append(const struct vb_comparison *comparison,
                                            const struct vb_compare_texts *texts,
                                            enum vb_compare_format format, struct vb_text *out,
                                            struct vb_error *err);

#endif
