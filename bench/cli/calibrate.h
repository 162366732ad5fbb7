/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_CALIBRATE_H
#define VB_CLI_CALIBRATE_H

/* Calibrations of what was measured: made, printed, written. */

#include "cli/measured.h"
#include "fit/calibration_file.h"

/* What few picked points of a group would have said of its others. */
struct cli_few {
    size_t n_picks, n_points;
    double median, worst; /* relative errors */
};
enum { CLI_N_FEW = 4 };

/* The calibrations of one GPU, driver, cuDNN, model and optimizer: `n` from `first` on. */
struct cli_calibrated_group {
    size_t first, n;
    const struct cli_series *series; /* one of it */
    size_t n_points, n_found, n_repeats;
    struct cli_few few[CLI_N_FEW];
    size_t n_few;       /* 0: too few points to leave any out */
    const char *reason; /* why there is no calibration; NULL: there is */
};

struct cli_calibrated {
    struct vb_calibrations file;
    struct cli_calibrated_group *groups;
    size_t n_groups;
};

/* All of it is the arena's. VB_E_INPUT: no group can be calibrated; the text says why the first
 * cannot. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_calibrate(const struct cli_measured *measured, struct vb_arena *arena,
                                        struct cli_calibrated *out, struct vb_error *err);

/* The tables of 'vrambench fit'; `n_shown` points that were set aside are named at most. */
void cli_print_calibrated(const struct cli_calibrated *calibrated);

/* Writes the file to `path`. Where one is there that the same journal made, its date stays, and
 * `*is_same` tells that nothing had to be written. VB_E_INPUT: another file is there, and `force`
 * is false. VB_E_SYSTEM: it cannot be written. */
VB_CHECKED enum vb_status cli_write_calibrations(struct vb_calibrations *file, const char *path,
                                                 bool force, bool *is_same, struct vb_error *err);

#endif
