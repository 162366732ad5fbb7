/* SPDX-License-Identifier: Apache-2.0 */
/* The operators that modules are woven from. */

#include <string.h>

#include "base/bytes.h"
#include "model/weave.h"

/* The operator that has just been added uses `n` parameters from `first` on. */
static void use_parameters(struct vb_weave *weave, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n && !weave->failed; i++)
        weave->graph.parameters[first + i].op = weave->graph.n_ops - 1;
}

static uint32_t slid(struct vb_weave *weave, uint32_t size, const struct vb_window *window)
{
    uint64_t padded = (uint64_t)size + 2 * (uint64_t)window->pad;
    uint64_t reach = (uint64_t)window->dilation * (window->kernel_h - 1) + 1;
    if (padded < reach || window->stride == 0) {
        weave->failed = true;
        return 1;
    }
    return (uint32_t)((padded - reach) / window->stride + 1);
}

static uint32_t run_plain_conv(struct vb_weave *weave, const struct vb_block *block, uint32_t x)
{
    struct vb_shape shape = *vb_weave_shape(weave, x);
    shape.dims[1] = block->out;
    shape.dims[2] = slid(weave, shape.dims[2], &block->window);
    shape.dims[3] = slid(weave, shape.dims[3], &block->window);
    struct vb_op *op = vb_weave_op(weave, VB_CONV, &x, 1);
    op->window = block->window;
    op->groups = block->groups;
    op->has_bias = block->has_bias;
    op->weight_elements = (uint64_t)block->out * (block->in / block->groups) *
                          block->window.kernel_h * block->window.kernel_w;
    uint64_t pixels = (uint64_t)shape.dims[0] * shape.dims[2] * shape.dims[3];
    if (!vb_mul(pixels, op->weight_elements, &op->macs))
        weave->failed = true;
    weave->graph.conv_macs += op->macs;
    use_parameters(weave, block->conv_parameter, block->has_bias ? 2 : 1);
    return vb_weave_result(weave, &shape);
}

uint32_t vb_run_transposed(struct vb_weave *weave, const struct vb_block *block, uint32_t x)
{
    struct vb_place outer = vb_weave_move(weave, block->path);
    struct vb_shape shape = *vb_weave_shape(weave, x);
    uint64_t pixels = (uint64_t)shape.dims[0] * shape.dims[2] * shape.dims[3];
    struct vb_op *op = vb_weave_op(weave, VB_CONV_TRANSPOSE, &x, 1);
    op->window = block->window;
    op->has_bias = true;
    op->weight_elements =
        (uint64_t)block->in * block->out * block->window.kernel_h * block->window.kernel_w;
    if (!vb_mul(pixels, op->weight_elements, &op->macs))
        weave->failed = true;
    weave->graph.conv_macs += op->macs;
    use_parameters(weave, block->conv_parameter, 2);
    shape.dims[1] = block->out;
    shape.dims[2] *= block->window.stride;
    shape.dims[3] *= block->window.stride;
    uint32_t y = vb_weave_result(weave, &shape);
    vb_weave_return(weave, &outer);
    return y;
}

uint32_t vb_run_scores(struct vb_weave *weave, uint32_t linear, uint32_t x, uint32_t out)
{
    struct vb_shape shape = *vb_weave_shape(weave, x);
    shape.dims[2] = shape.dims[3] = 1;
    (void)vb_weave_op(weave, VB_AVERAGE, &x, 1);
    uint32_t average = vb_weave_result(weave, &shape);

    shape = (struct vb_shape){ 2, { shape.dims[0], shape.dims[1] } };
    uint32_t flat = vb_run_view(weave, VB_VIEW, average, &shape);
    struct vb_op *op = vb_weave_op(weave, VB_LINEAR, &flat, 1);
    op->has_bias = true;
    op->weight_elements = (uint64_t)shape.dims[1] * out;
    use_parameters(weave, linear, 2);
    shape.dims[1] = out;
    return vb_weave_result(weave, &shape);
}

uint32_t vb_run_conv(struct vb_weave *weave, const struct vb_block *block, uint32_t x)
{
    struct vb_place outer = vb_weave_move(weave, block->path);
    size_t length = strlen(weave->path);

    if (block->has_norm)
        (void)vb_weave_enter(weave, "conv");
    uint32_t y = run_plain_conv(weave, block, x);
    if (block->has_norm) {
        vb_weave_leave(weave, length);
        (void)vb_weave_enter(weave, "bn");
        struct vb_op *op = vb_weave_op(weave, VB_BATCHNORM, &y, 1);
        op->weight_elements = block->out;
        use_parameters(weave, block->norm_parameter, 2);
        if (!weave->failed)
            weave->buffers[block->counter].op = weave->graph.n_ops - 1;
        y = vb_weave_value(weave, vb_weave_shape(weave, y));
        vb_weave_produce(weave, y);
    }
    if (block->activation != VB_ACT_NONE) {
        vb_weave_leave(weave, length);
        (void)vb_weave_enter(weave, "act");
        weave->has_silu = weave->has_silu || block->activation == VB_ACT_SILU;
        y = vb_run_activation(weave, block->activation == VB_ACT_SILU ? VB_SILU : VB_RELU, y);
    }
    vb_weave_return(weave, &outer);
    return y;
}

uint32_t vb_run_activation(struct vb_weave *weave, enum vb_op_kind kind, uint32_t x)
{
    return vb_run_view(weave, kind, x, vb_weave_shape(weave, x));
}

