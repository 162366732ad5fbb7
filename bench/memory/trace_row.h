/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_ROW_H
#define VB_MEMORY_TRACE_ROW_H

/* For the files that read recordings: one row of a CSV into its cells. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VB_TRACE_MAX_ROW = 256 };

struct vb_trace_row {
    char copy[VB_TRACE_MAX_ROW];
    const char *cells[8]; /* in `copy` */
};

/* False where the row is longer than the limit or has not just `n` cells (8 at most). */
bool vb_trace_row_split(struct vb_trace_row *row, const char *text, size_t length, size_t n);

/* A whole number without a sign; the second may have a minus. */
bool vb_trace_number(const char *text, uint64_t *out);
bool vb_trace_signed(const char *text, int64_t *out);

#endif
