/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_PUBLISHED_ROW_H
#define VB_FIT_PUBLISHED_ROW_H

/* For published.c: one row's cells, whatever its form calls them, to a run. */

#include "fit/published.h"

enum vb_field {
    VB_FIELD_MODEL, /* the first five: no form is without */
    VB_FIELD_BATCH,
    VB_FIELD_IMGSZ,
    VB_FIELD_GPU,
    VB_FIELD_MEMORY,
    VB_FIELD_SOURCE,
    VB_FIELD_GPU_TOTAL, /* MiB; in autobatch.csv GiB */
    VB_FIELD_TORCH,
    VB_FIELD_FAMILY,
    VB_FIELD_VERSION,
    VB_FIELD_PARAMETERS,
    VB_FIELD_AMP,
    VB_FIELD_OPTIMIZER,
    VB_FIELD_CLASSES,
    VB_FIELD_INSTANCES,
    VB_FIELD_TRUST,
    VB_FIELD_UNIT,
    VB_FIELD_NOTE,
    VB_FIELD_SEVERAL_GPUS,
    VB_FIELD_BACKWARD, /* ms */
    VB_FIELD_GFLOPS,
};
enum { VB_N_FIELDS = 21, VB_N_NEEDED_FIELDS = 5 };

/* A row being read; `cells` are without the blanks around them, "" where there is none. */
struct vb_published_reading {
    enum vb_published_form form;
    const char *cells[VB_N_FIELDS];
    struct vb_arena *arena;
    struct vb_published *row; /* `line` is set */
};

/* Fills the row, or its reason. False: no host memory. */
bool vb_published_read(struct vb_published_reading *reading);

/* The value of KEY=VALUE in a note, up to the next blank or semicolon; NULL: it is not there. */
const char *vb_published_note_value(struct vb_arena *arena, const char *note, const char *key);

/* Keeps the first reason. */
void vb_published_refuse(struct vb_published_reading *reading, const char *format, ...)
    VB_PRINTF(2, 3);

/* What a note tells against a row: resumed, a later epoch, frozen layers and the like. */
void vb_published_read_note(struct vb_published_reading *reading);

#endif
