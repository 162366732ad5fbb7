/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launch.h"

#include <assert.h>

#include "launch/parts.h"

/* Blocks beyond these find no room on any GPU at once: threads take more elements each instead. */
enum { MOST_BLOCKS = 4096 };

#define NAME(name, type) #name,
const char *const vb_kernel_names[VB_N_KERNELS] = { VB_ALL_KERNELS(NAME) };

/* NULL: there is none. */
static vb_launcher *const launchers[VB_N_OPERATORS] = {
    [VB_OP_COPY] = vb_launch_elementwise,
    [VB_OP_FILL] = vb_launch_elementwise,
    [VB_OP_ADD] = vb_launch_elementwise,
    [VB_OP_ADD_SCALED] = vb_launch_elementwise,
    [VB_OP_SUB] = vb_launch_elementwise,
    [VB_OP_MUL] = vb_launch_elementwise,
    [VB_OP_DIV] = vb_launch_elementwise,
    [VB_OP_MINIMUM] = vb_launch_elementwise,
    [VB_OP_MAXIMUM] = vb_launch_elementwise,
    [VB_OP_AND] = vb_launch_elementwise,
    [VB_OP_EQUAL] = vb_launch_elementwise,
    [VB_OP_LESS] = vb_launch_elementwise,
    [VB_OP_WHERE] = vb_launch_elementwise,
    [VB_OP_MASKED_FILL] = vb_launch_elementwise,
    [VB_OP_ADD_NUMBER] = vb_launch_elementwise,
    [VB_OP_MUL_NUMBER] = vb_launch_elementwise,
    [VB_OP_SUBTRACT_FROM] = vb_launch_elementwise,
    [VB_OP_POWER] = vb_launch_elementwise,
    [VB_OP_REMAINDER] = vb_launch_elementwise,
    [VB_OP_CLAMP] = vb_launch_elementwise,
    [VB_OP_LESS_NUMBER] = vb_launch_elementwise,
    [VB_OP_GREATER_NUMBER] = vb_launch_elementwise,
    [VB_OP_AT_LEAST_NUMBER] = vb_launch_elementwise,
    [VB_OP_RECIPROCAL] = vb_launch_elementwise,
    [VB_OP_SQRT] = vb_launch_elementwise,
    [VB_OP_EXP] = vb_launch_elementwise,
    [VB_OP_LOG] = vb_launch_elementwise,
    [VB_OP_ATAN] = vb_launch_elementwise,
    [VB_OP_SIGMOID] = vb_launch_elementwise,
    [VB_OP_SIGMOID_BACKWARD] = vb_launch_elementwise,
    [VB_OP_LOG_SIGMOID] = vb_launch_elementwise,
    [VB_OP_SILU] = vb_launch_elementwise,
    [VB_OP_SILU_BACKWARD] = vb_launch_elementwise,
    [VB_OP_RELU] = vb_launch_elementwise,
    [VB_OP_RELU_BACKWARD] = vb_launch_elementwise,
    [VB_OP_MIX] = vb_launch_elementwise,
};

enum vb_status vb_launch_find(const struct vb_call *call, struct vb_error *err)
{
    if (launchers[call->op] != NULL)
        return VB_OK;
    return vb_fail(err, VB_E_UNSUPPORTED, "there is no CUDA kernel for %s",
                   vb_operator_names[call->op]);
}

enum vb_status vb_launch_call(const struct vb_cpu_work *work, struct vb_launches *out,
                              struct vb_error *err)
{
    enum vb_status status = vb_launch_find(work->call, err);
    out->n = 0;
    return status == VB_OK ? launchers[work->call->op](work, out, err) : status;
}

struct vb_launch *vb_add_blocks(struct vb_launches *out, enum vb_kernel_number kernel,
                                uint32_t grid_x, uint32_t grid_y)
{
    assert(out->n < VB_MAX_LAUNCHES);
    struct vb_launch *launch = &out->list[out->n];
    out->n += grid_x > 0 && grid_y > 0;
    launch->kernel = kernel;
    launch->grid_x = grid_x;
    launch->grid_y = grid_y;
    return launch;
}

struct vb_launch *vb_add_launch(struct vb_launches *out, enum vb_kernel_number kernel, uint64_t n)
{
    uint64_t blocks = n / VB_LAUNCH_THREADS + (n % VB_LAUNCH_THREADS != 0);
    return vb_add_blocks(out, kernel, (uint32_t)(blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS), 1);
}

bool vb_lay_out(const struct vb_walk *walk, const struct vb_array *arrays, struct vb_axes *axes,
                struct vb_lying *lying)
{
    *axes = (struct vb_axes){ .n = vb_walk_elements(walk), .n_axes = walk->n_axes };
    for (uint32_t i = 0; i < walk->n_axes; i++) {
        if (walk->sizes[i] > UINT32_MAX)
            return false;
        axes->sizes[i] = (uint32_t)walk->sizes[i];
    }
    for (uint32_t k = 0; k < walk->n_arrays; k++) {
        lying[k] = (struct vb_lying){ .data = arrays[k].data, .dtype = (uint32_t)arrays[k].dtype };
        for (uint32_t i = 0; i < walk->n_axes; i++) {
            if (walk->strides[k][i] > UINT32_MAX)
                return false;
            lying[k].strides[i] = (uint32_t)walk->strides[k][i];
        }
    }
    return true;
}
