/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_INTERPRET_LAYERS_H
#define VB_TESTS_STEP_INTERPRET_LAYERS_H

/* The layers' forward operators in double, as loops over what each result reads: for derivatives by
 * differences, so none of them backward. */

#include "interpret_memory.h"

/* The element [n,c,h,w] of an image, or of a convolution's weight. */
static inline double *interpret_pixel(const struct interpreter *in, const struct vb_operand *x,
                                      uint64_t n, uint64_t c, uint64_t h, uint64_t w)
{
    uint64_t at =
        x->offset + n * x->strides[0] + c * x->strides[1] + h * x->strides[2] + w * x->strides[3];
    cr_assert_lt(at, interpret_elements(&in->program->tensors[x->tensor].shape));
    return interpret_memory(in, x) + at;
}

/* Of window element k of an output's place; false where that is padding. */
static inline bool interpret_source_of(const struct vb_window *window, uint32_t place, uint32_t k,
                                       uint32_t size, uint32_t *at)
{
    *at = place * window->stride + k * window->dilation - window->pad;
    return *at < size;
}

static inline double interpret_conv_at(const struct interpreter *in, const struct vb_call *call,
                                       uint32_t n, uint32_t k, uint32_t oh, uint32_t ow)
{
    const struct vb_operand *x = &call->operands[0], *weight = &call->operands[1];
    const struct vb_window *window = &call->window->window;
    const uint32_t *size = weight->shape.dims;
    const uint32_t first = k / (size[0] / call->window->groups) * size[1];
    double sum = 0;
    uint32_t h, w;
    for (uint32_t c = 0; c < size[1]; c++)
        for (uint32_t i = 0; i < size[2]; i++)
            for (uint32_t j = 0; j < size[3]; j++)
                if (interpret_source_of(window, oh, i, x->shape.dims[2], &h) &&
                    interpret_source_of(window, ow, j, x->shape.dims[3], &w))
                    sum += *interpret_pixel(in, x, n, first + c, h, w) *
                           *interpret_pixel(in, weight, k, c, i, j);
    return sum;
}

static inline double interpret_pool_at(const struct interpreter *in, const struct vb_call *call,
                                       uint32_t n, uint32_t c, uint32_t oh, uint32_t ow)
{
    const struct vb_operand *x = &call->operands[0];
    const struct vb_window *window = &call->window->window;
    double largest = -INFINITY;
    uint32_t h, w;
    for (uint32_t i = 0; i < window->kernel_h; i++)
        for (uint32_t j = 0; j < window->kernel_w; j++)
            if (interpret_source_of(window, oh, i, x->shape.dims[2], &h) &&
                interpret_source_of(window, ow, j, x->shape.dims[3], &w))
                largest = fmax(largest, *interpret_pixel(in, x, n, c, h, w));
    return largest;
}

static inline double interpret_norm_at(const struct interpreter *in, const struct vb_call *call,
                                       uint32_t c, double value)
{
    const struct vb_operand *x = &call->operands[0];
    const uint32_t *dims = x->shape.dims;
    const double count = (double)dims[0] * dims[2] * dims[3];
    double mean = 0, variance = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t n = 0; n < dims[0]; n++)
            for (uint32_t i = 0; i < dims[2] * dims[3]; i++) {
                double at = *interpret_pixel(in, x, n, c, i / dims[3], i % dims[3]);
                if (pass == 0)
                    mean += at / count;
                else
                    variance += (at - mean) * (at - mean) / count;
            }
    double weight = interpret_memory(in, &call->operands[1])[c];
    return (value - mean) / sqrt(variance + call->b) * weight +
           interpret_memory(in, &call->operands[2])[c];
}

static inline double interpret_layer_at(const struct interpreter *in, const struct vb_call *call,
                                        const struct vb_operand *y, const uint32_t *at)
{
    const struct vb_operand *x = &call->operands[0];
    if (call->op == VB_OP_CONV)
        return interpret_conv_at(in, call, at[0], at[1], at[2], at[3]);
    if (call->op == VB_OP_MAX_POOL)
        return interpret_pool_at(in, call, at[0], at[1], at[2], at[3]);
    if (call->op == VB_OP_BATCH_NORM)
        return interpret_norm_at(in, call, at[1],
                                 *interpret_pixel(in, x, at[0], at[1], at[2], at[3]));
    return *interpret_pixel(in, x, at[0], at[1], at[2] / (y->shape.dims[2] / x->shape.dims[2]),
                            at[3] / (y->shape.dims[3] / x->shape.dims[3]));
}

static inline void interpret_layer(const struct interpreter *in, const struct vb_call *call)
{
    const struct vb_operand *y = call->op == VB_OP_BATCH_NORM ? &call->operands[7]
                                 : call->op == VB_OP_MAX_POOL
                                     ? &call->operands[1]
                                     : &call->operands[call->n_operands - 1];
    const uint32_t *dims = y->shape.dims;
    for (uint32_t i = 0; i < dims[0] * dims[1] * dims[2] * dims[3]; i++) {
        const uint32_t at[] = { i / (dims[3] * dims[2] * dims[1]),
                                i / (dims[3] * dims[2]) % dims[1], i / dims[3] % dims[2],
                                i % dims[3] };
        *interpret_pixel(in, y, at[0], at[1], at[2], at[3]) = interpret_layer_at(in, call, y, at);
    }
}

static inline void interpret_one_matmul(const struct interpreter *in, const struct vb_operand *all)
{
    const double *x = interpret_memory(in, &all[0]) + all[0].offset;
    const double *z = interpret_memory(in, &all[1]) + all[1].offset;
    double *y = interpret_memory(in, &all[2]) + all[2].offset;
    for (uint32_t i = 0; i < all[2].shape.dims[0]; i++)
        for (uint32_t j = 0; j < all[2].shape.dims[1]; j++) {
            double sum = 0;
            for (uint32_t k = 0; k < all[0].shape.dims[1]; k++)
                sum += x[i * all[0].strides[0] + k * all[0].strides[1]] *
                       z[k * all[1].strides[0] + j * all[1].strides[1]];
            y[i * all[2].strides[0] + j * all[2].strides[1]] = sum;
        }
}

/* Of stacks: one matrix of each after the other, along the first axis. */
static inline void interpret_matmul(const struct interpreter *in, const struct vb_operand *all)
{
    if (all[2].shape.n_dims == 2) {
        interpret_one_matmul(in, all);
        return;
    }
    for (uint32_t at = 0; at < all[2].shape.dims[0]; at++) {
        struct vb_operand part[3];
        for (uint32_t i = 0; i < 3; i++) {
            part[i] = all[i];
            part[i].offset += (uint64_t)at * all[i].strides[0];
            part[i].shape.n_dims--;
            for (uint32_t axis = 0; axis < part[i].shape.n_dims; axis++) {
                part[i].shape.dims[axis] = all[i].shape.dims[axis + 1];
                part[i].strides[axis] = all[i].strides[axis + 1];
            }
        }
        interpret_matmul(in, part);
    }
}

#endif
