/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_VALIDATION_PARTS_H
#define VB_REPORT_VALIDATION_PARTS_H

/* For validation*.c: what the formats share. */

#include "report/validation.h"

/* The judged rows' predictions side by side, n_judged of them. NULL: no host memory. */
const struct vb_prediction *vb_validation_predictions(const struct vb_validation *validation,
                                                      struct vb_arena *arena);

/* The model's name; one given as a path by what stands last. */
const char *vb_validation_short_model(const struct vb_judged *row);

/* How many lie in their intervals: all, and by trust; nothing where there are none. */
VB_CHECKED enum vb_status vb_validation_append_coverage(const struct vb_prediction *items, size_t n,
                                                        struct vb_arena *arena, struct vb_text *out,
                                                        struct vb_error *err);

/* The rows that ran out of memory, by their verdicts. */
void vb_validation_append_ran_out(const struct vb_validation *validation, struct vb_text *out);

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
