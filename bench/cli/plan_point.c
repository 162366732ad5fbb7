/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan_point.h"

static uint64_t need_of(const struct vb_record *record)
{
    return record->state == VB_STATE_OOM ? record->peak_reserved_bytes + record->oom_asked_bytes
                                         : record->peak_reserved_bytes;
}

enum vb_status cli_plan_point(const struct vb_point *point, struct vb_device *device,
                              uint64_t budget_bytes, struct vb_arena *arena, struct cli_answer *out,
                              struct vb_error *err)
{
    enum vb_status status = vb_measure(point, device, false, arena, &out->record, err);
    if (status != VB_OK)
        return status;
    uint64_t usable = budget_bytes > 0 ? budget_bytes : out->record.usable_bytes;
    out->estimate = vb_estimate_judge(need_of(&out->record), usable);
    if (out->record.state == VB_STATE_OOM) {
        out->estimate.verdict = VB_DOES_NOT_FIT;
        out->estimate.probability = 0;
    }
    return VB_OK;
}
