/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_PUBLICATION_H
#define VB_REPORT_PUBLICATION_H

/* The table of one GPU as results/<gpu>/ shows it: what each point takes and how fast it goes. A
 * row is some 50 B, so that a journal of a million fits. */

#include "base/arena.h"
#include "base/text.h"
#include "record/record.h"

/* What rows have in common that differ in nothing but batch and image size: one table. */
struct vb_published_kind {
    struct vb_point point; /* batch and imgsz are 0 */
};

struct vb_published_row {
    uint32_t kind, imgsz, batch;
    uint32_t number; /* as they came */
    enum vb_state state;
    uint64_t device_bytes;   /* pool and context, as the driver counts; 0: not known */
    uint64_t reserved_bytes; /* 0: the point has no peak */
    double images_per_second;
};

struct vb_publication {
    char gpu[64], slug[64]; /* "NVIDIA GeForce RTX 3090", "nvidia-geforce-rtx-3090" */
    char device[64], driver[32], cuda[16], cudnn[32];
    enum vb_provenance provenance;
    uint64_t capacity_bytes, usable_bytes;
    uint64_t hash; /* of the journal */
    struct vb_published_kind *kinds;
    size_t n_kinds, kinds_room, last_kind;
    struct vb_published_row *rows;
    size_t n_rows, rows_room;
    size_t n_failed; /* records that are neither a peak nor out of memory: left out */
    struct vb_arena arena;
};

/* Takes the record up. VB_E_INPUT: it is of another GPU, stack or provenance than those before, or
 * has values that cannot be. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_publication_add(struct vb_publication *publication,
                                             const struct vb_record *record, struct vb_error *err);

/* Sorts the rows: by kind, image size, batch; of two of one point the later stays. */
void vb_publication_sort(struct vb_publication *publication);

/* Writes FOLDER/<slug>/README.md, table.csv, table.json and published.json; where all is there and
 * the same nothing is touched. `has_charts`: README shows those of charts/. VB_E_INPUT: the folder
 * has the table of another journal, and `force` was not given. VB_E_SYSTEM: it cannot be written.
 */
VB_CHECKED enum vb_status vb_publication_write(const struct vb_publication *publication,
                                               const char *folder, bool has_charts, bool force,
                                               struct vb_error *err);

/* Puts the list of all tables below FOLDER, by GPU, between the marks in FOLDER/README.md, which
 * gets them at its end where it has none. VB_E_INPUT: a published.json cannot be read. */
VB_CHECKED enum vb_status vb_publication_index(const char *folder, struct vb_error *err);

void vb_publication_clear(struct vb_publication *publication);

#endif
