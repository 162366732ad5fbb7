/* SPDX-License-Identifier: Apache-2.0 */
/* A row is first scanned without a change, then cut into cells, so that one that turns out to be at
 * fault can be left: reading goes on at the line after its first. No byte is scanned more than a
 * few times for that. A quote that is not closed within the limit has only doubled quotes after it,
 * in runs of an even length; rows that begin among those find their quotes closed within the run.
 */
#include "base/csv.h"

#include <stdbool.h>
#include <string.h>

struct reader {
    const char *file;
    char *at, *end;
    uint32_t line;
    struct vb_arena *arena;
};

/* A row that was scanned: [start, end) without its newline, and where the next begins. */
struct extent {
    char *end, *next;
    size_t n_cells;
    uint32_t n_lines;
    const char *fault;
};

static bool is_line_end(const struct reader *reader, const char *at)
{
    return at == reader->end || *at == '\n' ||
           (*at == '\r' && at + 1 < reader->end && at[1] == '\n');
}

/* Behind the closing quote of the field that `at` opens; NULL: not closed within the limit. */
static char *skip_quoted(const struct reader *reader, char *at, const char *limit,
                         uint32_t *n_lines)
{
    for (at++; at < reader->end && at < limit; at++) {
        *n_lines += *at == '\n';
        if (*at == '"' && at + 1 < reader->end && at[1] == '"')
            at++;
        else if (*at == '"')
            return at + 1;
    }
    return NULL;
}

/* The row is at fault: what follows its first line is read anew. */
static void give_up(const struct reader *reader, struct extent *row, const char *fault)
{
    char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    row->fault = fault;
    row->next = newline != NULL ? newline + 1 : reader->end;
    row->n_lines = 1;
}

static struct extent scan_row(const struct reader *reader)
{
    struct extent row = { .n_cells = 1, .n_lines = 1 };
    size_t left = (size_t)(reader->end - reader->at);
    const char *limit = reader->at + (left < VB_CSV_MAX_BYTES ? left : VB_CSV_MAX_BYTES);
    bool is_start = true; /* of a cell */
    char *at = reader->at;
    while (!is_line_end(reader, at)) {
        if (at >= limit) {
            give_up(reader, &row, "longer than 64 KiB");
            return row;
        }
        if (is_start && *at == '"') {
            at = skip_quoted(reader, at, limit, &row.n_lines);
            if (at == NULL) {
                give_up(reader, &row,
                        left < VB_CSV_MAX_BYTES ? "a quote is opened and never closed"
                                                : "a quote is not closed within 64 KiB");
                return row;
            }
            if (*at != ',' && !is_line_end(reader, at)) {
                give_up(reader, &row, "text between a closing quote and the next comma");
                return row;
            }
            is_start = false;
            continue;
        }
        is_start = *at == ',';
        row.n_cells += is_start;
        at++;
    }
    row.end = at;
    row.next = at;
    if (at < reader->end)
        row.next = at + (*at == '\r' ? 2 : 1);
    return row;
}

/* Cuts the field at `from` out of [from, end): its text in place, and where the next begins. */
static char *cut_cell(char *from, char *end, char **next)
{
    char *to = from, *at = from;
    bool is_quoted = at < end && *at == '"';
    if (is_quoted) {
        for (at++; *at != '"' || at[1] == '"'; at++) {
            at += *at == '"';
            *to++ = *at;
        }
        at++;
    } else {
        while (at < end && *at != ',')
            at++;
        to = at;
    }
    *next = at + 1;
    *to = '\0';
    return from;
}

/* NULL: no host memory. */
static const char **cut_row(const struct reader *reader, const struct extent *row)
{
    const char **cells = vb_arena_alloc(reader->arena, row->n_cells, sizeof *cells);
    char *at = reader->at;
    for (size_t i = 0; i < row->n_cells && cells != NULL; i++)
        cells[i] = cut_cell(at, row->end, &at);
    return cells;
}

static enum vb_status check_columns(const struct reader *reader, const struct vb_csv *csv,
                                    struct vb_error *err)
{
    for (size_t i = 0; i < csv->n_columns; i++) {
        if (csv->columns[i][0] == '\0')
            return vb_fail(err, VB_E_INPUT, "%s:%u: column %zu has no name: expected a header",
                           reader->file, reader->line, i + 1);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(csv->columns[i], csv->columns[j]) == 0)
                return vb_fail(err, VB_E_INPUT, "%s:%u: two columns are called '%.64s'",
                               reader->file, reader->line, csv->columns[i]);
        }
    }
    return VB_OK;
}

