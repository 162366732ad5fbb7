/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_TRACE_FORM_H
#define VB_MEMORY_TRACE_FORM_H

/* What form a recording has, told by how it begins, whatever its name. */

#include <stdio.h>

#include "base/error.h"

enum vb_trace_form {
    VB_TRACE_FORM_TEXT,   /* a CSV: of events (trace.h) or of totals (trace_totals.h) */
    VB_TRACE_FORM_PICKLE, /* trace_pickle.h */
};

/* Looks at the next byte and leaves it there. VB_E_INPUT: empty, or a form that is known and not
 * read; the text names the file and says what to do. */
VB_CHECKED enum vb_status vb_trace_form_of(const char *name, FILE *file, enum vb_trace_form *out,
                                           struct vb_error *err);

#endif
