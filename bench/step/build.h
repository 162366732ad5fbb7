/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_BUILD_H
#define VB_STEP_BUILD_H

/* A point and its graph compiled to a program. */

#include "model/graph.h"
#include "record/point.h"
#include "step/program.h"
#include "step/recipe.h"
#include "step/targets.h"

/* All of the program lives in the arena. `targets` NULL: as many as the point says, drawn.
 * `layout`: what the device that is to run it wants. VB_E_INPUT: the point asks for what the graph
 * cannot be; VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_program_build(const struct vb_graph *graph,
                                           const struct vb_point *point,
                                           const struct vb_recipe *recipe,
                                           const struct vb_targets *targets, enum vb_layout layout,
                                           struct vb_arena *arena, struct vb_program *out,
                                           struct vb_error *err);

#endif
