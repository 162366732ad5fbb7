/* SPDX-License-Identifier: Apache-2.0 */
#include "device/library_answer.h"

#include "device/fixed_engine.h"

static bool has_nondeterministic(const struct vb_cudnn_candidate *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].is_nondeterministic)
            return true;
    }
    return false;
}

/* What a list of candidates says, of which there is one at most without the range. */
static struct vb_plan_answer answer_of_list(const struct vb_cudnn_candidate *list, size_t n,
                                            bool with_range)
{
    struct vb_plan_answer answer = { .engine = VB_PLAN_NONE };
    if (n > 0) {
        answer.engine = list[0].engine;
        answer.workspace_bytes = answer.low_bytes = answer.high_bytes = list[0].workspace_bytes;
    }
    for (size_t i = 1; i < n; i++) {
        uint64_t bytes = list[i].workspace_bytes;
        answer.low_bytes = bytes < answer.low_bytes ? bytes : answer.low_bytes;
        answer.high_bytes = bytes > answer.high_bytes ? bytes : answer.high_bytes;
    }
    if (n > 0 && !with_range) {
        answer.low_bytes = UINT64_MAX;
        answer.high_bytes = 0;
    }
    return answer;
}

/* The plans that PyTorch would rank first, the last resort where the heuristics give none. */
static enum vb_status list_ranked(const struct vb_cudnn_target *target, const struct vb_conv *conv,
                                  const struct vb_plan_key *key, struct vb_cudnn_bag *kept,
                                  struct vb_cudnn_candidate *out, size_t room, size_t *n,
                                  struct vb_error *err)
{
    const struct vb_cudnn_filter filter = {
        .nondeterministic = key->deterministic != VB_PLAN_ANY,
        .down_converting = true,
        .tensor_core = key->tf32 == 0,
    };
    enum vb_status status =
        vb_cudnn_candidates(target, conv, VB_CUDNN_HEURISTIC, &filter, kept, out, room, n, err);
    if (status == VB_OK && *n == 0)
        status = vb_cudnn_candidates(target, conv, VB_CUDNN_LAST_RESORT, &filter, kept, out, room,
                                     n, err);
    return status;
}

enum vb_status vb_library_candidates(const struct vb_cudnn_target *target,
                                     const struct vb_conv *conv, const struct vb_plan_key *key,
                                     struct vb_cudnn_bag *kept, struct vb_cudnn_candidate *out,
                                     size_t room, size_t *n, struct vb_error *err)
{
    int64_t fixed = VB_PLAN_NONE;
    if (key->deterministic == VB_PLAN_FIXED)
        fixed = vb_fixed_engine(conv, target->compute_capability);
    *n = 1;
    if (fixed != VB_PLAN_NONE && vb_cudnn_engine_plan(target, conv, fixed, kept, out))
        return VB_OK;
    return list_ranked(target, conv, key, kept, out, room, n, err);
}

enum vb_status vb_library_answer(const struct vb_cudnn_target *target, const struct vb_conv *conv,
                                 const struct vb_plan_key *key, bool with_range,
                                 struct vb_plan_answer *out, bool *is_strict, struct vb_error *err)
{
    struct vb_cudnn_candidate found[VB_N_TIMED];
    size_t n = 0;
    enum vb_status status =
        vb_library_candidates(target, conv, key, NULL, found, with_range ? VB_N_TIMED : 1, &n, err);
    if (status == VB_OK) {
        *out = answer_of_list(found, n, with_range);
        *is_strict = !has_nondeterministic(found, n);
    }
    return status;
}
