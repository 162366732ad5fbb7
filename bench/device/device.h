/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_DEVICE_H
#define VB_DEVICE_DEVICE_H

/* A device holds raw memory and runs operators. It decides nothing about lifetimes: the pool
 * (memory/pool.h) asks it for segments, the executor (device/execute.h) tells it what to run.
 *
 * `virtual:GPU` plans, `cpu` and `cpu:THREADS` compute on this machine, `cuda:N` on its GPUs. To
 * add a kind, read device/kind.h. A device serves one thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "device/conv_plan.h"
#include "record/record.h"
#include "step/program.h"

struct vb_device;

/* An address in a device's memory: a number, so that no host code follows it by mistake. */
typedef uint64_t vb_address;

struct vb_segment {
    vb_address address;
    uint64_t bytes;
};

struct vb_device_info {
    char name[64];                /* as the user writes it: "cuda:0", "virtual:t4" */
    char product[64];             /* as the vendor does: "Tesla T4" */
    uint64_t capacity_bytes;      /* all of its memory, as its driver reports it */
    uint64_t context_bytes;       /* gone before the first segment: context, kernels, handles */
    uint64_t context_eager_bytes; /* the same where all kernels are loaded at once; 0: not told */
    uint64_t granularity_bytes;   /* segments are multiples of this power of two */
    uint64_t cudnn_version;       /* whose plans these are, as 91900; 0: none */
    uint32_t compute_capability;  /* times 100; 0: no GPU */
    uint32_t threads;             /* that operators run on; 0: on a GPU */
    char onednn[32];              /* version of oneDNN that runs them; "": none */
    /* How the programs lie that it runs; VB_ONLY_PLANNED: it needs to know of no operands;
     * VB_IN_ORDER: as PyTorch has them, which is with the channels last where a point says so. */
    enum vb_layout layout;
    bool settles;  /* steps are timed until their median is known well enough */
    bool measures; /* false: every number that it gives is planned */
};

/* One operator's work: for a device that models time the call alone. */
struct vb_work {
    const struct vb_call *call;
    const struct vb_conv_plan *plan; /* of a convolution, for a device that plans; else NULL */
    const vb_address *tensors; /* where the tensor of each operand begins; 0: it is not given, or
                                * has no elements */
    vb_address workspace;      /* as many bytes as its plan says; 0: none */
    uint32_t update;           /* number of the optimizer's step, from 1 */
};

/* Opens the device called `name`; the caller closes it. `*out` is set on success only.
 * VB_E_INPUT: no such kind or GPU; the text lists those there are.
 * VB_E_DEVICE: there is one, but it does not start. */
VB_CHECKED enum vb_status vb_device_open(const char *name, struct vb_device **out,
                                         struct vb_error *err);

/* Opens virtual:`gpu` with convolutions answered from that origin alone. Statuses as
 * vb_conv_planner_open_from() has them. */
VB_CHECKED enum vb_status vb_device_open_virtual(const char *gpu,
                                                 const struct vb_conv_origin *origin,
                                                 struct vb_device **out, struct vb_error *err);

/* Opens the virtual device called `name` with memory that no step fills, for what a point needs
 * wherever it fits. Its capacity is no GPU's. VB_E_INPUT: as vb_device_open(), or not virtual. */
VB_CHECKED enum vb_status vb_device_open_boundless(const char *name, struct vb_device **out,
                                                   struct vb_error *err);

/* The same of a virtual device that is open, which gives the answers to its questions: close it
 * before that one. VB_E_INPUT: the device is not virtual. */
VB_CHECKED enum vb_status vb_device_open_boundless_of(struct vb_device *device,
                                                      struct vb_device **out, struct vb_error *err);

/* Whether a virtual device had to ask cuDNN itself, and has it open since: which takes time, and
 * should not be inherited by another process. */
bool vb_device_has_asked(const struct vb_device *device);

/* From now on the device has no more than `bytes` in all. VB_E_INPUT: its context alone takes them.
 */
VB_CHECKED enum vb_status vb_device_limit(struct vb_device *device, uint64_t bytes,
                                          struct vb_error *err);

/* Gives back whatever is still reserved. `device` may be NULL. */
void vb_device_close(struct vb_device *device);

/* Valid until the device is closed. */
const struct vb_device_info *vb_device_info(const struct vb_device *device);

