/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CUDA_STATE_H
#define VB_DEVICE_CUDA_STATE_H

/* A GPU that is there: what the parts of the cuda device share. Private to device/cuda*. */

#include <stddef.h>

#include "capture/capture.h"
#include "capture/nvml.h"
#include "device/cuda_driver.h"
#include "device/kind.h"
#include "device/library_answer.h"
#include "device/segments.h"
#include "kernels/scratch.h"
#include "launch/launch.h"

/* A question that cuDNN was asked, and the plans that it gave: they are kept until the device is
 * closed, as PyTorch keeps them. */
struct vb_cuda_plans {
    struct vb_plan_key key;
    struct vb_cudnn_bag *bag; /* owned */
    struct vb_cudnn_candidate list[VB_N_TIMED];
    size_t n;
    size_t chosen; /* of the list */
    bool is_timed;
};

/* Memory of the host that a copy to the GPU may still read. */
struct vb_cuda_staged {
    struct vb_cuda_staged *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct vb_cuda {
    struct vb_device base;
    struct vb_capture *capture; /* owned, as all below; NULL: none */
    struct vb_nvml *nvml;
    struct vb_cuda_driver driver;
    CUdevice device;
    CUcontext context;
    CUstream stream;
    CUmodule *modules; /* one an image */
    size_t n_modules;
    CUfunction functions[VB_N_KERNELS];
    CUdeviceptr scratch;
    unsigned char *landing; /* owned: what copies from the GPU write to, until it is waited for */
    size_t landing_bytes;
    CUevent last, now; /* of vb_device_elapsed() */
    bool has_last;
    char bus_id[24];
    int cuda_version; /* that the driver is for, as 13000 */

    struct vb_cudnn cudnn;
    struct vb_cudnn_target target;
    struct vb_cuda_plans *plans;
    size_t n_plans, plans_room;

    struct vb_launch group; /* an update that waits for more of its kind */
    uint64_t group_tag;     /* whose it is */
    bool has_group;

    struct vb_cuda_staged *staged; /* the last one first; until the GPU is waited for */

    struct vb_segments segments; /* that are not released */
    uint64_t lowest_free_bytes;  /* that the driver ever told */
    uint64_t others_bytes;       /* of the GPU in use before the context; 0: not known */

    bool poisons;
    bool is_capture_off; /* the user said so */
    bool is_watched;     /* each kernel is recorded */
    struct vb_nvml_reading moments[2];

    enum vb_status late_status; /* of what could not be told where it happened; VB_OK: nothing */
    struct vb_error late;
};

/* The tag of an operator's work (capture/tag.h); 0 is nobody's. */
static inline uint64_t vb_cuda_tag(enum vb_operator op)
{
    const bool is_conv = vb_operator_is_conv(op);
    return vb_tag(is_conv ? VB_OWNER_CUDNN : VB_OWNER_OTHERS, (uint64_t)op + 1);
}

static inline struct vb_cuda *vb_cuda_of(struct vb_device *base)
{
    return (struct vb_cuda *)base;
}

/* cuda_open.c: makes the context, loads the kernels, starts cuDNN; and undoes what of it was done.
 * VB_E_UNSUPPORTED: a library is missing; VB_E_INPUT: there is no such GPU; VB_E_DEVICE, NO_FIT. */
VB_CHECKED enum vb_status vb_cuda_start(struct vb_cuda *self, int ordinal, struct vb_error *err);
void vb_cuda_stop(struct vb_cuda *self);

/* cuda_conv.c */
VB_CHECKED enum vb_status vb_cuda_plan(struct vb_device *base, const struct vb_conv *conv,
                                       const struct vb_conv_rules *rules, struct vb_conv_plan *out,
                                       struct vb_error *err);
VB_CHECKED enum vb_status vb_cuda_time_plans(struct vb_device *base, const struct vb_work *work,
                                             uint64_t workspace_bytes, struct vb_error *err);
VB_CHECKED enum vb_status vb_cuda_run_conv(struct vb_cuda *self, const struct vb_work *work,
                                           struct vb_error *err);
void vb_cuda_drop_plans(struct vb_cuda *self);

/* cuda_run.c: everything but convolutions. Updates wait until others come that they can be launched
 * together with; flush launches what waits. */
VB_CHECKED enum vb_status vb_cuda_run_kernels(struct vb_cuda *self, const struct vb_work *work,
                                              struct vb_error *err);
VB_CHECKED enum vb_status vb_cuda_flush(struct vb_cuda *self, struct vb_error *err);
/* Waits for the GPU, and looks whether a kernel found a fault. */
VB_CHECKED enum vb_status vb_cuda_synchronize(struct vb_cuda *self, struct vb_error *err);
/* Copies to the host and waits so. Where it fails a copy may still come, which is why it never goes
 * to the caller's memory. */
VB_CHECKED enum vb_status vb_cuda_read(struct vb_cuda *self, CUdeviceptr address, void *out,
                                       size_t bytes, struct vb_error *err);
/* When nothing of it is read any more. */
void vb_cuda_drop_staged(struct vb_cuda *self);

/* cuda_tell.c: what is known of the GPU, and of what happened on it, to a record. */
void vb_cuda_note(struct vb_device *base, enum vb_moment moment);
bool vb_cuda_watch(struct vb_device *base, bool records);
VB_CHECKED enum vb_status vb_cuda_tell(struct vb_device *base, struct vb_record *record,
                                       struct vb_error *err);
VB_CHECKED enum vb_status vb_cuda_tell_work(struct vb_device *base, uint32_t steps,
                                            struct vb_record *record, struct vb_error *err);

#endif
