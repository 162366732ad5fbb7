/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_PUBLISHED_GPU_H
#define VB_CLI_PUBLISHED_GPU_H

/* The GPU that a log names: "NVIDIA A100-SXM4-40GB" to the profile that can be planned for. */

#include <stdint.h>

#include "device/gpu_spec.h"

struct cli_gpu {
    const char *product; /* as written, with the total the key */
    uint64_t total_bytes;
    const char *name;         /* the profile's; "" where there is none, with a reason */
    const char *architecture; /* "Turing"; "" */
    const char *reason;
};

struct cli_gpus {
    struct vb_gpu_index index;
    struct cli_gpu *items;
    size_t n, room;
};

/* Looks it up once for all rows that name it. `total_bytes` 0: not known. NULL: no host memory. */
const struct cli_gpu *cli_find_gpu(struct cli_gpus *known, const char *product,
                                   uint64_t total_bytes, struct vb_arena *arena);

#endif
