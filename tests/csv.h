/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_CSV_H
#define VB_TESTS_CSV_H

/* Reads the comma-separated reference files under tests/data: a header, no quotes. */

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CSV_COLUMNS = 48 };

struct csv {
    char *data;
    char *header[CSV_COLUMNS];
    size_t n_columns, n_rows;
    char *(*rows)[CSV_COLUMNS];
};

static inline size_t csv_cut(char *line, char **cells)
{
    size_t n = 0;
    line[strcspn(line, "\r")] = '\0';
    for (char *cell = strsep(&line, ","); cell != NULL && n < CSV_COLUMNS;
         cell = strsep(&line, ","))
        cells[n++] = cell;
    return n;
}

/* `name` is relative to tests/data. A test cannot go on without its data. */
static inline struct csv csv_open(const char *name)
{
    char path[512];
    struct csv csv = { 0 };
    (void)snprintf(path, sizeof path, "%s/%s", VB_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)fprintf(stderr, "%s is missing\n", path);
        abort();
    }
    (void)fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    rewind(file);
    csv.data = calloc((size_t)bytes + 1, 1);
    size_t lines = 0;
    if (fread(csv.data, 1, (size_t)bytes, file) != (size_t)bytes)
        abort();
    (void)fclose(file);
    for (long i = 0; i < bytes; i++)
        lines += csv.data[i] == '\n';
    csv.rows = calloc(lines + 1, sizeof *csv.rows);
    char *rest = csv.data;
    csv.n_columns = csv_cut(strsep(&rest, "\n"), csv.header);
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (line[0] != '\0')
            (void)csv_cut(line, csv.rows[csv.n_rows++]);
    }
    return csv;
}

static inline void csv_close(struct csv *csv)
{
    free(csv->rows);
    free(csv->data);
}

static inline bool csv_has(const struct csv *csv, const char *column)
{
    for (size_t i = 0; i < csv->n_columns; i++) {
        if (strcmp(csv->header[i], column) == 0)
            return true;
    }
    return false;
}

static inline const char *csv_text(const struct csv *csv, size_t row, const char *column)
{
    for (size_t i = 0; i < csv->n_columns; i++) {
        if (strcmp(csv->header[i], column) == 0)
            return csv->rows[row][i] != NULL ? csv->rows[row][i] : "";
    }
    (void)fprintf(stderr, "there is no column %s\n", column);
    abort();
}

static inline uint64_t csv_number(const struct csv *csv, size_t row, const char *column)
{
    return strtoull(csv_text(csv, row, column), NULL, 10);
}

#endif
