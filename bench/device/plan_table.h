/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_PLAN_TABLE_H
#define VB_DEVICE_PLAN_TABLE_H

/* Tables of cuDNN's answers on one GPU, as files. The packed ones in sweeps/workspaces/ hold the
 * convolutions of the shipped sweeps, for machines that have no cuDNN; `vrambench oracle --pack`
 * writes them. A line an answer (plan_rows.h) is the other form, that `oracle --format csv` prints.
 */

#include <stdbool.h>

#include "base/text.h"
#include "device/plan_map.h"

struct vb_plan_table {
    char path[4096];
    char gpu[64];
    uint64_t version; /* of the cuDNN that answered */
    uint64_t identity;
    uint32_t compute_capability;
    struct vb_plan_map map;
};

/* Finds and reads the table that serves the GPU: its own, else, before Turing, one of its
 * generation; the newest cuDNN's that supports it where there are several. False: none is shipped,
 * and `*out` is empty. A damaged line is passed over. Clear it after use. */
bool vb_plan_table_find(const struct vb_gpu_spec *gpu, struct vb_plan_table *out);

/* The version of that table, 0 where there is none, from its first line alone. */
uint64_t vb_plan_table_version(const struct vb_gpu_spec *gpu);

/* Reads the table at `path`, of either form. VB_E_INPUT: it cannot be read, is no table, or has a
 * damaged line; with file and line. */
VB_CHECKED enum vb_status vb_plan_table_read(const char *path, struct vb_plan_table *out,
                                             struct vb_error *err);

/* The same from a text, which is cut up. A damaged line is passed over and the first one's number
 * written, else 0. VB_E_INPUT: the first line is not a table's. */
VB_CHECKED enum vb_status vb_plan_table_parse(const char *where, char *text,
                                              struct vb_plan_table *out, size_t *damaged,
                                              struct vb_error *err);
void vb_plan_table_clear(struct vb_plan_table *table);

/* Appends the first line of a table of either form. */
void vb_plan_table_write_header(struct vb_text *text, const struct vb_gpu_spec *gpu,
                                uint64_t version);

/* Writes the answers as a table; `command` goes to its header, as how to make it again. Only
 * answers with TF32 allowed are kept. VB_E_SYSTEM: it cannot be written. */
VB_CHECKED enum vb_status vb_plan_table_write(const char *path, const struct vb_gpu_spec *gpu,
                                              uint64_t version, const char *command,
                                              const struct vb_plan_map *map, struct vb_error *err);

#endif
