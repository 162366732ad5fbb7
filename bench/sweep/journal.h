/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_JOURNAL_H
#define VB_SWEEP_JOURNAL_H

/* The journal of a sweep: FOLDER/rows.jsonl, one finished point a line, each on the disk before the
 * next point begins. A run that is killed loses the point in flight: a last line that was cut is
 * cut off, a corrupt one is passed over and its point run again. One process writes at a time. */

#include <stdbool.h>
#include <stddef.h>

#include "record/record.h"

struct vb_journal;

/* A row by its cell_id; `place` is the row's. */
struct vb_row_id {
    char id[17];
    size_t place;
};

/* What was in the journal. */
struct vb_rows {
    struct vb_record *items;
    size_t n, room;
    struct vb_row_id *ids; /* sorted; of rows with the same one the last written stands last */
    size_t n_corrupt;      /* lines passed over */
    char note[512];        /* of the first of them, "" where there is none */
};

/* FOLDER/rows.jsonl. VB_E_SYSTEM: the path is too long. */
VB_CHECKED enum vb_status vb_journal_path(const char *folder, char *path, size_t room,
                                          struct vb_error *err);

/* The journal to read: that, or `folder` itself where it is a file. VB_E_SYSTEM: as above. */
VB_CHECKED enum vb_status vb_journal_source(const char *folder, char *path, size_t room,
                                            struct vb_error *err);

/* Calls `visit` with each line that holds something, as many bytes long without its end, which a
 * last one that was cut does not have. What it returns but VB_OK ends the reading. However long the
 * journal, one line is in memory at a time. `folder` may be the file itself. VB_E_INPUT: there is
 * none, or it cannot be read. */
struct vb_journal_line {
    char *text;
    size_t bytes;
    size_t number; /* in the file, from 1 */
    const char *path;
};
typedef enum vb_status vb_journal_visit(void *context, const struct vb_journal_line *line,
                                        struct vb_error *err);
VB_CHECKED enum vb_status vb_journal_lines(const char *folder, vb_journal_visit *visit,
                                           void *context, struct vb_error *err);

/* Reads FOLDER/rows.jsonl, or the file itself if it is one; none there gives no rows. VB_E_INPUT:
 * it cannot be read. */
VB_CHECKED enum vb_status vb_journal_read(const char *folder, struct vb_arena *arena,
                                          struct vb_rows *out, struct vb_error *err);

/* The row of this point and device; of several the last written. NULL: there is none. */
const struct vb_record *vb_rows_find(const struct vb_rows *rows, const struct vb_point *point,
                                     const char *device);

/* Opens the journal for writing, made where there is none; `fresh` empties it. What a killed run
 * left of a line is cut off. VB_E_SYSTEM: the folder cannot be written, or another run writes
 * there. */
VB_CHECKED enum vb_status vb_journal_open(const char *folder, bool fresh, struct vb_journal **out,
                                          struct vb_error *err);

/* VB_E_SYSTEM: the disk is full; what was there is whole. */
VB_CHECKED enum vb_status vb_journal_append(struct vb_journal *journal,
                                            const struct vb_record *record, struct vb_error *err);
void vb_journal_close(struct vb_journal *journal); /* may be NULL */

#endif
