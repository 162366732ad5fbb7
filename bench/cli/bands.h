/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_BANDS_H
#define VB_CLI_BANDS_H

/* Between the residuals that ship, bands, and published runs that were planned. */

#include "fit/residuals.h"
#include "report/validation.h"

/* Reads sweeps/published/residuals.csv. VB_E_INPUT: it is not there, or has a fault. */
VB_CHECKED enum vb_status cli_read_residuals(struct vb_arena *arena, struct vb_residuals *out,
                                             struct vb_error *err);

/* "0.02", "2%" or "2 %": above 0 and at most a half; NULL is the usual. VB_E_INPUT: not such. */
VB_CHECKED enum vb_status cli_read_risk(const char *text, double *out, struct vb_error *err);

/* Whether a model is a file of the user's, not a built-in name. */
bool cli_is_own_model(const char *model);

/* What bands are found by, of a point on a GPU of that capability: planned by that recipe, with
 * workspaces from there. `family` (vb_band_family()) and `recipe` are borrowed. */
struct vb_traits cli_traits_of(const struct vb_point *point, const char *family,
                               uint32_t compute_capability, const char *recipe,
                               const char *workspaces, double planned_bytes);

/* Gives each row its intervals, verdict and what widened them, with the rows of its own repository
 * left out. A run is one of a process of its own where its trust is A or not told and `shared` is
 * false. A row for which there is no band has a note. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_apply_bands(struct vb_validation *validation,
                                          const struct vb_residuals *residuals, bool shared,
                                          double risk, struct vb_arena *arena,
                                          struct vb_error *err);

/* The residuals of the rows that can be some: training runs of trust A and B. */
VB_CHECKED enum vb_status cli_take_residuals(const struct vb_validation *validation,
                                             struct vb_arena *arena, struct vb_residuals *out,
                                             struct vb_error *err);

/* Writes them to `path`, with a heading that tells how they were made and what they cover. */
VB_CHECKED enum vb_status cli_write_residuals(const char *path,
                                              const struct vb_validation *validation,
                                              const struct vb_residuals *residuals,
                                              struct vb_arena *arena, struct vb_error *err);

/* That heading: lines that begin with #. For bands.c; it is band_heading.c. */
VB_CHECKED enum vb_status cli_append_heading(const char *path, const char *runs,
                                             const struct vb_residuals *residuals,
                                             struct vb_arena *arena, struct vb_text *out,
                                             struct vb_error *err);

#endif
