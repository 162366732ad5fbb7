/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_MEASURED_H
#define VB_CLI_MEASURED_H

/* What a journal holds that was measured on GPUs, gathered for calibrations: of each configuration
 * its points, repeats of one folded to their median, and beside each what the virtual device of the
 * same GPU plans for it. */

#include "device/device.h"
#include "fit/calibration.h"
#include "sweep/journal_each.h"

enum {
    CLI_MOST_SERIES = 1024,
    CLI_MOST_PLANNED = 256, /* points of one fit: of more, every so many-th by size */
};

/* All measured points that differ in nothing but batch and image size. */
struct cli_series {
    struct vb_point point; /* `batch` and `imgsz` are 0 */
    char gpu[64], driver[32], cuda[16], cudnn[32];
    uint32_t compute_capability;
    uint64_t capacity_bytes;
    char planned_with[64];
    const char *why_unplanned; /* NULL: its points are planned */
    struct vb_calibration_point *points;
    size_t n, n_found; /* `n_found`: before only so many were kept */
};

struct cli_measured {
    struct vb_journal_sum sum;
    struct cli_series *series;
    size_t n;
    size_t n_planned, n_elsewhere, n_other_states, n_absurd; /* records not used, and why */
};

/* Reads FOLDER's journal; all is the arena's. VB_E_INPUT: no journal, or nothing was measured on a
 * GPU in it; the text says what is. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_read_measured(const char *folder, struct vb_arena *arena,
                                            struct cli_measured *out, struct vb_error *err);

/* Plans every point that is kept, on the virtual device of each series' GPU. A GPU or point that
 * cannot be planned leaves its series without plans, with the reason. VB_E_SYSTEM: no host memory.
 */
VB_CHECKED enum vb_status cli_plan_measured(struct cli_measured *measured, struct vb_arena *arena,
                                            struct vb_error *err);

/* Plans one point with its workspaces and without; the device has room for anything. `*record` is
 * the first plan. Statuses as vb_measure() has them. */
VB_CHECKED enum vb_status cli_plan_apart(const struct vb_point *point, struct vb_device *boundless,
                                         struct vb_arena *arena, struct vb_record *record,
                                         struct vb_calibration_point *out, struct vb_error *err);

#endif
