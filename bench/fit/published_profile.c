/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/published_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

/* Beyond what a model, its copy and the AMP check leave, in GiB. */
#define MUCH_GIB 1.0

enum column { SOURCE, MODEL, IMGSZ, RESERVED, ALLOCATED, NOTE };
enum { N_COLUMNS = 6 };
static const char *const columns[N_COLUMNS] = {
    "source", "model", "imgsz", "reserved_before", "allocated_before", "note"
};

/* PyTorch's releases, by the day from which on one is taken to be used (general knowledge). */
static const struct {
    long day; /* 20220628 */
    const char *torch;
} releases[] = { { 20210101, "1.8" },  { 20210615, "1.9" },  { 20211021, "1.10" },
                 { 20220310, "1.11" }, { 20220628, "1.12" }, { 20221028, "1.13" },
                 { 20230315, "2.0" },  { 20231004, "2.1" },  { 20240130, "2.2" },
                 { 20240424, "2.3" },  { 20240724, "2.4" } };

static bool is_of(const struct vb_published *row, const char *const *cells)
{
    return strcmp(row->source, cells[SOURCE]) == 0 &&
           strtoul(cells[IMGSZ], NULL, 10) == row->imgsz && row->model != NULL &&
           strncmp(row->model, cells[MODEL], strlen(row->model)) == 0;
}

/* "v6.0-67-g60e42e1; n=3": the version that a note begins with; NULL: none. */
static const char *version_of(const char *note, struct vb_arena *arena)
{
    if (note[0] != 'v' || note[1] < '0' || note[1] > '9')
        return NULL;
    return vb_arena_format(arena, "%.*s", (int)strcspn(note, "; "), note);
}

static bool take_table(struct vb_published *row, const char *const *cells, struct vb_arena *arena)
{
    double reserved = strtod(cells[RESERVED], NULL), allocated = strtod(cells[ALLOCATED], NULL);
    const char *version = version_of(cells[NOTE], arena);
    bool is_full = reserved - allocated > MUCH_GIB || strncmp(cells[NOTE], "CONTAMINATED", 12) == 0;
    if (row->reason == NULL && is_full) {
        row->reason =
            vb_arena_format(arena, "contaminated: %.4g GiB were reserved before it", reserved);
        return row->reason != NULL;
    }
    if (row->version[0] == '\0' && version != NULL)
        row->version = strcmp(row->family, "ultralytics") == 0 ? version + 1 : version;
    return true;
}

enum vb_status vb_published_read_tables(const char *file, char *text, size_t bytes,
                                        struct vb_arena *arena, struct vb_published_file *rows,
                                        struct vb_error *err)
{
    struct vb_csv csv;
    size_t places[N_COLUMNS];
    enum vb_status status = vb_csv_parse(file, text, bytes, arena, &csv, err);
    for (size_t c = 0; c < N_COLUMNS && status == VB_OK; c++) {
        places[c] = vb_csv_column(&csv, columns[c]);
        if (places[c] == csv.n_columns)
            return vb_fail(err, VB_E_INPUT, "%s:1: column %s is missing; a header of tables has it",
                           file, columns[c]);
    }
    for (size_t t = 0; status == VB_OK && t < csv.n_rows; t++) {
        const char *cells[N_COLUMNS];
        if (csv.rows[t].fault != NULL)
            return vb_fail(err, VB_E_INPUT, "%s:%u: %s", file, csv.rows[t].line, csv.rows[t].fault);
        for (size_t c = 0; c < N_COLUMNS; c++)
            cells[c] = csv.rows[t].cells[places[c]];
        for (size_t i = 0; i < rows->n; i++) {
            if (rows->rows[i].workload == VB_AUTOBATCH && is_of(&rows->rows[i], cells) &&
                !take_table(&rows->rows[i], cells, arena))
                return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", file);
        }
    }
    return status;
}

/* The day that a source names: "issues/9287 (alexk-ede 2022-09-20)". */
static bool find_day(const char *source, unsigned *year, unsigned *month, unsigned *day)
{
    for (const char *at = strstr(source, "20"); at != NULL; at = strstr(at + 1, "20")) {
        if (sscanf(at, "%4u-%2u-%2u", year, month, day) == 3 && *year >= 2020)
            return true;
    }
    return false;
}

static const char *torch_of(long day)
{
    const char *torch = releases[0].torch;
    for (size_t i = 0; i < sizeof releases / sizeof *releases; i++) {
        if (releases[i].day <= day)
            torch = releases[i].torch;
    }
    return torch;
}

bool vb_published_assume_profile(struct vb_published *row, struct vb_arena *arena)
{
    unsigned year = 0, month = 0, day = 0;
    bool has_day = find_day(row->source, &year, &month, &day);
    bool is_ultralytics = strcmp(row->family, "ultralytics") == 0;
    const char *version = row->version, *torch = row->torch;
    if (version[0] == '\0' && is_ultralytics)
        version = "8.0.0";
    else if (version[0] == '\0' && has_day)
        version = vb_arena_format(arena, "%u-%u-%u", year, month, day);
    if (torch[0] == '\0' && has_day)
        torch = torch_of(year * 10000L + month * 100L + day);
    else if (torch[0] == '\0' && is_ultralytics && row->version[0] == '\0')
        torch = "2.0";
    if (version == NULL)
        return false;
    if (version == row->version && torch == row->torch)
        return true;
    row->version = version;
    row->torch = torch;
    row->note = vb_arena_format(arena, "%s%sversion not given: AutoBatch of %s, PyTorch %s",
                                row->note != NULL ? row->note : "", row->note != NULL ? "; " : "",
                                version[0] != '\0' ? version : "the newest",
                                torch[0] != '\0' ? torch : "the newest");
    return row->note != NULL;
}
