/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_TOTALS_H
#define VB_MEMORY_TRACE_TOTALS_H

/* Recordings of PyTorch's profiler: a CSV of "[memory]" events (seq, ts_us, tid, device, addr,
 * bytes, total_allocated, total_reserved). They begin in the middle of a run: what was free then is
 * not known, so they are not replayed; their sums are checked. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct vb_trace_totals {
    size_t n_events;
    size_t n_sums, n_sums_same; /* events after a device's first: total before + bytes = total */
    size_t n_below_reserved;    /* events with no more allocated than reserved */
    uint64_t peak_allocated_bytes, peak_reserved_bytes; /* over all devices, as recorded */
    size_t first_difference;                            /* line; 0: none */
};

/* Whether the text begins as such a recording does. */
bool vb_trace_has_totals(const char *text);

/* Reads all of it. `file` names the text in errors. VB_E_INPUT: another header, a row that is none,
 * or more than 64 devices; with file and line. */
VB_CHECKED enum vb_status vb_trace_check_totals(const char *file, const char *text,
                                                struct vb_trace_totals *out, struct vb_error *err);

#endif
