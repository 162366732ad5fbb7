/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_CALIBRATIONS_H
#define VB_CLI_CALIBRATIONS_H

/* Where calibrations lie: in a file, or as calibration.json in a folder and in those of it. */

#include "fit/calibration_find.h"

struct cli_calibrations {
    struct vb_calibrations *items;
    size_t n, room;
};

/* Reads those at `path`, or where that is NULL those of results/ that ship; one of these that
 * cannot be read is passed over with a line on stderr. All is the arena's. VB_E_INPUT: `path` has
 * none, or one that cannot be read. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_find_calibrations(const char *path, struct vb_arena *arena,
                                                struct cli_calibrations *out, struct vb_error *err);

#endif
