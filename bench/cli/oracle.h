/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ORACLE_H
#define VB_CLI_ORACLE_H

/* The parts of `vrambench oracle`: which convolutions to ask about, and packing the answers. */

#include "cli/arguments.h"
#include "device/plan_map.h"
#include "record/point.h"

/* Convolutions, each once, in the order in which they came; the map's answers are empty. */
struct cli_oracle_convs {
    struct vb_plan_map map;
};

/* Adds the convolutions of the point's model. VB_E_INPUT: as vb_catalogue_expand(). */
VB_CHECKED enum vb_status cli_oracle_add(struct cli_oracle_convs *convs,
                                         const struct vb_point *point, struct vb_error *err);

/* The same for every point of every sweep of an INI file. */
VB_CHECKED enum vb_status cli_oracle_add_sweeps(struct cli_oracle_convs *convs, const char *path,
                                                struct vb_error *err);

/* All known GPUs, or rtx3090. */
VB_CHECKED enum vb_status cli_oracle_default_gpus(bool all, struct vb_arena *arena,
                                                  struct cli_values *gpus, struct vb_error *err);

/* Asks the library about all of them with nondeterministic engines allowed and not, and writes the
 * GPU's table. VB_E_UNSUPPORTED: there is no library. */
VB_CHECKED enum vb_status cli_oracle_pack(const char *gpu, const struct cli_oracle_convs *convs,
                                          int argc, char **argv, struct vb_error *err);

/* Fits sweeps/workspaces/model.csv on the tables that are there and says its error. */
VB_CHECKED enum vb_status cli_oracle_fit(struct vb_error *err);

/* Prints the answers that two tables have in common and that differ; `*exit_status` 1 if any does.
 */
VB_CHECKED enum vb_status cli_oracle_diff(const char *path_a, const char *path_b, int *exit_status,
                                          struct vb_error *err);

#endif
