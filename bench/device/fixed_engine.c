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

#include "device/plan_map.h"

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
