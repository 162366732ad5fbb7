/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_VALIDATION_PARTS_H
#define VB_REPORT_VALIDATION_PARTS_H

/* For validation*.c: what the formats share. */

#include "report/validation.h"

/* The judged rows' predictions side by side, n_judged of them. NULL: no host memory. */
const struct vb_prediction *vb_validation_predictions(const struct vb_validation *validation,
                                                      struct vb_arena *arena);

struct vb_remark {
    const char *text;
    uint32_t line;
};

/* What was assumed (`notes`), or why rows were skipped: equal texts together, lines ascending.
 * NULL: no host memory. */
struct vb_remark *vb_validation_remarks(const struct vb_validation *validation, bool notes,
                                        struct vb_arena *arena, size_t *n);

VB_CHECKED enum vb_status vb_validation_append_json(const struct vb_validation *validation,
                                                    struct vb_arena *arena, struct vb_text *out,
                                                    struct vb_error *err);

#endif
