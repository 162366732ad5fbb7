/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CONV_PLAN_H
#define VB_DEVICE_CONV_PLAN_H

/* What cuDNN would do for a convolution on a GPU that need not be there: the plan that PyTorch
 * would take, and its workspace. Asked of the library where it can be opened, else looked up in the
 * table that ships, else worked out by a fitted model; the answer says which. Plain C: no cuDNN
 * type. One thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "device/gpu_spec.h"

enum vb_conv_direction { VB_CONV_FORWARD, VB_CONV_BACKWARD_DATA, VB_CONV_BACKWARD_FILTER };
enum vb_conv_type { VB_CONV_FP32, VB_CONV_FP16, VB_CONV_BF16 };

struct vb_conv {
    enum vb_conv_direction direction;
    enum vb_conv_type type;
    bool channels_last;
    uint32_t n, c, h, w; /* of x */
    uint32_t k;          /* channels of y */
    uint32_t kernel_h, kernel_w, stride, pad, dilation, groups;
};

/* Of y, along an axis of x with that size and kernel; 0: the kernel does not fit in. */
static inline uint64_t vb_conv_output_size(const struct vb_conv *conv, uint32_t size,
                                           uint32_t kernel)
{
    uint64_t window = (uint64_t)conv->dilation * (kernel - 1) + 1;
    uint64_t padded = (uint64_t)size + 2 * (uint64_t)conv->pad;
    return padded < window ? 0 : (padded - window) / conv->stride + 1;
}

/* torch.backends.cudnn's settings, and PyTorch's own rule. */
struct vb_conv_rules {
    bool deterministic;
    bool tf32;
    bool benchmark;
    bool fixed; /* deterministic without benchmark: fixed algorithms, nothing is ranked */
};

struct vb_conv_plan {
    enum vb_conv_source { VB_CONV_LIBRARY, VB_CONV_TABLE, VB_CONV_FITTED } source;
    int64_t engine; /* cuDNN's global index; -1: not known */
    uint64_t workspace_bytes;
    uint64_t low_bytes,
        high_bytes; /* benchmark: of the first ten that could be chosen; else equal */
    uint32_t kept;  /* of a device that runs it: which of those that it keeps */
};

struct vb_conv_planner;
struct vb_plan_table;

/* Where answers are to come from, in place of whatever is found. At most one is set. */
struct vb_conv_origin {
    const char *library;               /* as vb_cudnn_open_at() takes it */
    const struct vb_plan_table *table; /* borrowed until the planner is closed */
};

/* `gpu` is borrowed until the planner is closed. Never fails for want of cuDNN: see the source of
 * its answers. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_conv_planner_open(const struct vb_gpu_spec *gpu,
                                               struct vb_conv_planner **out, struct vb_error *err);

/* The same with all answers of that origin, and none of another: what a table does not hold is
 * VB_E_UNSUPPORTED when asked for. VB_E_INPUT: there is no such library. VB_E_UNSUPPORTED: it
 * cannot be used, or not for this GPU. One process opens one library only. */
VB_CHECKED enum vb_status vb_conv_planner_open_from(const struct vb_gpu_spec *gpu,
                                                    const struct vb_conv_origin *origin,
                                                    struct vb_conv_planner **out,
                                                    struct vb_error *err);

/* The compute capability of the oldest GPUs that every cuDNN 9 supports. */
enum { VB_TURING = 750 };

/* Whether that version of cuDNN still supports GPUs of that compute capability (times 100). One
 * that does not answers all the same, from a handful of engines that no version for such a GPU
 * would take. */
bool vb_conv_is_supported(uint64_t cudnn_version, uint32_t compute_capability);

/* Writes the on-disk cache if there is something new. May be NULL. */
void vb_conv_planner_close(struct vb_conv_planner *planner);

/* VB_E_UNSUPPORTED: cuDNN has no plan for it on this GPU. */
VB_CHECKED enum vb_status vb_conv_planner_plan(struct vb_conv_planner *planner,
                                               const struct vb_conv *conv,
                                               const struct vb_conv_rules *rules,
                                               struct vb_conv_plan *out, struct vb_error *err);

/* Whether PyTorch runs it with a kernel of its own, which has no workspace: depthwise ones, by
 * rules.
 */
bool vb_conv_is_native(const struct vb_conv *conv);

/* Whether cuDNN itself was opened. */
bool vb_conv_planner_has_asked(const struct vb_conv_planner *planner);

/* The version of the cuDNN whose answers these are, as 91900; 0: none (fitted). */
uint64_t vb_conv_planner_version(const struct vb_conv_planner *planner);

#endif
