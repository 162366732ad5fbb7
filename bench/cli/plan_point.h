/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_PLAN_POINT_H
#define VB_CLI_PLAN_POINT_H

/* One point and the verdict about it. */

#include "fit/estimate.h"
#include "sweep/measure.h"

enum { CLI_DOES_NOT_FIT = 1 }; /* exit status */

struct cli_answer {
    struct vb_record record;
    struct vb_estimate estimate;
    uint32_t largest_batch; /* that fits; 0: none, or not looked for */
};

/* `budget_bytes`: what may be used, in place of the device's; 0: all. What ran out needs what it
 * had and what it asked for, at least. As vb_measure(). */
VB_CHECKED enum vb_status cli_plan_point(const struct vb_point *point, struct vb_device *device,
                                         uint64_t budget_bytes, struct vb_arena *arena,
                                         struct cli_answer *out, struct vb_error *err);

#endif