/* How a program has to lie that the device is to run. */
enum vb_layout vb_device_layout(const struct vb_device *device, bool channels_last);

/* Takes `bytes`, more than 0, from the device, rounded up to its granularity. The segment is the
 * caller's until vb_device_release(). `*out` is set on success only.
 * VB_E_NO_FIT: the device has not that much left. */
VB_CHECKED enum vb_status vb_device_reserve(struct vb_device *device, uint64_t bytes,
                                            struct vb_segment *out, struct vb_error *err);

/* `segment` came from vb_device_reserve() on this device and was not released since; its bytes may
 * be those given or those asked for. */
void vb_device_release(struct vb_device *device, struct vb_segment segment);

/* What the device still has. */
uint64_t vb_device_free_bytes(const struct vb_device *device);

/* Tells that `bytes` of a segment are taken for a tensor, or free again, so that a device whose
 * memory can be touched may make mistakes show: VRAMBENCH_POISON=1 fills both with NaN, and under
 * AddressSanitizer what is free cannot be read. */
void vb_device_mark(struct vb_device *device, vb_address address, uint64_t bytes, bool is_taken);

/* What a convolution's call asks cuDNN, of tensors that lie so. */
struct vb_conv vb_conv_of_call(const struct vb_call *call, bool channels_last);

/* Whether convolutions run, or would, with plans that rules choose (cuDNN's); else what one needs
 * is asked as of any call. */
bool vb_device_plans(const struct vb_device *device);

/* The plan that the device would run `conv` with. VB_E_UNSUPPORTED: it has none. */
VB_CHECKED enum vb_status vb_device_plan(struct vb_device *device, const struct vb_conv *conv,
                                         const struct vb_conv_rules *rules,
                                         struct vb_conv_plan *out, struct vb_error *err);

/* Runs the plans that could be chosen for the convolution and need no more than `workspace_bytes`;
 * from now on the fastest is the one that is given. What only plans has nothing to time. */
VB_CHECKED enum vb_status vb_device_time_plans(struct vb_device *device, const struct vb_work *work,
                                               uint64_t workspace_bytes, struct vb_error *err);

/* Scratch that a device which executes (its layout is not VB_ONLY_PLANNED) needs while it runs the
 * call. VB_E_UNSUPPORTED: it cannot run it. */
VB_CHECKED enum vb_status vb_device_workspace(struct vb_device *device, const struct vb_call *call,
                                              uint64_t *bytes, struct vb_error *err);

/* Copies `bytes` of the memory of a device that executes to the host. */
VB_CHECKED enum vb_status vb_device_read(struct vb_device *device, vb_address address, void *out,
                                         size_t bytes, struct vb_error *err);

/* Runs one operator; a device that plans adds its modelled time. */
VB_CHECKED enum vb_status vb_device_run(struct vb_device *device, const struct vb_work *work,
                                        struct vb_error *err);

/* From now on the device records each kernel's time, or does not any more. False: it does not
 * change. */
bool vb_device_watch(struct vb_device *device, bool records);

/* The steps that count begin, or are done: what the device's clocks and sensors say of them. */
enum vb_moment { VB_MOMENT_BEFORE, VB_MOMENT_AFTER };
void vb_device_note(struct vb_device *device, enum vb_moment moment);

/* What a device that measures knows beyond the pool's figures, to the record of what it ran; the
 * pool has given nothing back yet. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_device_tell(struct vb_device *device, struct vb_record *record,
                                         struct vb_error *err);

/* What each operator took in one of the so many steps that were watched, and what is not known of
 * it; 0: none was. VB_E_SYSTEM: as above. */
VB_CHECKED enum vb_status vb_device_tell_work(struct vb_device *device, uint32_t steps,
                                              struct vb_record *record, struct vb_error *err);

/* What cuDNN says of a GPU that is there: the properties of sweeps/gpus/, as JSON; the caller gives
 * it to free(). VB_E_UNSUPPORTED: the device is none. VB_E_DEVICE: cuDNN does not say. */
VB_CHECKED enum vb_status vb_device_describe(struct vb_device *device, char **json,
                                             struct vb_error *err);

/* Seconds of work since the last call, measured or modelled; waits for the device. */
VB_CHECKED enum vb_status vb_device_elapsed(struct vb_device *device, double *seconds,
                                            struct vb_error *err);

#endif
