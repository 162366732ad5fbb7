/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_RECORD_ON_GPU_H
#define VB_RECORD_ON_GPU_H

/* What only a GPU that is there can tell: what it is, what its driver and CUPTI saw. Texts are ""
 * and numbers 0 where they are not known. */

#include <stdint.h>

/* Read at one moment. */
struct vb_gpu_moment {
    uint64_t sm_mhz, memory_mhz, celsius;
    double watts;
    char throttled[128]; /* why clocks are held down: "none", "power cap, heat (driver)" */
};

/* The work of one operator in one step. */
struct vb_kernel_time {
    char name[32]; /* as the operator's, or "other" */
    double seconds;
    uint64_t launches;
};
enum { VB_N_KERNEL_TIMES = 32 };

struct vb_on_gpu {
    char driver[32], cuda[16], cupti[16]; /* versions: "580.65.06", "13.0", "13.0.85" */
    char pci[24];                         /* where it is: "0000:01:00.0" */
    uint64_t compute_capability;          /* times 100; 0: this was no GPU */
    char ecc[4];                          /* "on", "off" */
    double power_limit_watts;
    uint64_t others_bytes; /* in use when this process began: other processes', the driver's */
    struct vb_gpu_moment before, after; /* of the steps that count */
    char warning[256];                  /* why the times may not be worth their figures */

    char capture[16]; /* "full"; "partial", "none", "off": capture_why says why */
    char capture_why[512];
    uint64_t
        captured_peak_bytes; /* the most that was allocated at once, by anyone in the process */
    uint64_t pool_bytes, cudnn_bytes, rest_bytes; /* whose that was */
    uint64_t dropped_records;
    uint64_t process_bytes;  /* of the driver's count at the end, with the context */
    char process_source[16]; /* "process"; "device": all of the GPU, less what others had before */

    /* Steps of which each kernel was recorded, after those that were timed. */
    double recorded_step_seconds; /* the median; over the timed one: what recording costs */
    uint64_t n_kernel_times;
    struct vb_kernel_time kernels[VB_N_KERNEL_TIMES]; /* the slowest first */
};

#endif
