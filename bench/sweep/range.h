/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_RANGE_H
#define VB_SWEEP_RANGE_H

/* Lists and ranges of values, in INI and on the command line alike: `1,2,4`, `320:1280:160` (start,
 * stop and step, the stop included where a step hits it), `1-64*2` (times 2 from 1 to 64), and
 * several of these with commas between. */

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

enum { VB_MAX_RANGE = 1000000 };

struct vb_values {
    const char **items; /* texts, in the arena */
    size_t n;
};

/* Expands `text`; `is_number` allows ranges. VB_E_INPUT: no value, a step of 0, a stop below the
 * start, more than VB_MAX_RANGE values; the text says what was found, without the place. */
VB_CHECKED enum vb_status vb_range_parse(const char *text, bool is_number, struct vb_arena *arena,
                                         struct vb_values *out, struct vb_error *err);

#endif
