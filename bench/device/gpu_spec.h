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
    /* Gone before the first segment: with kernels loaded as they are needed (PyTorch 1.13 and
     * later), and all at once (before, or CUDA_MODULE_LOADING=EAGER). Their rules: gpu_spec.c. */
    uint64_t context_bytes;
    uint64_t context_eager_bytes;              /* at least context_bytes, at most capacity_bytes */
    double bandwidth_bytes_per_second;         /* 0: not known */
    double fp32_flops, tf32_flops, fp16_flops; /* peak, dense; 0: not known */
    char *json;                                /* all of the file, as cuDNN reads it; owned */
    uint64_t
        identity; /* a hash of what cuDNN reads: files that differ elsewhere only have the same */
};

/* Finds `gpu`: a name in sweeps/gpus/, a product's name as vb_gpu_spec_find_product() takes it, or
 * the path of a JSON file (with a slash, or ending in .json). Clear it after use. VB_E_INPUT: no
 * such GPU (the text has a suggestion), or a fault in its file. */
VB_CHECKED enum vb_status vb_gpu_spec_find(const char *gpu, struct vb_gpu_spec *out,
                                           struct vb_error *err);

/* Finds the GPU whose product is so named, as drivers and training logs write it ("NVIDIA GeForce
 * RTX 3080 Ti", "Tesla T4"): blanks, capitals and a leading NVIDIA, Tesla, Quadro or GeForce make
 * no difference. Of several of one name (RTX 3080: 10 and 12 GB) it is that nearest to
 * `total_bytes`; 0 is not known, and then the one that is named as the product, else the smallest.
 * Clear it after use. Reads every file: for many products use an index. VB_E_INPUT: as above. */
VB_CHECKED enum vb_status vb_gpu_spec_find_product(const char *product, uint64_t total_bytes,
                                                   struct vb_gpu_spec *out, struct vb_error *err);

/* Reads a file's text, `bytes` long. `name` becomes the GPU's name, `where` begins the text of
 * errors. VB_E_INPUT: not JSON, a key missing, of another type or out of its range; the text has
 * the line. */
VB_CHECKED enum vb_status vb_gpu_spec_parse(const char *name, const char *where, const char *text,
                                            size_t bytes, struct vb_gpu_spec *out,
                                            struct vb_error *err);

/* Zeroed is valid. */
void vb_gpu_spec_clear(struct vb_gpu_spec *spec);

/* "Ampere" for 860. */
const char *vb_gpu_spec_architecture(uint32_t compute_capability);

/* The names in sweeps/gpus/, in the order of the alphabet; the list and its texts are the arena's.
 * VB_E_INPUT: the folder cannot be read. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_gpu_spec_names(struct vb_arena *arena, const char ***names,
                                            size_t *n_names, struct vb_error *err);

/* All of sweeps/gpus/, read once: by compute capability, then memory, then name. Zeroed is empty.
 */
struct vb_gpu_product {
    const char *name;
    const char *key; /* the product's name as it is compared */
    uint32_t compute_capability;
    uint64_t capacity_bytes;
};
struct vb_gpu_index {
    struct vb_gpu_product *products; /* the arena's, as are their texts */
    size_t n;
};

/* VB_E_INPUT: the folder or one of its files cannot be read or has a fault. VB_E_SYSTEM: no host
 * memory. */
VB_CHECKED enum vb_status vb_gpu_index_read(struct vb_arena *arena, struct vb_gpu_index *out,
                                            struct vb_error *err);

/* The name, for vb_gpu_spec_find(), of what vb_gpu_spec_find_product() finds; the index's. */
VB_CHECKED enum vb_status vb_gpu_index_find(const struct vb_gpu_index *index, const char *product,
                                            uint64_t total_bytes, const char **name,
                                            struct vb_error *err);

#endif
