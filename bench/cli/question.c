/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/question.h"

#include "base/bytes.h"
#include "cli/bands.h"

enum vb_status cli_open_question(const struct cli_question *question, struct vb_point *point,
                                 struct cli_asked *out, struct vb_error *err)
{
    char name[320];
    enum vb_status status = cli_read_point(&question->point, point, err);
    out->is_shared = question->shared != NULL;
    if (status == VB_OK && !cli_is_given(&question->point, "workload"))
        point->workload = VB_WHOLE_RUN;
    if (status == VB_OK && question->budget != NULL)
        status = vb_bytes_parse(question->budget, &out->budget_bytes, err);
    if (status == VB_OK)
        status = cli_read_risk(question->risk, &out->risk, err);
    if (status == VB_OK)
        status = cli_ask(point, out, err);
    cli_device_name(&question->point, name, sizeof name);
    out->device_name = vb_arena_copy(out->arena, name);
    if (status == VB_OK && out->device_name == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left");
    if (status == VB_OK)
        status = vb_device_open(name, &out->device, err);
    if (status == VB_OK && vb_device_info(out->device)->measures)
        status =
            vb_fail(err, VB_E_INPUT,
                    "--device %s: an estimate is a plan, for virtual:GPU; what runs is measured "
                    "by 'vrambench point' and 'vrambench sweep'",
                    name);
    /* Calibrations are of one GPU. */
    if (status == VB_OK && point->workload != VB_AUTOBATCH && vb_world_of(point) == 1)
        status = cli_ask_calibration(point, question->calibration, out, err);
    return status;
}
