/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_ATTRIBUTION_H
#define VB_CAPTURE_ATTRIBUTION_H

/* Who caused a record: the tag of its correlation id; where there is none the tag of the innermost
 * window that holds its moment; else 0, the others'.
 *
 * A correlation id given twice has the tag given last. A window holds both its ends. Innermost is
 * the one that began last; of those that began together the one that ended first; of equal ones the
 * one given last. Windows need not be nested.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct vb_correlation {
    uint32_t correlation; /* as in the record; 0: none */
    uint64_t tag;
};

/* A stretch of the host's time. */
struct vb_span {
    uint64_t from_ns, to_ns; /* UINT64_MAX: still open */
    uint64_t tag;
};

struct vb_attribution {
    struct vb_ordered_correlation *correlations; /* by id, of equal ones the last given last */
    size_t n_correlations;
    struct vb_ordered_window *windows; /* outer before inner */
    size_t n_windows, next_window;
    size_t *open; /* windows that may hold the moment, the innermost last */
    size_t n_open;
};

/* Copies what it is given into `arena`. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_attribution_init(struct vb_attribution *attribution,
                                              const struct vb_correlation *correlations,
                                              size_t n_correlations, const struct vb_span *windows,
                                              size_t n_windows, struct vb_arena *arena,
                                              struct vb_error *err);

/* The tag of a record of this moment. Moments must not go back from call to call. */
uint64_t vb_attribution_tag(struct vb_attribution *attribution, uint64_t ns, uint32_t correlation);

/* Moments may begin anew. */
void vb_attribution_rewind(struct vb_attribution *attribution);

#endif
