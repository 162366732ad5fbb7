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

/* All answers under both rules. That there is no plan is an answer. VB_E_UNSUPPORTED: the planner
 * has no library. */
VB_CHECKED enum vb_status cli_oracle_ask(struct vb_conv_planner *planner,
                                         const struct cli_oracle_convs *convs,
                                         struct vb_plan_map *answers, struct vb_error *err);

/* Asks the library (NULL: the one that is found) about all of them and writes the GPU's table.
 * VB_E_UNSUPPORTED: there is none, or it does not support the GPU. */
VB_CHECKED enum vb_status cli_oracle_pack(const char *gpu, const char *library,
                                          const struct cli_oracle_convs *convs, int argc,
                                          char **argv, struct vb_error *err);

/* Fits sweeps/workspaces/model.csv on the tables that are there and says its error. */
VB_CHECKED enum vb_status cli_oracle_fit(struct vb_error *err);

#endif
