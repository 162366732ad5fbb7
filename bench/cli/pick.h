/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_PICK_H
#define VB_CLI_PICK_H

/* 'sweep --points N': the points of a grid that tell the most about how far plans are off. */

#include "device/device.h"
#include "fit/calibration.h"
#include "sweep/grid.h"
#include "sweep/journal.h"

enum { CLI_MOST_CANDIDATES = 4096 }; /* of a larger grid, every so many-th point */

struct cli_picked {
    struct vb_point *candidates; /* those of the grid that fit, as planned */
    struct vb_calibration_point *planned;
    size_t n;
    size_t *picks; /* places in `candidates` */
    size_t n_picks;
    double deviation; /* design.h's, where a measured peak has 3 % noise */
};

/* Plans the grid on the virtual device of the device's GPU and leaves `n_picks` of the sweep's
 * points in it; all is the arena's. VB_E_INPUT: such a GPU cannot be planned for, too few points
 * fit, or fewer than a calibration takes are asked for. */
VB_CHECKED enum vb_status cli_pick_points(struct vb_sweep *sweep, const char *text,
                                          const struct vb_device_info *info, struct vb_arena *arena,
                                          struct cli_picked *out, struct vb_error *err);

/* Says on stderr what having only those costs: as worked out, and where the journal holds enough of
 * the grid, by leaving the others out. */
VB_CHECKED enum vb_status cli_tell_cost(const struct cli_picked *picked,
                                        const struct vb_rows *known, const char *device,
                                        struct vb_error *err);

#endif
