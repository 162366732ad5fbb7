/* SPDX-License-Identifier: Apache-2.0 */
/* Updates of parameters. What they take, and the numbers that depend on the step, are the cpu's to
 * say (cpu/elementwise.h). */

#include "cpu/elementwise.h"

#include "launch/parts.h"

/* Elements that are worth another block, and blocks that a tensor has at most. */
enum { IN_BLOCK = 4096, MOST_BLOCKS = 4096 };

static uint32_t kind_of(const struct vb_strip_job *job, enum vb_operator op)
{
    static const uint32_t kinds[VB_N_OPERATORS] = {
        [VB_OP_SGD] = VB_UPDATE_NESTEROV,   [VB_OP_ADAM_MOMENTS] = VB_UPDATE_MOMENTS,
        [VB_OP_ADAM_STEP] = VB_UPDATE_ADAM, [VB_OP_DECAY] = VB_UPDATE_DECAY,
        [VB_OP_CLIP] = VB_UPDATE_CLIP,      [VB_OP_UNSCALE] = VB_UPDATE_UNSCALE,
        [VB_OP_EMA] = VB_UPDATE_EMA,
    };
    return op == VB_OP_SGD && job->use.n == 3 ? VB_UPDATE_SGD : kinds[op];
}

static struct vb_update_rule rule_of(const struct vb_strip_job *job, enum vb_operator op,
                                     const struct vb_array *found)
{
    return (struct vb_update_rule){ .kind = kind_of(job, op),
                                    .n = job->use.n,
                                    .reads = job->use.reads,
                                    .writes = job->use.writes,
                                    .a = (float)job->numbers.a,
                                    .b = (float)job->numbers.b,
                                    .rest_a = (float)(1 - job->numbers.a),
                                    .rest_b = (float)(1 - job->numbers.b),
                                    .found = found->is_given ? found->data : NULL,
                                    .found_dtype = (uint32_t)found->dtype };
}

/* Strips that are one number, where all else is dense. */
static uint32_t repeats_of(enum vb_operator op)
{
    return op == VB_OP_CLIP || op == VB_OP_UNSCALE ? 1 : 0;
}

static bool is_dense(const struct vb_strip_job *job, uint32_t repeats)
{
    const size_t n = vb_walk_elements(&job->walk);
    bool is = job->walk.n_axes == 1;
    for (uint32_t i = 0; i < job->use.n; i++) {
        const bool repeats_here = (repeats >> i & 1U) == 1;
        is = is && vb_array_elements(&job->arrays[i]) == (repeats_here ? 1 : n) &&
             (repeats_here || n == 1 || job->walk.strides[i][0] == 1);
    }
    return is;
}

static void add_dense(const struct vb_strip_job *job, const struct vb_update_rule *rule,
                      uint32_t repeats, struct vb_launches *out)
{
    const size_t n = vb_walk_elements(&job->walk);
    const size_t blocks = n / IN_BLOCK + (n % IN_BLOCK != 0);
    struct vb_launch *launch = vb_add_blocks(
        out, VB_KERNEL_update, (uint32_t)(blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS), 1);
    struct vb_update *arguments = &launch->arguments.update;
    arguments->rule = *rule;
    arguments->repeats = repeats;
    arguments->n_tensors = 1;
    arguments->tensors[0] = (struct vb_update_tensor){ .n = n };
    for (uint32_t i = 0; i < job->use.n; i++) {
        arguments->dtypes[i] = (uint32_t)job->arrays[i].dtype;
        arguments->tensors[0].strips[i] = job->arrays[i].data;
    }
}

enum vb_status vb_launch_update(const struct vb_cpu_work *work, struct vb_launches *out,
                                struct vb_error *err)
{
    struct vb_strip_job job;
    struct vb_array found;
    const uint32_t repeats = repeats_of(work->call->op);
    enum vb_status status = vb_prepare_update(work, &job, &found, err);
    if (status != VB_OK)
        return status;
    const struct vb_update_rule rule = rule_of(&job, work->call->op, &found);
    if (is_dense(&job, repeats)) {
        add_dense(&job, &rule, repeats, out);
        return VB_OK;
    }
    struct vb_launch *launch =
        vb_add_launch(out, VB_KERNEL_update_strided, vb_walk_elements(&job.walk));
    struct vb_update_strided *arguments = &launch->arguments.update_strided;
    arguments->rule = rule;
    if (!vb_lay_out(&job.walk, job.arrays, &arguments->axes, arguments->strips))
        return vb_refuse_size(work, err);
    return VB_OK;
}

static struct vb_scalar scalar_of(const struct vb_array *array)
{
    return (struct vb_scalar){ array->data, (uint32_t)array->dtype };
}

enum vb_status vb_launch_rescale(const struct vb_cpu_work *work, struct vb_launches *out,
                                 struct vb_error *err)
{
    struct vb_array arrays[3];
    enum vb_status status = vb_prepare_rescale(work, arrays, err);
    if (status != VB_OK)
        return status;
    vb_add_launch(out, VB_KERNEL_rescale, 1)->arguments.rescale =
        (struct vb_rescale){ .found = scalar_of(&arrays[0]),
                             .steps = scalar_of(&arrays[1]),
                             .scale = scalar_of(&arrays[2]),
                             .interval = work->call->a };
    return VB_OK;
}
