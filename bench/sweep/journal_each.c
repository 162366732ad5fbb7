/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep/journal_each.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "sweep/journal.h"

enum {
    BLOCK_BYTES =
        1 << 17, /* a hundred lines: their records are larger than they, and stay in a cache */
    MOST_BYTES = 64 << 20, /* of one line */
    MAX_THREADS = 4,
};

struct row {
    struct vb_record record;
    bool is_good;
    size_t line;
};

/* A stretch of whole lines and what became of them. */
struct part {
    char *begin, *end;
    size_t n_lines_before; /* in the block */
    struct vb_arena arena;
    struct row *rows;
    size_t n, room;
    char note[256]; /* of its first corrupt line */
    enum vb_status status;
    struct vb_error err;
};

struct reading {
    FILE *file;
    char path[PATH_MAX];
    char *block;
    size_t room, length; /* of the block; what it holds of the next one's first line is kept */
    size_t n_lines;      /* before the block */
    struct vb_journal_sum *sum;
    vb_each_record *each;
    void *context;
};

static enum vb_status parse_line(struct part *part, const char *line, size_t number)
{
    struct row *rows = vb_arena_grow(&part->arena, part->rows, part->n, &part->room, sizeof *rows);
    struct vb_error inner = { 0 };
    if (rows == NULL)
        return vb_fail(&part->err, VB_E_SYSTEM, "no host memory left for the journal");
    part->rows = rows;
    struct row *row = &rows[part->n];
    enum vb_status status = vb_record_parse(line, &part->arena, &row->record, &inner);
    if (status != VB_OK && status != VB_E_INPUT)
        return vb_fail(&part->err, status, "%s", inner.text);
    row->is_good = status == VB_OK;
    row->line = number;
    if (status == VB_E_INPUT && part->note[0] == '\0')
        (void)snprintf(part->note, sizeof part->note, "%.250s", inner.text);
    part->n++;
    return VB_OK;
}

static void *parse_part(void *context)
{
    struct part *part = context;
    size_t number = part->n_lines_before;
    for (char *line = part->begin; line < part->end && part->status == VB_OK;) {
        char *stop = memchr(line, '\n', (size_t)(part->end - line));
        char *next = stop != NULL ? stop + 1 : part->end;
        *(stop != NULL ? stop : part->end) = '\0';
        number++;
        if (line[0] != '\0')
            part->status = parse_line(part, line, number);
        line = next;
    }
    return NULL;
}

static size_t count_lines(const char *at, const char *end)
{
    size_t n = 0;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL && ++at < end)
        n++;
    return n + (at == end);
}

static enum vb_status tell(struct reading *reading, struct part *part, struct vb_error *err)
{
    struct vb_journal_sum *sum = reading->sum;
    if (part->status != VB_OK)
        return vb_fail(err, part->status, "%s: %s", reading->path, part->err.text);
    for (size_t i = 0; i < part->n; i++) {
        const struct row *row = &part->rows[i];
        if (!row->is_good && sum->n_corrupt++ == 0)
            (void)snprintf(sum->note, sizeof sum->note, "%.250s:%zu: %.200s", reading->path,
                           reading->n_lines + row->line, part->note);
        if (!row->is_good)
            continue;
        sum->n_records++;
        enum vb_status status = reading->each(reading->context, &row->record, err);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

/* Shares the lines of `bytes` out among threads; a part that gets none of its own is parsed here.
 */
static enum vb_status parse_block(struct reading *reading, size_t bytes, struct vb_error *err)
{
    struct part parts[MAX_THREADS] = { 0 };
    pthread_t threads[MAX_THREADS];
    bool is_started[MAX_THREADS] = { false };
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n_parts = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (size_t)cores;
    char *begin = reading->block, *end = reading->block + bytes;
    size_t n_lines = 0;
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < n_parts; i++) {
        char *stop = reading->block + bytes / n_parts * (i + 1);
        stop = i + 1 == n_parts || stop < begin ? end : memchr(stop, '\n', (size_t)(end - stop));
        stop = stop == NULL ? end : stop < end ? stop + 1 : end;
        parts[i] = (struct part){ .begin = begin, .end = stop, .n_lines_before = n_lines };
        n_lines += count_lines(begin, stop);
        begin = stop;
    }
    for (size_t i = 1; i < n_parts; i++)
        is_started[i] = pthread_create(&threads[i], NULL, parse_part, &parts[i]) == 0;
    (void)parse_part(&parts[0]);
    for (size_t i = 0; i < n_parts; i++) {
        if (is_started[i])
            (void)pthread_join(threads[i], NULL);
        else if (i > 0)
            (void)parse_part(&parts[i]);
    }
    for (size_t i = 0; i < n_parts; i++) {
        if (status == VB_OK)
            status = tell(reading, &parts[i], err);
        vb_arena_clear(&parts[i].arena);
    }
    reading->n_lines += n_lines;
    return status;
}

/* Fills the block; `*bytes` are those of its whole lines, at the file's end all. */
static enum vb_status fill(struct reading *reading, size_t *bytes, struct vb_error *err)
{
    for (;;) {
        if (reading->length == reading->room) {
            size_t room = reading->room * 2;
            char *block = room <= MOST_BYTES ? realloc(reading->block, room + 1) : NULL;
            if (block == NULL && room > MOST_BYTES)
                return vb_fail(err, VB_E_INPUT, "%s:%zu: no line of a journal is so long",
                               reading->path, reading->n_lines + 1);
            if (block == NULL)
                return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it",
                               reading->path);
            reading->block = block;
            reading->room = room;
        }
        size_t got = fread(reading->block + reading->length, 1, reading->room - reading->length,
                           reading->file);
        reading->sum->hash = vb_hash(reading->sum->hash, reading->block + reading->length, got);
        reading->length += got;
        if (ferror(reading->file))
            return vb_fail(err, VB_E_INPUT, "%s: cannot be read: %s", reading->path,
                           strerror(errno));
        const char *last = memrchr(reading->block, '\n', reading->length);
        *bytes = last != NULL ? (size_t)(last - reading->block) + 1 : 0;
        if (got == 0)
            *bytes = reading->length;
        if (got == 0 || *bytes > 0)
            return VB_OK;
    }
}

enum vb_status vb_journal_each(const char *folder, vb_each_record *each, void *context,
                               struct vb_journal_sum *out, struct vb_error *err)
{
    struct reading reading = { .sum = out, .each = each, .context = context, .room = BLOCK_BYTES };
    size_t bytes = 0;
    *out = (struct vb_journal_sum){ .hash = VB_HASH_START };
    enum vb_status status = vb_journal_source(folder, reading.path, sizeof reading.path, err);
    if (status != VB_OK)
        return status;
    reading.file = fopen(reading.path, "rb");
    if (reading.file == NULL)
        return vb_fail(err, VB_E_INPUT, "%s: cannot be opened: %s", reading.path, strerror(errno));
    reading.block = malloc(reading.room + 1);
    if (reading.block == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", reading.path);
    do {
        if (status == VB_OK)
            status = fill(&reading, &bytes, err);
        if (status != VB_OK || bytes == 0)
            break;
        char after = reading.block[bytes]; /* a part's end is overwritten */
        status = parse_block(&reading, bytes, err);
        reading.block[bytes] = after;
        reading.length -= bytes;
        memmove(reading.block, reading.block + bytes, reading.length);
    } while (status == VB_OK);
    (void)fclose(reading.file);
    free(reading.block);
    return status;
}
