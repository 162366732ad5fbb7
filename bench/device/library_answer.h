/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_LIBRARY_ANSWER_H
#define VB_DEVICE_LIBRARY_ANSWER_H

/* What an open cuDNN answers to a question about one convolution. Private to device/. */

#include "device/cudnn_backend.h"
#include "device/plan_map.h"

enum { VB_N_TIMED = 10 }; /* torch.backends.cudnn.benchmark_limit */

/* The first `room` plans that PyTorch would take or time, in its order: the fixed algorithm's, else
 * mode A's ranking without the engines that the settings exclude, else the list of last resort. A
 * fixed algorithm that is not known here is answered by the deterministic ranking. None is an
 * answer. `kept`: as vb_cudnn_candidates() has it. VB_E_DEVICE: cuDNN fails. */
VB_CHECKED enum vb_status
vb_library_candidates(const struct vb_cudnn_target *target, const struct vb_conv *conv,
                      const struct vb_plan_key *key, struct vb_cudnn_bag *kept,
                      struct vb_cudnn_candidate *out, size_t room, size_t *n, struct vb_error *err);

/* The range of what could be timed is asked for only where it is wanted, since it costs several
 * times the first choice. That cuDNN has no plan is an answer too (engine VB_PLAN_NONE).
 * `*is_strict`: nothing in the answer is nondeterministic. VB_E_DEVICE: cuDNN fails. */
VB_CHECKED enum vb_status vb_library_answer(const struct vb_cudnn_target *target,
                                            const struct vb_conv *conv,
                                            const struct vb_plan_key *key, bool with_range,
                                            struct vb_plan_answer *out, bool *is_strict,
                                            struct vb_error *err);

#endif
