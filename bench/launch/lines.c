/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/prepare.h"

#include "launch/lines.h"

enum vb_status vb_lay_lines(const struct vb_cpu_work *work, const struct vb_lines *lines,
                            struct vb_line_call *out, struct vb_error *err)
{
    *out = (struct vb_line_call){ .scratch = vb_scratch_of(work),
                                  .a = lines->a,
                                  .op = (uint32_t)work->call->op };
    if (!vb_lay_out(&lines->walk, lines->arrays, &out->axes, out->operands))
        return vb_refuse_size(work, err);
    for (uint32_t i = 0; i < lines->n_arrays; i++) {
        out->steps[i] = (uint32_t)lines->strides[i];
        out->lengths[i] = (uint32_t)lines->lengths[i];
    }
    return VB_OK;
}

/* Of operands whose lines are those of operand `which`. */
static void add_lines(const struct vb_line_call *call, uint32_t which, enum vb_kernel_number kernel,
                      struct vb_launches *out)
{
    bool across = call->operands[which].strides[0] < call->steps[which];
    struct vb_line_call seated = *call;
    seated.seats = vb_seats_for(call->axes.n, call->lengths[which], across);
    struct vb_launch *launch = vb_add_lines(out, kernel, call->axes.n, seated.seats);
    launch->arguments.softmax = seated;
}

typedef enum vb_status prepare_lines(const struct vb_cpu_work *work, struct vb_lines *lines,
                                     struct vb_error *err);

/* All of a call that is one launch over the lines of operand `which`. */
static enum vb_status launch_lines(const struct vb_cpu_work *work, prepare_lines *prepare,
                                   uint32_t which, enum vb_kernel_number kernel,
                                   struct vb_launches *out, struct vb_error *err)
{
    struct vb_lines lines;
    struct vb_line_call call;
    enum vb_status status = prepare(work, &lines, err);
    if (status == VB_OK)
        status = vb_lay_lines(work, &lines, &call, err);
    if (status == VB_OK)
        add_lines(&call, which, kernel, out);
    return status;
}

enum vb_status vb_launch_softmax(const struct vb_cpu_work *work, struct vb_launches *out,
                                 struct vb_error *err)
{
    const enum vb_kernel_number kernel =
        work->call->n_operands == 3 ? VB_KERNEL_softmax_backward : VB_KERNEL_softmax;
    return launch_lines(work, vb_prepare_softmax, 0, kernel, out, err);
}

enum vb_status vb_launch_matvec(const struct vb_cpu_work *work, struct vb_launches *out,
                                struct vb_error *err)
{
    return launch_lines(work, vb_prepare_matvec, 0, VB_KERNEL_matvec, out, err);
}

enum vb_status vb_launch_nll_backward(const struct vb_cpu_work *work, struct vb_launches *out,
                                      struct vb_error *err)
{
    return launch_lines(work, vb_prepare_nll_backward, 2, VB_KERNEL_nll_backward, out, err);
}

enum vb_status vb_launch_nll(const struct vb_cpu_work *work, struct vb_launches *out,
                             struct vb_error *err)
{
    struct vb_array arrays[3];
    enum vb_status status = vb_prepare_nll(work, arrays, err);
    if (status != VB_OK)
        return status;
    bool is_mean = arrays[2].shape.n_dims == 0;
    if (is_mean)
        arrays[2] = vb_array_expanded(&arrays[2], &arrays[1].shape);
    struct vb_lines lines = { .arrays = { arrays[0], arrays[1], arrays[2] }, .n_arrays = 3 };
    struct vb_line_call call;
    status = vb_plan_lines(work, &lines, 1, err);
    if (status == VB_OK)
        status = vb_lay_lines(work, &lines, &call, err);
    if (status != VB_OK)
        return status;
    call.seats = (struct vb_seats){ .lanes_log = VB_BLOCK_LOG };
    struct vb_launch *launch = is_mean ? vb_add_blocks(out, VB_KERNEL_nll_mean, 1, 1)
                                       : vb_add_launch(out, VB_KERNEL_nll, call.axes.n);
    launch->arguments.nll = call;
    return VB_OK;
}
