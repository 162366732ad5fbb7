/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/residuals.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

enum column {
    REPOSITORY,
    TRUST,
    LINE,
    GPU,
    ARCHITECTURE,
    FAMILY,
    MODEL,
    BATCH,
    IMGSZ,
    PRECISION,
    TORCH,
    BOXES,
    WORKSPACES,
    CUDNN,
    RECIPE,
    PLANNED,
    OBSERVED,
    N_COLUMNS,
};
static const char *const columns[N_COLUMNS] = {
    "repository", "trust",         "line",   "gpu",           "architecture",   "family",
    "model",      "batch",         "imgsz",  "amp",           "torch",          "boxes",
    "workspaces", "cudnn_version", "recipe", "planned_bytes", "observed_bytes",
};

struct reader {
    const char *file;
    size_t places[N_COLUMNS];
    const struct vb_csv_row *row;
};

static const char *cell(const struct reader *reader, enum column column)
{
    return reader->row->cells[reader->places[column]];
}

/* A number of at least `least`. */
static enum vb_status read_number(const struct reader *reader, enum column column, double least,
                                  double *out, struct vb_error *err)
{
    const char *text = cell(reader, column);
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(*out) || *out < least || *out > 1e18)
        return vb_fail(err, VB_E_INPUT,
                       "%s:%u: %s is '%.40s', expected a number of at least %g; write the file "
                       "anew with 'vrambench validate --residuals'",
                       reader->file, reader->row->line, columns[column], text, least);
    return VB_OK;
}

static enum vb_status read_row(const struct reader *reader, struct vb_residual *out,
                               struct vb_error *err)
{
    double boxes = 0;
    struct vb_traits *traits = &out->traits;
    if (reader->row->fault != NULL)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %s", reader->file, reader->row->line,
                       reader->row->fault);
    *out = (struct vb_residual){
        .repository = cell(reader, REPOSITORY),
        .is_shared = strcmp(cell(reader, TRUST), "A") != 0,
        .traits = { .architecture = cell(reader, ARCHITECTURE),
                    .family = cell(reader, FAMILY),
                    .torch = vb_band_torch(cell(reader, RECIPE)),
                    .precision = strcmp(cell(reader, PRECISION), "0") == 0 ? VB_FP32 : VB_FP16,
                    .has_fitted_workspaces = vb_band_is_fitted(cell(reader, WORKSPACES)) },
    };
    enum vb_status status = read_number(reader, BOXES, 0, &boxes, err);
    if (status == VB_OK)
        status = read_number(reader, PLANNED, 1, &traits->planned_bytes, err);
    if (status == VB_OK)
        status = read_number(reader, OBSERVED, 1, &out->observed_bytes, err);
    traits->boxes = (uint32_t)fmin(boxes, UINT32_MAX);
    return status;
}

/* The heading's lines become empty ones, which a CSV may have, so that lines keep their numbers. */
static void drop_heading(char **text, size_t *bytes)
{
    char *at = *text, *end = *text + *bytes;
    size_t n = 0;
    while (at < end && *at == '#') {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL)
            break;
        at = newline + 1;
        n++;
    }
    memset(at - n, '\n', n);
    *bytes -= (size_t)(at - n - *text);
    *text = at - n;
}

enum vb_status vb_residuals_parse(const char *file, char *text, size_t bytes,
                                  struct vb_arena *arena, struct vb_residuals *out,
                                  struct vb_error *err)
{
    struct vb_csv csv;
    struct reader reader = { .file = file };
    *out = (struct vb_residuals){ 0 };
    drop_heading(&text, &bytes);
    enum vb_status status = vb_csv_parse(file, text, bytes, arena, &csv, err);
    if (status != VB_OK)
        return status;
    for (int i = 0; i < N_COLUMNS; i++) {
        reader.places[i] = vb_csv_column(&csv, columns[i]);
        if (reader.places[i] == csv.n_columns)
            return vb_fail(err, VB_E_INPUT,
                           "%s: column %s is missing; write the file anew with 'vrambench validate "
                           "--residuals'",
                           file, columns[i]);
    }
    out->rows = vb_arena_alloc(arena, csv.n_rows + 1, sizeof *out->rows);
    if (out->rows == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", file);
    for (size_t i = 0; i < csv.n_rows && status == VB_OK; i++) {
        reader.row = &csv.rows[i];
        status = read_row(&reader, &out->rows[out->n++], err);
    }
    return status;
}

void vb_residuals_append(const struct vb_residuals *residuals,
                         const struct vb_residual_origin *origins, struct vb_text *out)
{
    for (int i = 0; i < N_COLUMNS; i++)
        vb_text_append(out, "%s%s", columns[i], i + 1 < N_COLUMNS ? "," : "\n");
    for (size_t i = 0; i < residuals->n; i++) {
        const struct vb_residual *row = &residuals->rows[i];
        const struct vb_residual_origin *origin = &origins[i];
        const struct vb_traits *traits = &row->traits;
        vb_csv_append(row->repository, out);
        vb_text_append(out, ",%s,%" PRIu32 ",%s,%s,%s,%s,%" PRIu32 ",%" PRIu32 ",%d,",
                       origin->trust, origin->line, origin->gpu, traits->architecture,
                       traits->family, origin->model, origin->batch, origin->imgsz,
                       traits->precision != VB_FP32);
        vb_text_append(out, "%s,%" PRIu32 ",%s,%s,%s,%.0f,%.0f\n", origin->torch, traits->boxes,
                       origin->workspaces, origin->cudnn, origin->recipe, traits->planned_bytes,
                       row->observed_bytes);
    }
}
