/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_GPU_SPEC_H
#define VB_DEVICE_GPU_SPEC_H

/* A GPU's properties, from sweeps/gpus/NAME.json or a user's own file of that form. */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct vb_gpu_spec {
    char name[64];               /* as the user writes it: "rtx3090" */
    char product[64];            /* deviceName */
    uint32_t compute_capability; /* times 100: 860 */
    uint64_t capacity_bytes;     /* totalGlobalMem: as the driver reports it, not the nameplate */
    uint64_t context_bytes; /* gone before the first segment; where it comes from: gpu_spec.c */
    double bandwidth_bytes_per_second;         /* 0: not known */
    double fp32_flops, tf32_flops, fp16_flops; /* peak, dense; 0: not known */
    char *json;                                /* all of the file, as cuDNN reads it; owned */
    uint64_t
        identity; /* a hash of what cuDNN reads: files that differ elsewhere only have the same */
};

/* Finds `gpu`: a name in sweeps/gpus/, or the path of a JSON file (with a slash, or ending in
 * .json). Clear it after use. VB_E_INPUT: no such GPU (the text lists those there are, with a
 * suggestion), or a fault in its file. */
VB_CHECKED enum vb_status vb_gpu_spec_find(const char *gpu, struct vb_gpu_spec *out,
                                           struct vb_error *err);

/* Reads a file's text, `bytes` long. `name` becomes the GPU's name, `where` begins the text of
 * errors. VB_E_INPUT: not JSON, a key missing, of another type or out of its range; the text has
 * the line. */
VB_CHECKED enum vb_status vb_gpu_spec_parse(const char *name, const char *where, const char *text,
                                            size_t bytes, struct vb_gpu_spec *out,
                                            struct vb_error *err);

/* Zeroed is valid. */
void vb_gpu_spec_clear(struct vb_gpu_spec *spec);

/* The names in sweeps/gpus/, in the order of the alphabet; the list and its texts are the arena's.
 * VB_E_INPUT: the folder cannot be read. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_gpu_spec_names(struct vb_arena *arena, const char ***names,
                                            size_t *n_names, struct vb_error *err);

#endif
