/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_CSV_H
#define VB_BASE_CSV_H

/* A CSV text (RFC 4180) as rows under a header: quotes, doubled quotes, newlines within quotes,
 * CRLF, a byte-order mark, empty lines, a last line without its newline. What is wrong with one row
 * is that row's fault and the rest is read. What columns mean is not decided here. */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

enum {
    VB_CSV_MAX_BYTES = 64 << 10, /* of a row; a longer one is at fault */
    VB_CSV_MAX_COLUMNS = 256,
};

struct vb_csv_row {
    const char **cells; /* n_columns; NULL where the row is at fault */
    const char *fault;  /* "3 columns, the header has 12"; NULL: none */
    uint32_t line;      /* where it begins, from 1 */
};

struct vb_csv {
    const char **columns; /* names, without the blanks around them */
    size_t n_columns;
    struct vb_csv_row *rows;
    size_t n_rows, room;
};

/* Cuts `text`, `bytes` long with a 0 behind, in place: the cells point into it, so it must outlive
 * them. `file` begins the texts of errors. Takes time in proportion to `bytes` whatever they are.
 * VB_E_INPUT: no header, a column without a name or of the same name as another, too many columns,
 * a 0 byte; with file and line. */
VB_CHECKED enum vb_status vb_csv_parse(const char *file, char *text, size_t bytes,
                                       struct vb_arena *arena, struct vb_csv *out,
                                       struct vb_error *err);

/* Appends the text as a cell, in quotes where it needs them. */
void vb_csv_append(const char *text, struct vb_text *out);

/* The column's place; n_columns where there is none of that name. */
size_t vb_csv_column(const struct vb_csv *csv, const char *name);

#endif
