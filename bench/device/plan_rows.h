/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_PLAN_ROWS_H
#define VB_DEVICE_PLAN_ROWS_H

/* An answer a line: what `vrambench oracle --format csv` prints, for people's programs, and
 * plan_table.c reads again beside the packed form. */

#include <stdbool.h>

#include "base/text.h"
#include "device/plan_map.h"

#define VB_PLAN_ROWS_COLUMNS                                                                       \
    "gpu,direction,type,layout,n,c,h,w,k,kernel_h,kernel_w,stride,pad,dilation,groups,"            \
    "deterministic,engine,workspace_bytes,low_bytes,high_bytes,source"

extern const char *const vb_conv_direction_names[3]; /* "forward", ... */
extern const char *const vb_conv_type_names[3];      /* "fp32", ... */
extern const char *const vb_conv_source_names[3];    /* "library", ... */

/* Appends the line of one answer. */
void vb_plan_row_write(struct vb_text *text, const char *gpu, const struct vb_plan_key *key,
                       const struct vb_plan_answer *answer, enum vb_conv_source source);

/* Reads such a line, without its end. False: it is none; `*out` is then not to be used. */
bool vb_plan_row_read(const char *line, struct vb_plan_entry *out);

/* Whether the numbers are a convolution's: none is 0 but the padding. */
bool vb_plan_key_is_sane(const struct vb_plan_key *key);

#endif