static enum vb_status read_header(struct reader *reader, struct vb_csv *csv, struct vb_error *err)
{
    if (reader->at == reader->end)
        return vb_fail(err, VB_E_INPUT, "%s: empty, expected a header and rows", reader->file);
    struct extent row = scan_row(reader);
    if (row.fault != NULL)
        return vb_fail(err, VB_E_INPUT, "%s:%u: the header: %s", reader->file, reader->line,
                       row.fault);
    if (row.n_cells > VB_CSV_MAX_COLUMNS)
        return vb_fail(err, VB_E_INPUT, "%s:%u: %zu columns, at most %d are read", reader->file,
                       reader->line, row.n_cells, VB_CSV_MAX_COLUMNS);
    csv->n_columns = row.n_cells;
    csv->columns = cut_row(reader, &row);
    if (csv->columns == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", reader->file);
    /* The cells lie in the caller's text, which may be changed. */
    for (size_t i = 0; i < csv->n_columns; i++)
        csv->columns[i] = vb_text_trim((char *)(uintptr_t)csv->columns[i]);
    enum vb_status status = check_columns(reader, csv, err);
    reader->at = row.next;
    reader->line += row.n_lines;
    return status;
}

static enum vb_status read_row(struct reader *reader, struct vb_csv *csv, struct vb_error *err)
{
    struct extent row = scan_row(reader);
    struct vb_csv_row out = { .line = reader->line, .fault = row.fault };
    if (row.fault == NULL && row.n_cells != csv->n_columns)
        out.fault = vb_arena_format(reader->arena, "%zu columns, the header has %zu", row.n_cells,
                                    csv->n_columns);
    else if (row.fault == NULL)
        out.cells = cut_row(reader, &row);
    csv->rows = vb_arena_grow(reader->arena, csv->rows, csv->n_rows, &csv->room, sizeof *csv->rows);
    if (csv->rows == NULL || (out.cells == NULL && out.fault == NULL))
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", reader->file);
    csv->rows[csv->n_rows++] = out;
    reader->at = row.next;
    reader->line += row.n_lines;
    return VB_OK;
}

static void skip_empty_lines(struct reader *reader)
{
    while (reader->at < reader->end && is_line_end(reader, reader->at)) {
        reader->at += *reader->at == '\r' ? 2 : 1;
        reader->line++;
    }
}

static uint32_t lines_before(const char *text, const char *at)
{
    uint32_t n = 1;
    for (; text < at; text++)
        n += *text == '\n';
    return n;
}

enum vb_status vb_csv_parse(const char *file, char *text, size_t bytes, struct vb_arena *arena,
                            struct vb_csv *out, struct vb_error *err)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct reader reader = { file, text, text + bytes, 1, arena };
    const char *zero = memchr(text, '\0', bytes);
    *out = (struct vb_csv){ 0 };
    if (zero != NULL)
        return vb_fail(err, VB_E_INPUT, "%s:%u: a 0 byte: this is no text", file,
                       lines_before(text, zero));
    if (bytes >= 3 && memcmp(text, mark, 3) == 0)
        reader.at += 3;
    skip_empty_lines(&reader);
    enum vb_status status = read_header(&reader, out, err);
    skip_empty_lines(&reader);
    while (status == VB_OK && reader.at < reader.end) {
        status = read_row(&reader, out, err);
        skip_empty_lines(&reader);
    }
    return status;
}

size_t vb_csv_column(const struct vb_csv *csv, const char *name)
{
    size_t i = 0;
    while (i < csv->n_columns && strcmp(csv->columns[i], name) != 0)
        i++;
    return i;
}

void vb_csv_append(const char *text, struct vb_text *out)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        vb_text_append(out, "%s", text);
        return;
    }
    vb_text_append(out, "\"");
    for (; *text != '\0'; text++)
        vb_text_append(out, *text == '"' ? "\"\"" : "%c", *text);
    vb_text_append(out, "\"");
}
