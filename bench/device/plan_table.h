/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_PLAN_TABLE_H
#define VB_DEVICE_PLAN_TABLE_H

/* The packed tables in sweeps/workspaces/: cuDNN's answers for the convolutions of the shipped
 * sweeps, one file a GPU, for machines that have no cuDNN. `vrambench oracle --pack` writes them.
 */

#include <stdbool.h>

#include "device/plan_map.h"

struct vb_plan_table {
    char path[4096];
    uint64_t version; /* of the cuDNN that answered */
    struct vb_plan_map map;
};

/* Finds and reads the table of the GPU of that identity, the newest cuDNN's where there are
 * several. False: none is shipped, and `*out` is empty. A damaged line is passed over. Clear it
 * after use. */
bool vb_plan_table_find(uint64_t identity, struct vb_plan_table *out);

/* The version of that table, 0 where there is none, from its first line alone. */
uint64_t vb_plan_table_version(uint64_t identity);

/* Reads the table at `path`. VB_E_INPUT: it cannot be read, or its first line is not a table's. */
VB_CHECKED enum vb_status vb_plan_table_read(const char *path, struct vb_plan_table *out,
                                             struct vb_error *err);
void vb_plan_table_clear(struct vb_plan_table *table);

/* Writes the answers as a table; `command` goes to its header, as how to make it again. Only
 * answers with TF32 allowed are kept. VB_E_SYSTEM: it cannot be written. */
VB_CHECKED enum vb_status vb_plan_table_write(const char *path, const struct vb_gpu_spec *gpu,
                                              uint64_t version, const char *command,
                                              const struct vb_plan_map *map, struct vb_error *err);

#endif