void vb_run_split(struct vb_weave *weave, uint32_t x, uint32_t axis, const uint32_t *sizes,
                  uint32_t n, uint32_t *views)
{
    struct vb_shape shape = *vb_weave_shape(weave, x);
    vb_weave_op(weave, VB_SPLIT, &x, 1)->axis = axis;
    for (uint32_t i = 0; i < n; i++) {
        shape.dims[axis] = sizes[i];
        views[i] = vb_weave_view(weave, x, &shape);
        vb_weave_produce(weave, views[i]);
    }
}

uint32_t vb_run_concat(struct vb_weave *weave, const uint32_t *pieces, uint32_t n)
{
    return vb_run_concat_along(weave, pieces, n, 1);
}

uint32_t vb_run_concat_along(struct vb_weave *weave, const uint32_t *pieces, uint32_t n,
                             uint32_t axis)
{
    struct vb_shape shape = *vb_weave_shape(weave, pieces[0]);
    for (uint32_t i = 1; i < n; i++)
        shape.dims[axis] += vb_weave_shape(weave, pieces[i])->dims[axis];
    vb_weave_op(weave, VB_CONCAT, pieces, n)->axis = axis;
    return vb_weave_result(weave, &shape);
}

uint32_t vb_run_add(struct vb_weave *weave, uint32_t a, uint32_t b)
{
    uint32_t both[] = { a, b };
    (void)vb_weave_op(weave, VB_ADD, both, 2);
    return vb_weave_result(weave, vb_weave_shape(weave, a));
}

uint32_t vb_run_add_at(struct vb_weave *weave, const char *path, uint32_t a, uint32_t b)
{
    struct vb_place outer = vb_weave_move(weave, path);
    uint32_t y = vb_run_add(weave, a, b);
    vb_weave_return(weave, &outer);
    return y;
}

uint32_t vb_run_add_in_place(struct vb_weave *weave, uint32_t a, uint32_t b)
{
    uint32_t both[] = { a, b };
    (void)vb_weave_op(weave, VB_ADD_IN_PLACE, both, 2);
    uint32_t y = vb_weave_view(weave, a, vb_weave_shape(weave, a));
    vb_weave_produce(weave, y);
    return y;
}

uint32_t vb_run_max_pool(struct vb_weave *weave, uint32_t x, uint32_t kernel, uint32_t stride,
                         uint32_t pad)
{
    struct vb_window window = { kernel, kernel, stride, pad, 1 };
    struct vb_shape shape = *vb_weave_shape(weave, x);
    shape.dims[2] = slid(weave, shape.dims[2], &window);
    shape.dims[3] = slid(weave, shape.dims[3], &window);
    vb_weave_op(weave, VB_MAXPOOL, &x, 1)->window = window;
    uint32_t y = vb_weave_result(weave, &shape);
    uint32_t indices = vb_weave_value(weave, &shape);
    if (!weave->failed)
        weave->graph.values[indices].is_int64 = true;
    vb_weave_produce(weave, indices);
    return y;
}

uint32_t vb_run_upsample(struct vb_weave *weave, uint32_t x, uint32_t height, uint32_t width)
{
    struct vb_shape shape = *vb_weave_shape(weave, x);
    shape.dims[2] = height;
    shape.dims[3] = width;
    (void)vb_weave_op(weave, VB_UPSAMPLE, &x, 1);
    return vb_weave_result(weave, &shape);
}

uint32_t vb_run_view(struct vb_weave *weave, enum vb_op_kind kind, uint32_t x,
                     const struct vb_shape *shape)
{
    (void)vb_weave_op(weave, kind, &x, 1);
    uint32_t y = vb_weave_view(weave, x, shape);
    vb_weave_produce(weave, y);
    return y;
}

uint32_t vb_run_view_through(struct vb_weave *weave, uint32_t x, const struct vb_shape *shape)
{
    vb_weave_op(weave, VB_VIEW, &x, 1)->is_viewed_back = true;
    uint32_t y = vb_weave_view(weave, x, shape);
    vb_weave_produce(weave, y);
    return y;
}

uint32_t vb_run_permute(struct vb_weave *weave, uint32_t x, const uint32_t *order)
{
    const struct vb_shape of = *vb_weave_shape(weave, x);
    struct vb_shape shape = of;
    struct vb_op *op = vb_weave_op(weave, VB_PERMUTE, &x, 1);
    for (uint32_t i = 0; i < of.n_dims; i++) {
        op->order[i] = order[i];
        shape.dims[i] = of.dims[order[i]];
    }
    uint32_t y = vb_weave_view(weave, x, &shape);
    vb_weave_produce(weave, y);
    return y;
}

uint32_t vb_run_gain(struct vb_weave *weave, uint32_t parameter, uint32_t x)
{
    struct vb_op *op = vb_weave_op(weave, VB_GAIN, &x, 1);
    op->weight_elements = vb_weave_shape(weave, x)->dims[1];
    use_parameters(weave, parameter, 1);
    return vb_weave_result(weave, vb_weave_shape(weave, x));
}

uint32_t vb_run_clone(struct vb_weave *weave, uint32_t x)
{
    (void)vb_weave_op(weave, VB_CLONE, &x, 1);
    return vb_weave_result(weave, vb_weave_shape(weave, x));
}
