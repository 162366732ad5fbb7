/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_WORKSPACE_MODEL_H
#define VB_DEVICE_WORKSPACE_MODEL_H

/* A guess at a convolution's workspace where there is neither cuDNN nor a table for the GPU: for
 * each compute capability, type, direction and kind of kernel, the workspace as a share of the
 * three tensors' bytes. Fitted on the packed tables by `vrambench oracle --pack`, in
 * sweeps/workspaces/model.csv with its error. Engines jump from one shape to the next, so a single
 * answer may be far off.
 */

#include "device/plan_map.h"

/* Kernels that engines treat alike. */
enum vb_kernel_class { VB_KERNEL_1X1, VB_KERNEL_STRIDE_1, VB_KERNEL_STRIDE_2, VB_KERNEL_GROUPED };
enum { VB_N_KERNEL_CLASSES = 4, VB_N_CONV_TYPES = 3, VB_N_CONV_DIRECTIONS = 3 };

/* Shares of x + w + y: half of the answers fitted on are below the median, a tenth below `low`, a
 * tenth above `high`. */
struct vb_workspace_share {
    double median, low, high;
    uint32_t n; /* answers fitted on; 0: none */
};

struct vb_workspace_model {
    uint32_t compute_capability; /* of the GPUs that it was fitted on; 0: no model */
    struct vb_workspace_share shares[VB_N_CONV_TYPES][VB_N_CONV_DIRECTIONS][VB_N_KERNEL_CLASSES];
};

/* Reads the fit of the compute capability nearest to the one given. Where there is no file the
 * model is empty, and says a half of the tensors for everything. */
void vb_workspace_model_load(uint32_t compute_capability, struct vb_workspace_model *out);

/* Bytes of x, w and y; UINT64_MAX where that does not fit. */
uint64_t vb_conv_tensor_bytes(const struct vb_conv *conv);

struct vb_plan_answer vb_workspace_model_answer(const struct vb_workspace_model *model,
                                                const struct vb_conv *conv);

/* Fits the deterministic answers of the map. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_workspace_model_fit(const struct vb_plan_map *map,
                                                 uint32_t compute_capability,
                                                 struct vb_workspace_model *out,
                                                 struct vb_error *err);

/* The model's error on a map: the sum of its answers over the sum of the right ones less 1, and the
 * share of answers whose range holds the right one. */
struct vb_workspace_error {
    double sum_error;
    double range_share;
    size_t n;
};
struct vb_workspace_error vb_workspace_model_error(const struct vb_workspace_model *model,
                                                   const struct vb_plan_map *map);

/* Writes all models to sweeps/workspaces/model.csv of the tree. */
VB_CHECKED enum vb_status vb_workspace_model_save(const char *path,
                                                  const struct vb_workspace_model *models, size_t n,
                                                  struct vb_error *err);

#endif
