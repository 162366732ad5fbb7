/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launch.h"

#include <assert.h>

#include "launch/parts.h"

/* Blocks beyond these find no room on any GPU at once: threads take more elements each instead. */
enum { MOST_BLOCKS = 4096 };

enum { WARP = 32, LEAST_ELEMENTS = 4 /* of a line, for a thread of it */ };

/* What CUDA lets a kernel be given. */
static_assert(sizeof(union vb_arguments) <= 4096, "a kernel's arguments are too large");

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
    [VB_OP_SUM] = vb_launch_reduction,
    [VB_OP_MEAN] = vb_launch_reduction,
    [VB_OP_MAX_OF] = vb_launch_reduction,
    [VB_OP_ARGMAX] = vb_launch_argmax,
    [VB_OP_NORM] = vb_launch_reduction,
    [VB_OP_SOFTMAX] = vb_launch_softmax,
    [VB_OP_SOFTMAX_BACKWARD] = vb_launch_softmax,
    [VB_OP_LOG_SOFTMAX] = vb_launch_softmax,
    [VB_OP_LOG_SOFTMAX_BACKWARD] = vb_launch_softmax,
    [VB_OP_MATVEC] = vb_launch_matvec,
    [VB_OP_NLL] = vb_launch_nll,
    [VB_OP_NLL_BACKWARD] = vb_launch_nll_backward,
    [VB_OP_TOP_K] = vb_launch_top_k,
    [VB_OP_SCATTER] = vb_launch_scatter,
    [VB_OP_SCATTER_ADD] = vb_launch_scatter,
    [VB_OP_RESOLVE_CLAIMS] = vb_launch_claims,
    [VB_OP_NONZERO] = vb_launch_nonzero,
    [VB_OP_NONZERO_FILL] = vb_launch_nonzero,
    [VB_OP_INDEX] = vb_launch_index,
    [VB_OP_INDEX_PUT] = vb_launch_index,
    [VB_OP_INDEX_ADD] = vb_launch_index,
    [VB_OP_UNIQUE] = vb_launch_unique,
    [VB_OP_RANGE] = vb_launch_source,
    [VB_OP_UNIFORM] = vb_launch_source,
    [VB_OP_MIX] = vb_launch_elementwise,
    [VB_OP_MATMUL] = vb_launch_matmul,
    [VB_OP_SGD] = vb_launch_update,
    [VB_OP_ADAM_MOMENTS] = vb_launch_update,
    [VB_OP_ADAM_STEP] = vb_launch_update,
    [VB_OP_DECAY] = vb_launch_update,
    [VB_OP_CLIP] = vb_launch_update,
    [VB_OP_UNSCALE] = vb_launch_update,
    [VB_OP_EMA] = vb_launch_update,
    [VB_OP_RESCALE] = vb_launch_rescale,
    [VB_OP_BATCH_NORM] = vb_launch_batch_norm,
    [VB_OP_BATCH_NORM_BACKWARD] = vb_launch_batch_norm_backward,
    [VB_OP_BATCH_NORM_EVAL] = vb_launch_batch_norm_eval,
    [VB_OP_MAX_POOL] = vb_launch_max_pool,
    [VB_OP_MAX_POOL_BACKWARD] = vb_launch_max_pool_backward,
    [VB_OP_AVERAGE_POOL] = vb_launch_average_pool,
    [VB_OP_UPSAMPLE] = vb_launch_resample,
    [VB_OP_UPSAMPLE_BACKWARD] = vb_launch_resample,
    [VB_OP_RESIZE] = vb_launch_resample,
    [VB_OP_NOISE] = vb_launch_pictures,
    [VB_OP_MOSAIC] = vb_launch_pictures,
    [VB_OP_COPY_PASTE] = vb_launch_pictures,
    [VB_OP_FLIP] = vb_launch_flip,
};

enum vb_status vb_launch_find(const struct vb_call *call, struct vb_error *err)
{
    if (call->op == VB_OP_MATMUL && call->n_operands > 0 && call->operands[0].shape.n_dims > 2)
        return vb_fail(
            err, VB_E_UNSUPPORTED,
            "there is no CUDA kernel for products of stacks of matrices, as attention's");
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

static uint32_t blocks_for(uint64_t n, uint64_t in_block)
{
    uint64_t blocks = n / in_block + (n % in_block != 0);
    return (uint32_t)(blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS);
}

struct vb_launch *vb_add_launch(struct vb_launches *out, enum vb_kernel_number kernel, uint64_t n)
{
    return vb_add_blocks(out, kernel, blocks_for(n, VB_BLOCK), 1);
}

struct vb_launch *vb_add_lines(struct vb_launches *out, enum vb_kernel_number kernel,
                               uint64_t n_lines, struct vb_seats seats)
{
    return vb_add_blocks(out, kernel, blocks_for(n_lines, VB_BLOCK >> seats.lanes_log), 1);
}

struct vb_seats vb_seats_for(uint64_t n_lines, uint64_t length, bool across)
{
    struct vb_seats seats = { .across = across };
    /* Threads of a warp that read what lies side by side take whole sectors of memory. */
    uint32_t beside = 1, least = across ? 1 : LEAST_ELEMENTS;
    while (across && beside < WARP && beside < n_lines)
        beside *= 2;
    while (beside << (seats.lanes_log + 1) <= VB_BLOCK &&
           (uint64_t)least << (seats.lanes_log + 1) <= length)
        seats.lanes_log++;
    return seats;
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

enum vb_status vb_refuse_size(const struct vb_cpu_work *work, struct vb_error *err)
{
    return vb_refuse(work, "has a size or a stride beyond 4 G elements", err);
}
