/* SPDX-License-Identifier: Apache-2.0 */
/* Which operands an elementwise operator takes, and whether they go together, is the cpu's to say
 * (cpu/elementwise.h). */

#include "cpu/elementwise.h"

#include "launch/parts.h"

static struct vb_numbers_of_call numbers_of(const struct vb_numbers *numbers)
{
    return (struct vb_numbers_of_call){ .a = (float)numbers->a,
                                        .b = (float)numbers->b,
                                        .exact_a = numbers->a,
                                        .whole_a = numbers->whole_a,
                                        .whole_b = numbers->whole_b };
}

/* One type, one stretch of elements in all, from whole packs on. */
static bool is_dense(const struct vb_strip_job *job, enum vb_operator op)
{
    const struct vb_walk *walk = &job->walk;
    bool is = walk->n_axes == 1 && job->compute == VB_FLOAT32 && job->use.n <= 3 &&
              op != VB_OP_MASKED_FILL;
    for (uint32_t i = 0; i < job->use.n; i++)
        is = is && vb_is_float(&job->arrays[i]) && job->arrays[i].dtype == job->arrays[0].dtype &&
             walk->strides[i][0] == 1 && (uintptr_t)job->arrays[i].data % VB_PACK_BYTES == 0;
    return is;
}

static void add_dense(const struct vb_strip_job *job, enum vb_operator op, struct vb_launches *out)
{
    static const enum vb_kernel_number kernels[] = { [VB_FLOAT32] = VB_KERNEL_dense_fp32,
                                                     [VB_FLOAT16] = VB_KERNEL_dense_fp16,
                                                     [VB_BFLOAT16] = VB_KERNEL_dense_bf16 };
    const enum vb_dtype dtype = job->arrays[0].dtype;
    const uint64_t in_pack = VB_PACK_BYTES / vb_dtype_bytes[dtype];
    const size_t n = vb_walk_elements(&job->walk);
    struct vb_launch *launch = vb_add_launch(out, kernels[dtype], (n + in_pack - 1) / in_pack);
    launch->arguments.dense_fp32 =
        (struct vb_dense){ .x = job->arrays[0].data,
                           .z = job->arrays[job->use.n == 3 ? 1 : 0].data,
                           .y = job->arrays[job->use.n - 1].data,
                           .n = n,
                           .numbers = numbers_of(&job->numbers),
                           .op = (uint32_t)op };
}

enum vb_status vb_launch_elementwise(const struct vb_cpu_work *work, struct vb_launches *out,
                                     struct vb_error *err)
{
    const enum vb_operator op = work->call->op;
    struct vb_strip_job job;
    enum vb_status status = vb_prepare_elementwise(work, &job, err);
    if (status != VB_OK)
        return status;
    if (is_dense(&job, op)) {
        add_dense(&job, op, out);
        return VB_OK;
    }
    struct vb_launch *launch =
        vb_add_launch(out, VB_KERNEL_elementwise, vb_walk_elements(&job.walk));
    struct vb_elementwise *arguments = &launch->arguments.elementwise;
    *arguments = (struct vb_elementwise){ .numbers = numbers_of(&job.numbers),
                                          .op = (uint32_t)op,
                                          .n_operands = job.use.n,
                                          .in_floats = job.compute == VB_FLOAT32 };
    if (!vb_lay_out(&job.walk, job.arrays, &arguments->axes, arguments->operands))
        return vb_refuse_size(work, err);
    return VB_OK;
}
