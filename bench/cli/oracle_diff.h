/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ORACLE_DIFF_H
#define VB_CLI_ORACLE_DIFF_H

/* `vrambench oracle --diff`: what a cuDNN upgrade does to workspaces and, given a sweep, to the
 * peaks of its points. */

#include "cli/oracle.h"
#include "device/plan_diff.h"
#include "sweep/grid.h"

enum cli_oracle_format { CLI_ORACLE_MD, CLI_ORACLE_CSV, CLI_ORACLE_JSON };

struct cli_oracle_diff {
    const char *was, *is; /* a table's file or a library, as --cudnn takes it */
    const char *gpu;      /* to ask a library about and to plan for; NULL: the table's */
    const struct cli_oracle_convs *convs; /* to ask a library about */
    const char *sweep;                    /* an INI file whose points are planned; may be NULL */
    double threshold;                     /* the growth of a point's peak that is not to pass */
    enum cli_oracle_format format;
};

/* One point under both. */
struct cli_oracle_point {
    struct vb_point point;
    enum cli_oracle_change {
        CLI_POINT_COMPARED,
        CLI_POINT_FITS_NO_MORE,
        CLI_POINT_FITS_NOW,
        CLI_POINT_FITS_NEVER,
        CLI_POINT_UNANSWERED, /* a table has no answer for one of its convolutions */
    } change;
    uint64_t was_bytes, is_bytes; /* peak reserved, where it fits */
};
extern const char *const cli_oracle_change_names[5];

struct cli_oracle_points {
    struct cli_oracle_point *items; /* the largest change first */
    size_t n;
    size_t n_of[5];                       /* by change */
    size_t n_grown, n_shrunk, n_failing;  /* failing: beyond the threshold, or fits no more */
    uint64_t sum_was_bytes, sum_is_bytes; /* of those compared */
};

/* Plans every point of the file's sweeps with both tables' answers. */
VB_CHECKED enum vb_status
cli_oracle_plan_points(const struct cli_oracle_diff *request, const struct vb_plan_table *was,
                       const struct vb_plan_table *is, struct vb_arena *arena,
                       struct cli_oracle_points *out, struct vb_error *err);

/* The share by which a compared point's peak grew. */
double cli_oracle_growth(const struct cli_oracle_point *point);

/* `points` is NULL where no sweep was given. */
VB_CHECKED enum vb_status
cli_oracle_print_diff(const struct cli_oracle_diff *request, const struct vb_plan_table *was,
                      const struct vb_plan_table *is, const struct vb_plan_diff *diff,
                      const struct cli_oracle_points *points, struct vb_error *err);

/* Compares and prints. `*exit_status` is 1 where a point grows by more than the threshold or fits
 * no more; without a sweep, where any answer differs. VB_E_INPUT: the two cannot be compared. */
VB_CHECKED enum vb_status cli_oracle_diff(const struct cli_oracle_diff *request, int *exit_status,
                                          struct vb_error *err);

#endif
