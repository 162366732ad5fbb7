/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_RESIDUALS_H
#define VB_FIT_RESIDUALS_H

/* The residuals as a file, sweeps/published/residuals.csv: what was planned for published runs
 * beside what they printed. A heading of lines that begin with # tells how it was made; then comes
 * a CSV. */

#include "base/text.h"
#include "fit/bands.h"

struct vb_residuals {
    struct vb_residual *rows;
    size_t n;
};

/* What a row of the file has besides, for its reader; a band does not need it. */
struct vb_residual_origin {
    uint32_t line; /* of the file of runs */
    uint32_t batch, imgsz;
    const char *trust, *gpu, *model, *torch, *workspaces, *cudnn, *recipe;
};

/* Cuts `text` in place (base/csv.h) and borrows it. VB_E_INPUT: no such file, with file and line.
 */
VB_CHECKED enum vb_status vb_residuals_parse(const char *file, char *text, size_t bytes,
                                             struct vb_arena *arena, struct vb_residuals *out,
                                             struct vb_error *err);

/* Appends the rows, an origin for each, under their header, as vb_residuals_parse() reads them. */
void vb_residuals_append(const struct vb_residuals *residuals,
                         const struct vb_residual_origin *origins, struct vb_text *out);

#endif
