/* SPDX-License-Identifier: Apache-2.0 */
/* The forms are one table: what each calls the fields. */
#include "fit/published.h"

#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/text.h"
#include "fit/published_row.h"

/* `sign`: a column that only this form has. */
static const struct form {
    const char *sign;
    const char *columns[VB_N_FIELDS];
} forms[VB_N_PUBLISHED_FORMS] = {
    [VB_PUBLISHED_BEST] = { "derived_first_epoch_GiB",
                            { "model", "batch", "imgsz", "gpu", "derived_first_epoch_GiB", "source",
                              "gpu_total_MiB", "torch", "family", "code_version", "params", "amp",
                              "optimizer", "num_classes", "instances_last_batch", "trust" } },
    [VB_PUBLISHED_LOGS] = { "multi_gpu",
                            { "model", "batch", "imgsz", "gpu", "gpu_mem_gb", "source", NULL,
                              "torch_version", "repo_family", NULL, "params", "amp", "optimizer",
                              "num_classes", NULL, NULL, NULL, "note", "multi_gpu" } },
    [VB_PUBLISHED_AUTOBATCH] = { "bwd_ms",
                                 { "model", "batch", "imgsz", "gpu", "gpu_mem_gb", "source",
                                   "gpu_total_gb", "torch_version", "repo_family", NULL, "params",
                                   "amp", [VB_FIELD_BACKWARD] = "bwd_ms",
                                   [VB_FIELD_GFLOPS] = "gflops" } },
    [VB_PUBLISHED_TABLES] = { "reserved_before",
                              { "model", NULL, "imgsz", "gpu", NULL, "source" } },
    [VB_PUBLISHED_OOM] = { "tried_alloc",
                           { "model", "batch", "imgsz", "gpu", NULL,
                             "source", [VB_FIELD_AMP] = "amp", [VB_FIELD_NOTE] = "note" } },
    [VB_PUBLISHED_OWN] = { "gpu_mem",
                           { "model", "batch", "imgsz", "gpu", "gpu_mem", "source", "gpu_total_MiB",
                             "torch", "family", "code_version", "params", "amp", "optimizer",
                             "num_classes", "instances_last_batch", "trust", "unit" } },
};

static bool has_column(const struct vb_csv *csv, const char *name)
{
    return vb_csv_column(csv, name) < csv->n_columns;
}

static bool is_needed(const struct form *form, size_t field)
{
    return field < VB_N_NEEDED_FIELDS && form->columns[field] != NULL;
}

/* A user's own header with a column missing is still taken for one, so that the text can name it.
 */
static enum vb_status find_form(const char *file, const struct vb_csv *csv,
                                enum vb_published_form *out, struct vb_error *err)
{
    size_t found = 0;
    while (found < VB_N_PUBLISHED_FORMS && !has_column(csv, forms[found].sign))
        found++;
    for (size_t i = 0; i < VB_N_NEEDED_FIELDS && found == VB_N_PUBLISHED_FORMS; i++) {
        if (has_column(csv, forms[VB_PUBLISHED_OWN].columns[i]))
            found = VB_PUBLISHED_OWN;
    }
    if (found == VB_N_PUBLISHED_FORMS)
        return vb_fail(err, VB_E_INPUT,
                       "%s:1: '%.64s' is no header of runs; expected model,batch,imgsz,gpu,gpu_mem "
                       "and more, or one of sweeps/published/",
                       file, csv->columns[0]);
    for (size_t i = 0; i < VB_N_NEEDED_FIELDS; i++) {
        const char *column = forms[found].columns[i];
        if (!is_needed(&forms[found], i) || has_column(csv, column))
            continue;
        const char *near = vb_text_nearest(column, csv->columns, csv->n_columns);
        if (near != NULL && strcmp(near, "gpu") == 0)
            near = NULL; /* not for gpu_mem */
        return vb_fail(err, VB_E_INPUT,
                       "%s:1: column %s is missing%s%.64s; a header of runs has at least "
                       "model,batch,imgsz,gpu,gpu_mem",
                       file, column, near != NULL ? "; it may be " : "", near != NULL ? near : "");
    }
    *out = (enum vb_published_form)found;
    return VB_OK;
}

