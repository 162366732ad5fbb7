/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ANSWER_H
#define VB_CLI_ANSWER_H

/* The answer about one point: its plan, the verdict, the largest batch; and how it is printed. */

#include "device/device.h"
#include "fit/estimate.h"
#include "record/record.h"

enum { CLI_DOES_NOT_FIT = 1 }; /* exit status */

struct cli_answer {
    struct vb_record record;
    struct vb_estimate estimate;
    uint32_t largest_batch; /* that fits; 0: none, or not looked for */
};

/* `budget_bytes`: what may be used in place of what the device gives; 0: that. Statuses as
 * vb_measure() has them. */
VB_CHECKED enum vb_status cli_answer_plan(const struct vb_point *point, struct vb_device *device,
                                          uint64_t budget_bytes, struct vb_arena *arena,
                                          struct cli_answer *out, struct vb_error *err);

/* The largest batch whose verdict is FITS; `answer` is the point's own. 0: none. */
uint32_t cli_largest_batch(const struct vb_point *point, struct vb_device *device,
                           uint64_t budget_bytes, const struct cli_answer *answer);

void cli_answer_print(const struct vb_point *point, const struct cli_answer *answer,
                      bool has_budget);
/* One JSON object: the record's, and the verdict. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_answer_print_json(const struct cli_answer *answer,
                                                struct vb_error *err);

#endif
