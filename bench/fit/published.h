/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_PUBLISHED_H
#define VB_FIT_PUBLISHED_H

/* Runs that people made, from CSV: those of sweeps/published/ and a user's own. Each row becomes a
 * configuration and the memory that the run printed, or the reason why it can be none. Nothing is
 * made up: batch, image size, GPU and model stand in the row or the row has a reason. Whether such
 * a model or GPU can be planned is not decided here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "record/point.h"

/* Told apart by their headers. */
enum vb_published_form {
    VB_PUBLISHED_BEST,      /* train_logs_best.csv */
    VB_PUBLISHED_LOGS,      /* train_logs.csv: its note holds key=value pairs */
    VB_PUBLISHED_AUTOBATCH, /* autobatch.csv: what AutoBatch's profile printed */
    VB_PUBLISHED_TABLES,    /* autobatch_tables.csv: no run in it, each row has its reason */
    VB_PUBLISHED_OOM,       /* oom.csv: runs that ran out of memory, of which nothing was printed */
    VB_PUBLISHED_OWN,       /* model,batch,imgsz,gpu,gpu_mem and more: a user's own */
};
enum { VB_N_PUBLISHED_FORMS = 6 };

struct vb_published {
    uint32_t line;
    const char *reason; /* why it cannot be predicted, in words; NULL: it can */
    const char *note;   /* what was assumed for it; NULL: nothing */

    const char *source;       /* as written */
    const char *repository;   /* "OWNER/REPO" of GitHub's, else the source */
    const char *trust;        /* "A", "B", ...; "" */
    const char *gpu;          /* the product's name: "Tesla T4" */
    uint64_t gpu_total_bytes; /* 0: not given */
    const char *torch;        /* "2.6.0+cu124"; "" */
    const char *family;       /* "yolov5" or "ultralytics" */
    const char *version;      /* of the trainer, as printed: "v6.2-203-g6371de8", "8.3.176"; "" */
    const char *model;        /* "yolov8n": without folder and ending, lower case */
    uint64_t parameters;      /* 0: not given */
    uint32_t batch, imgsz;
    uint32_t classes; /* 0: not given */
    enum vb_precision precision;
    enum vb_optimizer optimizer;
    enum vb_workload workload;
    enum vb_choice thop; /* of a profile: off where it printed no operations */
    bool has_instances;
    uint32_t instances; /* boxes in the last batch */
    bool ran_out;       /* an out-of-memory text: no bytes are known */
    double bytes;       /* what the run printed */
};

struct vb_published_file {
    enum vb_published_form form;
    struct vb_published *rows;
    size_t n;
};

/* Cuts `text` in place (base/csv.h) and borrows it. VB_E_INPUT: no CSV, or a header of no form;
 * with file and line. */
VB_CHECKED enum vb_status vb_published_parse(const char *file, char *text, size_t bytes,
                                             struct vb_arena *arena, struct vb_published_file *out,
                                             struct vb_error *err);

/* The unit of a GPU_mem that this trainer prints, in bytes: 1e9 for YOLOv5 and for ultralytics up
 * to 8.3.75, 2^30 from 8.3.76 (sweeps/published/README.md); 0 where it cannot be told. */
double vb_published_unit(const char *family, const char *version);

/* The trainer as a point's `trainer` names it: "yolov5-6.2-203", "ultralytics-8.3.176"; "" where
 * the version is not given or is no version. */
void vb_published_trainer(const struct vb_published *row, char *text, size_t room);

#endif