static void take_cells(const struct vb_csv *csv, const struct vb_csv_row *row,
                       struct vb_published_reading *reading)
{
    for (size_t i = 0; i < VB_N_FIELDS; i++) {
        const char *column = forms[reading->form].columns[i];
        size_t place = column != NULL ? vb_csv_column(csv, column) : csv->n_columns;
        /* The cells lie in the caller's text, which may be changed. */
        reading->cells[i] =
            place < csv->n_columns ? vb_text_trim((char *)(uintptr_t)row->cells[place]) : "";
    }
}

enum vb_status vb_published_parse(const char *file, char *text, size_t bytes,
                                  struct vb_arena *arena, struct vb_published_file *out,
                                  struct vb_error *err)
{
    struct vb_csv csv;
    *out = (struct vb_published_file){ 0 };
    enum vb_status status = vb_csv_parse(file, text, bytes, arena, &csv, err);
    if (status == VB_OK)
        status = find_form(file, &csv, &out->form, err);
    if (status != VB_OK)
        return status;
    out->rows = vb_arena_alloc(arena, csv.n_rows + 1, sizeof *out->rows);
    bool is_read = out->rows != NULL;
    for (size_t i = 0; i < csv.n_rows && is_read; i++) {
        static const struct vb_published empty = {
            .source = "",
            .repository = "",
            .trust = "",
            .gpu = "",
            .torch = "",
            .family = "",
            .version = "",
            .model = "",
            .precision = VB_FP16,
        };
        struct vb_published *row = &out->rows[out->n++];
        struct vb_published_reading reading = { .form = out->form, .arena = arena, .row = row };
        *row = empty;
        row->line = csv.rows[i].line;
        row->reason = csv.rows[i].fault;
        if (row->reason != NULL)
            continue;
        take_cells(&csv, &csv.rows[i], &reading);
        is_read = vb_published_read(&reading);
    }
    return is_read ? VB_OK : vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", file);
}

double vb_published_unit(const char *family, const char *version)
{
    unsigned major, minor, patch;
    if (strcmp(family, "yolov5") == 0)
        return 1e9;
    if (strcmp(family, "ultralytics") != 0 ||
        sscanf(version, "%4u.%4u.%4u", &major, &minor, &patch) != 3)
        return 0;
    bool is_later = major > 8 || (major == 8 && (minor > 3 || (minor == 3 && patch >= 76)));
    return is_later ? 1073741824.0 : 1e9;
}

void vb_published_trainer(const struct vb_published *row, char *text, size_t room)
{
    unsigned major, minor, patch;
    text[0] = '\0';
    if (strcmp(row->family, "ultralytics") == 0 &&
        sscanf(row->version, "%4u.%4u.%4u", &major, &minor, &patch) == 3)
        (void)snprintf(text, room, "ultralytics-%u.%u.%u", major, minor, patch);
    else if (strcmp(row->family, "yolov5") == 0 &&
             sscanf(row->version, "v%4u.%4u-%6u", &major, &minor, &patch) == 3)
        (void)snprintf(text, room, "yolov5-%u.%u-%u", major, minor, patch);
    else if (strcmp(row->family, "yolov5") == 0 &&
             sscanf(row->version, "%4u-%2u-%2u", &major, &minor, &patch) == 3 && major >= 2015)
        (void)snprintf(text, room, "yolov5-%u-%u-%u", major, minor, patch);
    else if (strcmp(row->family, "yolov5") == 0 &&
             sscanf(row->version, "v%4u.%4u", &major, &minor) == 2)
        (void)snprintf(text, room, "yolov5-%u.%u", major, minor);
}
