/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_LIBRARY_ANSWER_H
#define VB_DEVICE_LIBRARY_ANSWER_H

/* What an open cuDNN answers to a question about one convolution. Private to device/. */

#include "device/cudnn_library.h"
#include "device/plan_map.h"

struct vb_library {
    const struct vb_cudnn *cudnn;
    void *device; /* its description of the GPU */
    uint32_t compute_capability;
};

/* The range of what could be timed is asked for only where it is wanted, since it costs several
 * times the first choice. That cuDNN has no plan is an answer too (engine VB_PLAN_NONE). A fixed
 * algorithm that is not known here is answered by the deterministic ranking. `*is_strict`: nothing
 * in the answer is nondeterministic. VB_E_DEVICE: cuDNN fails. */
VB_CHECKED enum vb_status vb_library_answer(const struct vb_library *library,
                                            const struct vb_conv *conv,
                                            const struct vb_plan_key *key, bool with_range,
                                            struct vb_plan_answer *out, bool *is_strict,
                                            struct vb_error *err);

#endif
