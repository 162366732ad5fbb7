/* SPDX-License-Identifier: Apache-2.0 */
/* inih parses; it gives handlers no line number, cuts long lines and section names, and takes an
 * indented line for more of the value above it. So it reads through a reader of ours that counts
 * lines and refuses what it would get wrong. */

#include "base/ini.h"

#include <ctype.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

enum { MAX_LINE = 190, MAX_SECTION = 48, MAX_DEPTH = 8, MAX_FILE_BYTES = 1 << 20 };

struct reader {
    const char *file;
    const char *rest;
    uint32_t line;
    struct vb_arena *arena;
    struct vb_ini *out;
    bool may_include;
    int depth;
    enum vb_status status;
    struct vb_error *err;
};

static enum vb_status read_file(const char *path, int depth, struct vb_arena *arena,
                                struct vb_ini *out, struct vb_error *err);

/* inih's reader: one line into `text`; NULL at the end or at a fault. */
static char *next_line(char *text, int room, void *stream)
{
    struct reader *reader = stream;
    size_t length = strcspn(reader->rest, "\n");
    if (reader->status != VB_OK || reader->rest[0] == '\0')
        return NULL;
    reader->line++;
    if (length > MAX_LINE || (int)length + 2 > room)
        reader->status = vb_fail(reader->err, VB_E_INPUT, "%s:%u: longer than %d characters",
                                 reader->file, reader->line, MAX_LINE);
    else if (isblank((unsigned char)reader->rest[0]) && strspn(reader->rest, " \t\r") < length &&
             reader->rest[strspn(reader->rest, " \t")] != ';')
        reader->status = vb_fail(reader->err, VB_E_INPUT,
                                 "%s:%u: begins with a blank; one value, one "
                                 "line, from the margin",
                                 reader->file, reader->line);
    else if (reader->rest[0] == '[' && strcspn(reader->rest, "]\n") > MAX_SECTION)
        reader->status =
            vb_fail(reader->err, VB_E_INPUT, "%s:%u: a section's name is at most %d long",
                    reader->file, reader->line, MAX_SECTION);
    if (reader->status != VB_OK)
        return NULL;
    memcpy(text, reader->rest, length);
    text[length] = '\n';
    text[length + 1] = '\0';
    reader->rest += length + (reader->rest[length] == '\n');
    return text;
}

static enum vb_status include_file(struct reader *reader, const char *value)
{
    char path[4096];
    const char *slash = strrchr(reader->file, '/');
    int folder = slash != NULL && value[0] != '/' ? (int)(slash - reader->file + 1) : 0;
    if (!reader->may_include)
        return vb_fail(reader->err, VB_E_INPUT, "%s:%u: include has no place here", reader->file,
                       reader->line);
    if (reader->depth == MAX_DEPTH)
        return vb_fail(reader->err, VB_E_INPUT,
                       "%s:%u: files include each other, or more than %d deep", reader->file,
                       reader->line, MAX_DEPTH);
    (void)snprintf(path, sizeof path, "%.*s%s", folder, reader->file, value);
    struct vb_error inner = { 0 };
    enum vb_status status = read_file(path, reader->depth + 1, reader->arena, reader->out, &inner);
    if (status != VB_OK && strncmp(inner.text, path, strlen(path)) == 0 &&
        inner.text[strlen(path)] == ':' && strstr(inner.text, "cannot be") != NULL)
        return vb_fail(reader->err, status, "%s:%u: include: %s", reader->file, reader->line,
                       inner.text);
    if (status != VB_OK)
        return vb_fail(reader->err, status, "%s", inner.text);
    return VB_OK;
}

static enum vb_status add_entry(struct reader *reader, const char *section, const char *key,
                                const char *value)
{
    struct vb_ini *out = reader->out;
    char kind[MAX_SECTION + 2];
    (void)snprintf(kind, sizeof kind, "%s", section);
    char *blank = strpbrk(kind, " \t");
    const char *name = "";
    if (blank != NULL) {
        *blank = '\0';
        name = vb_text_trim(blank + 1);
    }
    for (size_t i = 0; i < out->n; i++) {
        const struct vb_ini_entry *entry = &out->entries[i];
        if (strcmp(entry->section, kind) == 0 && strcmp(entry->name, name) == 0 &&
            strcmp(entry->key, key) == 0 && strcmp(entry->file, reader->file) == 0)
            return vb_fail(reader->err, VB_E_INPUT,
                           "%s:%u: %s is given twice in [%s]; first in line %u", reader->file,
                           reader->line, key, section, entry->line);
    }
    struct vb_ini_entry *entries =
        vb_arena_grow(reader->arena, out->entries, out->n, &out->room, sizeof *entries);
    struct vb_ini_entry entry = {
        .section = vb_arena_copy(reader->arena, kind),
        .name = vb_arena_copy(reader->arena, name),
        .key = vb_arena_copy(reader->arena, key),
        .value = vb_arena_copy(reader->arena, value),
        .file = reader->file,
        .line = reader->line,
    };
    if (entries == NULL || entry.section == NULL || entry.name == NULL || entry.key == NULL ||
        entry.value == NULL)
        return vb_fail(reader->err, VB_E_SYSTEM, "%s: no host memory left to read it",
                       reader->file);
    out->entries = entries;
    entries[out->n++] = entry;
    return VB_OK;
}

/* inih's handler: 0 stops. */
static int on_entry(void *user, const char *section, const char *key, const char *value)
{
    struct reader *reader = user;
    if (reader->status != VB_OK)
        return 0;
    if (section[0] == '\0')
        reader->status = vb_fail(reader->err, VB_E_INPUT,
                                 "%s:%u: %s stands before the first section; "
                                 "expected [sweep], [axes] or [step]",
                                 reader->file, reader->line, key);
    else if (strcmp(key, "include") == 0)
        reader->status = include_file(reader, value);
    else
        reader->status = add_entry(reader, section, key, value);
    return reader->status == VB_OK;
}

static enum vb_status parse(struct reader *reader)
{
    int fault = ini_parse_stream(next_line, reader, on_entry, reader);
    if (reader->status != VB_OK)
        return reader->status;
    if (fault != 0)
        return vb_fail(reader->err, VB_E_INPUT, "%s:%d: expected 'key = value' or '[section]'",
                       reader->file, fault > 0 ? fault : 1);
    return VB_OK;
}

static enum vb_status read_file(const char *path, int depth, struct vb_arena *arena,
                                struct vb_ini *out, struct vb_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, err);
    if (status != VB_OK)
        return status;
    if (strlen(text) != bytes) {
        free(text);
        return vb_fail(err, VB_E_INPUT, "%s: holds a 0 byte; expected text", path);
    }
    struct reader reader = { .file = vb_arena_copy(arena, path),
                             .rest = text,
                             .arena = arena,
                             .out = out,
                             .may_include = true,
                             .depth = depth,
                             .err = err };
    status = reader.file != NULL
                 ? parse(&reader)
                 : vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", path);
    free(text);
    return status;
}

enum vb_status vb_ini_read(const char *path, struct vb_arena *arena, struct vb_ini *out,
                           struct vb_error *err)
{
    *out = (struct vb_ini){ 0 };
    return read_file(path, 0, arena, out, err);
}

enum vb_status vb_ini_parse(const char *file, const char *text, struct vb_arena *arena,
                            struct vb_ini *out, struct vb_error *err)
{
    *out = (struct vb_ini){ 0 };
    struct reader reader = { .file = file, .rest = text, .arena = arena, .out = out, .err = err };
    return parse(&reader);
}
