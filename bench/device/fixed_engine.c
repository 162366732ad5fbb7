/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithms are IMPLICIT_PRECOMP_GEMM, BWD_DATA_1 and BWD_FILTER_1. cuDNN's legacy algorithms
 * have engines of their own number, 1 each, which work without tensor cores: what fp32 takes.
 *
 * fp16 takes the algorithms' tensor-core forms. Their kernels read NHWC, so that what is read is
 * copied into the workspace in that layout, with channels in eights. The library's own names for
 * the kernels of Volta and Turing say what they write: `..._relu_f2f_exp_..._nhwc2nchw_tn` forward
 * and `..._dgrad_f2f_exp_..._nhwc2nchw_tt` write NCHW in place; only
 * `turing_s1688cudnn_..._wgrad_idx_exp_interior_nhwc_nt` needs both of its inputs copied and its
 * result as well (a profile of it: apache/mxnet, issue 17665). The engines whose workspace is just
 * that - x and w; dy and w; x, dy and w - are 9, 14 and 7. That it is these three is an inference,
 * the one that is not read off code; results/fixed-algorithms holds what others would give.
 */
#include "device/fixed_engine.h"

int64_t vb_fixed_engine(const struct vb_conv *conv, uint32_t compute_capability)
{
    static const int64_t half_engines[] = {
        [VB_CONV_FORWARD] = 9,
        [VB_CONV_BACKWARD_DATA] = 14,
        [VB_CONV_BACKWARD_FILTER] = 7,
    };
    if (compute_capability != VB_TURING || conv->channels_last)
        return VB_PLAN_NONE;
    return conv->type == VB_CONV_FP16 ? half_engines[conv->direction] : 1;
}

static uint64_t eights(uint64_t channels)
{
    return (channels + 7) / 8 * 8;
}

/* Compared with cuDNN 9.19.0's answers for YOLOv5: a 1x1 kernel needs no copy of its weights, a
 * strided backward pass to the data writes dx in the other layout too. */
static uint64_t copies(const struct vb_conv *conv)
{
    const uint64_t half = 2;
    uint64_t p = vb_conv_output_size(conv, conv->h, conv->kernel_h);
    uint64_t q = vb_conv_output_size(conv, conv->w, conv->kernel_w);
    uint64_t taps = (uint64_t)conv->kernel_h * conv->kernel_w;
    uint64_t x = half * conv->n * eights(conv->c) * conv->h * conv->w;
    uint64_t y = half * conv->n * eights(conv->k) * p * q;
    uint64_t w = half * eights(conv->k) * eights(conv->c) * taps;
    bool is_padded = conv->k % 8 != 0 || conv->c % 8 != 0;
    uint64_t copied = taps > 1 || is_padded ? w : 0;
    if (conv->type != VB_CONV_FP16)
        return 0;
    if (conv->direction == VB_CONV_FORWARD)
        return x + copied + (conv->k % 8 != 0 ? y : 0);
    if (conv->direction == VB_CONV_BACKWARD_DATA)
        return y + copied + (conv->stride > 1 ? x : 0);
    return x + y + 3 * w;
}

bool vb_fixed_answer(const struct vb_conv *conv, uint32_t compute_capability,
                     struct vb_plan_answer *out)
{
    int64_t engine = vb_fixed_engine(conv, compute_capability);
    if (engine == VB_PLAN_NONE)
        return false;
    uint64_t bytes = copies(conv);
    *out = (struct vb_plan_answer){ engine, bytes, bytes, bytes };
    return true;
}
