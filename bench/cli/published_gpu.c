/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/published_gpu.h"

#include <string.h>

/* The profile of that product; the index of all is read for the first. */
static enum vb_status find_profile(struct cli_gpus *known, const char *product,
                                   uint64_t total_bytes, struct vb_arena *arena,
                                   struct vb_gpu_spec *out, struct vb_error *err)
{
    const char *name = NULL;
    enum vb_status status =
        known->index.n == 0 ? vb_gpu_index_read(arena, &known->index, err) : VB_OK;
    if (status == VB_OK)
        status = vb_gpu_index_find(&known->index, product, total_bytes, &name, err);
    return status == VB_OK ? vb_gpu_spec_find(name, out, err) : status;
}

const struct cli_gpu *cli_find_gpu(struct cli_gpus *known, const char *product,
                                   uint64_t total_bytes, struct vb_arena *arena)
{
    struct vb_gpu_spec spec = { 0 };
    struct vb_error err = { 0 };
    for (size_t i = 0; i < known->n; i++) {
        if (known->items[i].total_bytes == total_bytes &&
            strcmp(known->items[i].product, product) == 0)
            return &known->items[i];
    }
    known->items = vb_arena_grow(arena, known->items, known->n, &known->room, sizeof *known->items);
    if (known->items == NULL)
        return NULL;
    struct cli_gpu *gpu = &known->items[known->n++];
    *gpu = (struct cli_gpu){ product, total_bytes, "", "", NULL };
    if (find_profile(known, product, total_bytes, arena, &spec, &err) == VB_OK) {
        gpu->name = vb_arena_copy(arena, spec.name);
        gpu->architecture = vb_gpu_spec_architecture(spec.compute_capability);
    } else {
        gpu->reason = vb_arena_format(arena, "no profile of GPU '%.60s'", product);
    }
    vb_gpu_spec_clear(&spec);
    return gpu->name != NULL && (gpu->name[0] != '\0' || gpu->reason != NULL) ? gpu : NULL;
}
