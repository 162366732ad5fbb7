/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

struct vb_journal {
    int file;
    char path[PATH_MAX];
};

/* A journal may be read by its own name as well as by its folder's. */
static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

enum vb_status vb_journal_path(const char *folder, char *path, size_t room, struct vb_error *err)
{
    int length = snprintf(path, room, "%s/rows.jsonl", folder);
    if (length < 0 || (size_t)length >= room)
        return vb_fail(err, VB_E_SYSTEM, "%s: the path is too long", folder);
    return VB_OK;
}

enum vb_status vb_journal_source(const char *folder, char *path, size_t room, struct vb_error *err)
{
    if (!is_file(folder))
        return vb_journal_path(folder, path, room, err);
    (void)snprintf(path, room, "%s", folder);
    return VB_OK;
}

enum vb_status vb_journal_lines(const char *folder, vb_journal_visit *visit, void *context,
                                struct vb_error *err)
{
    char path[PATH_MAX];
    enum vb_status status = vb_journal_source(folder, path, sizeof path, err);
    if (status != VB_OK)
        return status;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return vb_fail(err, VB_E_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    struct vb_journal_line line = { .path = path };
    size_t room = 0;
    ssize_t bytes;
    errno = 0;
    while (status == VB_OK && (bytes = getline(&line.text, &room, file)) > 0) {
        line.number++;
        line.bytes = (size_t)bytes - (line.text[bytes - 1] == '\n');
        line.text[line.bytes] = '\0';
        if (line.bytes > 0)
            status = visit(context, &line, err);
    }
    if (status == VB_OK && (ferror(file) != 0 || errno == ENOMEM))
        status = vb_fail(err, VB_E_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    free(line.text);
    (void)fclose(file);
    return status;
}

/* A journal that is being read whole. */
struct reading {
    struct vb_arena *arena;
    struct vb_rows *rows;
};

static enum vb_status add_row(void *context, const struct vb_journal_line *line,
                              struct vb_error *err)
{
    struct vb_arena *arena = ((struct reading *)context)->arena;
    struct vb_rows *out = ((struct reading *)context)->rows;
    struct vb_record *items = vb_arena_grow(arena, out->items, out->n, &out->room, sizeof *items);
    struct vb_error inner = { 0 };
    if (items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", line->path);
    out->items = items;
    enum vb_status status = vb_record_parse(line->text, arena, &items[out->n], &inner);
    if (status == VB_OK) {
        out->n++;
        return VB_OK;
    }
    if (status != VB_E_INPUT)
        return vb_fail(err, status, "%s", inner.text);
    if (out->n_corrupt++ == 0)
        (void)snprintf(out->note, sizeof out->note, "%.300s:%zu: %.150s", line->path, line->number,
                       inner.text);
    return VB_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct vb_row_id *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

static enum vb_status sort_rows(struct vb_arena *arena, struct vb_rows *rows, struct vb_error *err)
{
    rows->ids = vb_arena_alloc(arena, rows->n + 1, sizeof *rows->ids);
    if (rows->ids == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the journal");
    for (size_t i = 0; i < rows->n; i++) {
        rows->ids[i].place = i;
        vb_record_cell_id(&rows->items[i].point, rows->items[i].device, rows->ids[i].id);
    }
    qsort(rows->ids, rows->n, sizeof *rows->ids, by_id);
    return VB_OK;
}

const struct vb_record *vb_rows_find(const struct vb_rows *rows, const struct vb_point *point,
                                     const char *device)
{
    char id[17];
    size_t low = 0, high = rows->n; /* the first whose id is greater */
    vb_record_cell_id(point, device, id);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rows->ids[middle].id, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || strcmp(rows->ids[low - 1].id, id) != 0)
        return NULL;
    return &rows->items[rows->ids[low - 1].place];
}

enum vb_status vb_journal_read(const char *folder, struct vb_arena *arena, struct vb_rows *out,
                               struct vb_error *err)
{
    char path[PATH_MAX];
    struct reading reading = { arena, out };
    *out = (struct vb_rows){ 0 };
    enum vb_status status = vb_journal_source(folder, path, sizeof path, err);
    if (status != VB_OK || access(path, F_OK) != 0)
        return status;
    status = vb_journal_lines(folder, add_row, &reading, err);
    return status == VB_OK ? sort_rows(arena, out, err) : status;
}

/* The length up to the last newline: what follows it was cut by a kill. */
static off_t whole_lines(int file, off_t length)
{
    char byte;
    while (length > 0 && pread(file, &byte, 1, length - 1) == 1 && byte != '\n')
        length--;
    return length;
}

enum vb_status vb_journal_open(const char *folder, bool fresh, struct vb_journal **out,
                               struct vb_error *err)
{
    enum vb_status status = vb_file_make_folder(folder, err);
    if (status != VB_OK)
        return status;
    struct vb_journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left for the journal", folder);
    status = vb_journal_path(folder, journal->path, sizeof journal->path, err);
    if (status == VB_OK) {
        journal->file = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (journal->file < 0)
            status = vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", journal->path,
                             strerror(errno));
        else if (flock(journal->file, LOCK_EX | LOCK_NB) != 0)
            status = vb_fail(err, VB_E_SYSTEM,
                             "%s: another run is writing it; wait for it, or take "
                             "another --out",
                             journal->path);
    }
    if (status == VB_OK) {
        struct stat info;
        off_t length = fresh || fstat(journal->file, &info) != 0 ? 0 : info.st_size;
        length = whole_lines(journal->file, length);
        if (ftruncate(journal->file, length) != 0 || lseek(journal->file, length, SEEK_SET) < 0)
            status = vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", journal->path,
                             strerror(errno));
    }
    if (status != VB_OK) {
        vb_journal_close(journal);
        return status;
    }
    *out = journal;
    return VB_OK;
}

static int write_all(int file, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(file, text, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        text += n;
        bytes -= (size_t)n;
    }
    return fdatasync(file);
}

enum vb_status vb_journal_append(struct vb_journal *journal, const struct vb_record *record,
                                 struct vb_error *err)
{
    char *line = NULL;
    enum vb_status status = vb_record_print(record, &line, err);
    if (status != VB_OK)
        return status;
    size_t length = strlen(line);
    off_t start = lseek(journal->file, 0, SEEK_CUR);
    line[length] = '\n'; /* in the place of the 0: the length says where it ends */
    if (write_all(journal->file, line, length + 1) != 0) {
        int why = errno;
        if (ftruncate(journal->file, start) == 0)
            (void)lseek(journal->file, start, SEEK_SET);
        status = vb_fail(err, VB_E_SYSTEM,
                         "%s: cannot be written: %s; free some space and run again with "
                         "--resume",
                         journal->path, strerror(why));
    }
    free(line);
    return status;
}

void vb_journal_close(struct vb_journal *journal)
{
    if (journal == NULL)
        return;
    if (journal->file > 0)
        (void)close(journal->file);
    free(journal);
}
