/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_LAYERS_H
#define VB_STEP_LAYERS_H

/* The operators that a model is made of, on a tape: what each allocates, keeps and frees, forward
 * and backward. Each gives its result held once; its arguments stay the caller's. Source:
 * torch-memory.md, part A, 4.1 and 4.2; part B, 3, 6, 8 and 9.
 */

#include "step/tape.h"

struct vb_conv_shape {
    struct vb_window window;
    uint32_t groups;
};

/* x [N,C,H,W], weight [K,C/groups,kh,kw], bias [K] or undefined -> [N,K,H',W']. `out` is the
 * result's shape. Autocast casts all three. */
struct vb_variable vb_conv2d(struct vb_tape *tape, struct vb_variable x, struct vb_variable weight,
                             struct vb_variable bias, const struct vb_conv_shape *conv,
                             const struct vb_shape *out);

/* The transposed: x [N,C,H,W], weight [C,K,kh,kw], bias [K] -> [N,K,H',W']. It is the convolution
 * from y to x, run backwards, and `conv` is that one's. Source:
 * aten/src/ATen/native/cudnn/ConvShared.cpp, cudnn_convolution_transpose and its backward. */
struct vb_variable vb_conv_transpose2d(struct vb_tape *tape, struct vb_variable x,
                                       struct vb_variable weight, struct vb_variable bias,
                                       const struct vb_conv_shape *conv,
                                       const struct vb_shape *out);

/* A batch normalisation's tensors, of one number a channel, and its numbers. */
struct vb_norm {
    struct vb_variable weight, bias;
    struct vb_variable mean, variance; /* running */
    double momentum, epsilon;
};

/* Training mode: keeps x, and mean and inverse deviation of each channel in fp32. Fused: x itself.
 */
struct vb_variable vb_batch_norm(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_norm *norm);

/* In place: autograd keeps a copy of what was there. The result is x's storage. */
struct vb_variable vb_silu_in_place(struct vb_tape *tape, struct vb_variable x);

/* In place; keeps its result. */
struct vb_variable vb_relu_in_place(struct vb_tape *tape, struct vb_variable x);

/* Keeps x and the int64 indices. */
struct vb_variable vb_max_pool2d(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_window *window, const struct vb_shape *out);

/* Without padding; keeps x. Source: aten/src/ATen/native/cuda/AveragePool2d.cu, whose one kernel is
 * made of others here: the memory is the same. */
struct vb_variable vb_avg_pool2d(struct vb_tape *tape, struct vb_variable x,
                                 const struct vb_window *window, const struct vb_shape *out);

/* Zeros to the right of x and below, up to `out`; keeps nothing. Source:
 * aten/src/ATen/native/PadNd.cpp. */
struct vb_variable vb_zero_pad(struct vb_tape *tape, struct vb_variable x,
                               const struct vb_shape *out);

/* Nearest, to `out`. */
struct vb_variable vb_upsample(struct vb_tape *tape, struct vb_variable x,
                               const struct vb_shape *out);

/* Along `axis`; the result's type is the widest of theirs. */
struct vb_variable vb_concat(struct vb_tape *tape, const struct vb_variable *pieces, uint32_t n,
                             uint32_t axis);

/* Images of one shape along a new first axis; the result's type is the widest of theirs. */
struct vb_variable vb_pile(struct vb_tape *tape, const struct vb_variable *pieces, uint32_t n);

/* x summed over its first axis; autocast: in fp32. Keeps nothing. */
struct vb_variable vb_sum_first(struct vb_tape *tape, struct vb_variable x);

/* The last two axes in the other order: a view. */
struct vb_variable vb_transpose(struct vb_tape *tape, struct vb_variable x);

/* Views of `n` stretches along `axis`, `sizes` long; together they are all of x. `gives[i]` false:
 * nobody takes that one. Each view that is given is held once. */
void vb_split(struct vb_tape *tape, struct vb_variable x, uint32_t axis, const uint32_t *sizes,
              uint32_t n, struct vb_variable *views);

/* The same storage in another shape, or with its axes in another order (result's axis i is x's
 * `order[i]`). */
struct vb_variable vb_view(struct vb_tape *tape, struct vb_variable x, const struct vb_shape *out);
/* The same where the gradient, too, can be seen in x's shape, whatever order it lies in. */
struct vb_variable vb_view_through(struct vb_tape *tape, struct vb_variable x,
                                   const struct vb_shape *out);
struct vb_variable vb_permute(struct vb_tape *tape, struct vb_variable x, const uint32_t *order);

/* Every second pixel from the `quarter`th of four on, which lie in the order of columns: a view, as
 * Focus takes all four of. */
struct vb_variable vb_every_second(struct vb_tape *tape, struct vb_variable x, uint32_t quarter,
                                   const struct vb_shape *out);

/* .contiguous(): a copy in the order of the axes; x itself, held once more, where it is so already.
 */
struct vb_variable vb_contiguous(struct vb_tape *tape, struct vb_variable x);

/* adaptive_avg_pool2d to one pixel: [N,C,H,W] -> `out`; keeps nothing. */
struct vb_variable vb_average(struct vb_tape *tape, struct vb_variable x,
                              const struct vb_shape *out);

/* x [N,C], weight [K,C], bias [K] -> [N,K]; keeps x and the weight. Autocast casts all three. */
struct vb_variable vb_linear(struct vb_tape *tape, struct vb_variable x, struct vb_variable weight,
                             struct vb_variable bias);

/* The same storage, through which no gradient flows. */
struct vb_variable vb_detach(struct vb_tape *tape, struct vb_variable x);

/* x [N,C,H,W] times gain [C]; keeps both. Not cast: the result's type is the wider one. */
struct vb_variable vb_gain(struct vb_tape *tape, struct vb_variable x, struct vb_variable gain);

/* x [..,m,k], z [..,k,n] -> [..,m,n]: keeps both. Autocast casts both. */
struct vb_variable vb_matmul(struct vb_tape *tape, struct vb_variable x, struct vb_variable z);

/* Emits y = x z, which autograd knows nothing of. */
void vb_run_products(struct vb_tape *tape, struct vb_variable x, struct vb_variable z,
                     struct vb_variable y);

/* A copy in the order of the axes that autograd knows nothing of; x itself, held once more, where
 * it is in order already. */
struct vb_variable vb_in_order(struct vb_tape *tape, struct vb_variable x);

/* For backward functions: a parameter's gradient stays until it is zeroed and is named after the
 * parameter. */
struct vb_variable vb_parameter_gradient(struct vb_tape *tape, const struct vb_variable *parameter);

#endif
