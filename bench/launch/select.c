/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/convert.h"
#include "cpu/prepare.h"

#include "launch/lines.h"

enum vb_status vb_launch_argmax(const struct vb_cpu_work *work, struct vb_launches *out,
                                struct vb_error *err)
{
    struct vb_argmax_job job;
    struct vb_lying lying[2];
    struct vb_argmax a = { 0 };
    enum vb_status status = vb_prepare_argmax(work, &job, err);
    if (status != VB_OK)
        return status;
    const struct vb_array both[] = { job.x, job.y };
    if (!vb_lay_out(&job.walk, both, &a.axes, lying))
        return vb_refuse_size(work, err);
    a.x = lying[0];
    a.y = lying[1];
    a.length = (uint32_t)job.n;
    a.step = (uint32_t)job.stride;
    a.seats = vb_seats_for(a.axes.n, a.length, a.x.strides[0] < a.step);
    struct vb_launch *launch = vb_add_lines(out, VB_KERNEL_argmax, a.axes.n, a.seats);
    launch->arguments.argmax = a;
    return VB_OK;
}

enum vb_status vb_launch_top_k(const struct vb_cpu_work *work, struct vb_launches *out,
                               struct vb_error *err)
{
    struct vb_lines lines;
    struct vb_line_call call;
    enum vb_status status = vb_prepare_top_k(work, &lines, err);
    if (status == VB_OK)
        status = vb_lay_lines(work, &lines, &call, err);
    if (status != VB_OK || call.lengths[1] == 0)
        return status;
    call.seats = (struct vb_seats){ .lanes_log = VB_BLOCK_LOG };
    struct vb_launch *launch = vb_add_lines(out, VB_KERNEL_top_k, call.axes.n, call.seats);
    launch->arguments.top_k = call;
    return VB_OK;
}

/* Along the places, for each of which y's line is one element. */
static bool lay_scatter(const struct vb_lines *lines, struct vb_scatter *out)
{
    struct vb_array along[VB_MAX_LINES];
    struct vb_lying lying[VB_MAX_LINES];
    struct vb_walk walk;
    uint32_t last = lines->n_arrays - 1;
    for (uint32_t i = 0; i < lines->n_arrays; i++)
        along[i] = lines->arrays[i];
    along[last].shape.dims[along[last].shape.n_dims - 1] = 1;
    vb_walk_along(&walk, &along[0].shape, along, lines->n_arrays, 0);
    if (!vb_lay_out(&walk, along, &out->axes, lying))
        return false;
    out->places = lying[0];
    out->z = lying[last - 1]; /* the places again where there is none */
    out->y = lying[last];
    out->step = (uint32_t)lines->strides[last];
    out->length = (uint32_t)lines->lengths[last];
    return true;
}

enum vb_status vb_launch_scatter(const struct vb_cpu_work *work, struct vb_launches *out,
                                 struct vb_error *err)
{
    struct vb_lines lines;
    enum vb_status status = vb_prepare_scatter(work, &lines, err);
    if (status != VB_OK)
        return status;
    enum vb_dtype compute = vb_compute_type(lines.arrays, lines.n_arrays);
    struct vb_scatter a = { .scratch = vb_scratch_of(work),
                            .adds = work->call->op == VB_OP_SCATTER_ADD,
                            .in_floats = compute == VB_FLOAT32,
                            .a = (float)lines.a,
                            .whole_a = vb_whole_of_float(lines.a) };
    if (!lay_scatter(&lines, &a))
        return vb_refuse_size(work, err);
    struct vb_launch *launch = vb_add_launch(out, VB_KERNEL_scatter, a.axes.n);
    launch->arguments.scatter = a;
    return VB_OK;
}

enum vb_status vb_launch_claims(const struct vb_cpu_work *work, struct vb_launches *out,
                                struct vb_error *err)
{
    enum { BOXES = 1 };
    struct vb_array arrays[2];
    struct vb_walk walk;
    struct vb_lying lying[2];
    enum vb_status status = vb_prepare_claims(work, arrays, err);
    if (status != VB_OK)
        return status;
    struct vb_resolve_claims a = { .n_boxes = arrays[1].shape.dims[BOXES],
                                   .overlaps_step = (uint32_t)arrays[0].strides[BOXES],
                                   .claims_step = (uint32_t)arrays[1].strides[BOXES] };
    arrays[0].shape.dims[BOXES] = 1;
    arrays[1].shape.dims[BOXES] = 1;
    vb_walk_along(&walk, &arrays[1].shape, arrays, 2, 1);
    if (!vb_lay_out(&walk, arrays, &a.axes, lying))
        return vb_refuse_size(work, err);
    a.overlaps = lying[0];
    a.claims = lying[1];
    struct vb_launch *launch = vb_add_launch(out, VB_KERNEL_resolve_claims, a.axes.n);
    launch->arguments.resolve_claims = a;
    return VB_OK;
}
