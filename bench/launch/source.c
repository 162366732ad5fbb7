/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/prepare.h"
#include "cpu/random.h"

#include "launch/parts.h"

enum vb_status vb_launch_source(const struct vb_cpu_work *work, struct vb_launches *out,
                                struct vb_error *err)
{
    const struct vb_call *call = work->call;
    struct vb_source_job job;
    enum vb_status status = vb_prepare_source(work, &job, err);
    if (status != VB_OK)
        return status;
    struct vb_source a = { .a = call->a,
                           .b = call->b,
                           .seed = vb_seed_of(call->a),
                           .in_floats = job.compute == VB_FLOAT32 };
    if (!vb_lay_out(&job.walk, &job.y, &a.axes, &a.y))
        return vb_refuse_size(work, err);
    struct vb_launch *launch = vb_add_launch(
        out, call->op == VB_OP_RANGE ? VB_KERNEL_count_up : VB_KERNEL_draw_uniform, a.axes.n);
    launch->arguments.count_up = a;
    return VB_OK;
}
