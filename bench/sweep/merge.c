/* SPDX-License-Identifier: Apache-2.0 */
/* The journals are read twice: first to see which points there are, then to write their lines. */

#include "sweep/merge.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "sweep/journal.h"

enum { FIRST_SLOTS = 1 << 12, MAX_DEVICES = 64 };

/* A point: the line that readers are to find. */
struct point_row {
    uint64_t id;   /* 0: a free slot */
    uint64_t hash; /* of the line */
    uint32_t folder, number;
    bool has_failed, is_disputed;
};

/* What is behind a device's name. */
struct machine {
    char device[64], gpu[64], cudnn[32], driver[32];
    char path[PATH_MAX]; /* of the journal that said so */
};

struct merging {
    struct vb_merge *merge;
    struct point_row *slots; /* a power of two of them, half are free at least */
    size_t n_slots, n;
    uint32_t folder; /* that is being read */
    uint64_t *ids;   /* of the lines as they were first read; 0: of one that was passed over */
    size_t n_lines, lines_room, line;
    struct vb_arena id_arena;
    struct vb_arena arena;
    struct vb_record record; /* of the line that is being read */
    struct machine *machines;
    size_t n_machines;
    FILE *file;
    uint64_t written; /* a hash of it */
    char **winners;   /* of disputed points: their lines are written last */
    size_t n_winners, winners_room;
};

static void tell(const struct merging *self, const char *text)
{
    if (self->merge->tell != NULL)
        self->merge->tell(self->merge->context, text);
}

static struct point_row *slot_of(const struct merging *self, uint64_t id)
{
    size_t at = (size_t)(id & (self->n_slots - 1));
    while (self->slots[at].id != 0 && self->slots[at].id != id)
        at = (at + 1) & (self->n_slots - 1);
    return &self->slots[at];
}

static enum vb_status make_room(struct merging *self, struct vb_error *err)
{
    struct merging grown = *self;
    if (2 * self->n < self->n_slots)
        return VB_OK;
    grown.n_slots = self->n_slots > 0 ? 2 * self->n_slots : FIRST_SLOTS;
    grown.slots = calloc(grown.n_slots, sizeof *grown.slots);
    if (grown.slots == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu points", self->n);
    for (size_t i = 0; i < self->n_slots; i++) {
        if (self->slots[i].id != 0)
            *slot_of(&grown, self->slots[i].id) = self->slots[i];
    }
    free(self->slots);
    *self = grown;
    return VB_OK;
}

/* What stands behind the record's device, the same in all journals. */
static enum vb_status check_machine(struct merging *self, const char *path, struct vb_error *err)
{
    const struct vb_record *record = &self->record;
    struct machine *machine = self->machines;
    const struct machine *end = machine + self->n_machines;
    if (record->gpu[0] == '\0') /* it failed before that was known */
        return VB_OK;
    while (machine < end && strcmp(machine->device, record->device) != 0)
        machine++;
    if (machine == end && self->n_machines == MAX_DEVICES)
        return vb_fail(err, VB_E_INPUT, "%s: more than %d devices", path, MAX_DEVICES);
    if (machine == end) {
        self->n_machines++;
        (void)snprintf(machine->device, sizeof machine->device, "%s", record->device);
        (void)snprintf(machine->gpu, sizeof machine->gpu, "%s", record->gpu);
        (void)snprintf(machine->cudnn, sizeof machine->cudnn, "%s", record->cudnn);
        (void)snprintf(machine->driver, sizeof machine->driver, "%s", record->on_gpu.driver);
        (void)snprintf(machine->path, sizeof machine->path, "%s", path);
        return VB_OK;
    }
    if (strcmp(machine->gpu, record->gpu) == 0 && strcmp(machine->cudnn, record->cudnn) == 0 &&
        strcmp(machine->driver, record->on_gpu.driver) == 0)
        return VB_OK;
    return vb_fail(
        err, VB_E_INPUT,
        "%.150s: %s is %s (driver '%s', cuDNN '%s'), in %.150s it is %s ('%s', '%s'): runs "
        "of two machines' kinds are not one sweep",
        path, record->device, record->gpu, record->on_gpu.driver, record->cudnn, machine->path,
        machine->gpu, machine->driver, machine->cudnn);
}

/* Tells points apart as cell_id does, at a tenth of the cost: a record that was read has zeros
 * wherever nothing was. */
static uint64_t id_of(const struct vb_record *record)
{
    const uint64_t hash = vb_hash(VB_HASH_START, &record->point, sizeof record->point);
    return vb_hash(hash, record->device, strlen(record->device)) | 1; /* 0 is a free slot's */
}

static void tell_dispute(const struct merging *self, const struct point_row *row,
                         const struct vb_journal_line *line)
{
    const struct vb_point *point = &self->record.point;
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "%.64s, batch %" PRIu32 " at %" PRIu32
                   ", %s: %.300s:%zu is not what line %" PRIu32 " of %.300s says",
                   point->model, point->batch, point->imgsz, vb_precision_names[point->precision],
                   line->path, line->number, row->number, self->merge->folders[row->folder]);
    tell(self, text);
}

static enum vb_status count_line(void *context, const struct vb_journal_line *line,
                                 struct vb_error *err)
{
    struct merging *self = context;
    struct vb_error inner = { 0 };
    char text[1024];
    uint64_t *ids =
        vb_arena_grow(&self->id_arena, self->ids, self->n_lines, &self->lines_room, sizeof *ids);
    if (ids == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu lines", self->n_lines);
    self->ids = ids;
    ids[self->n_lines++] = 0;
    vb_arena_clear(&self->arena);
    enum vb_status status = vb_record_parse(line->text, &self->arena, &self->record, &inner);
    if (status == VB_E_INPUT) {
        self->merge->n_corrupt++;
        (void)snprintf(text, sizeof text, "%.300s:%zu: passed over: %.300s", line->path,
                       line->number, inner.text);
        tell(self, text);
        return VB_OK;
    }
    if (status != VB_OK)
        return vb_fail(err, status, "%s", inner.text);
    status = check_machine(self, line->path, err);
    if (status == VB_OK)
        status = make_room(self, err);
    if (status != VB_OK)
        return status;

    const uint64_t id = ids[self->n_lines - 1] = id_of(&self->record);
    struct point_row *row = slot_of(self, id);
    struct point_row found = { id,
                               vb_hash(VB_HASH_START, line->text, line->bytes),
                               self->folder,
                               (uint32_t)line->number,
                               vb_has_failed(&self->record),
                               row->is_disputed };
    if (row->id != 0 && row->hash == found.hash)
        return VB_OK;
    if (row->id != 0) {
        tell_dispute(self, row, line);
        self->merge->n_conflicts += !row->is_disputed;
        found.is_disputed = true;
        row->is_disputed = true;
    }
    self->n += row->id == 0;
    if (row->id == 0 || row->has_failed || !found.has_failed)
        *row = found;
    return VB_OK;
}

static enum vb_status put(struct merging *self, const char *text, size_t bytes,
                          struct vb_error *err)
{
    self->written = vb_hash(vb_hash(self->written, text, bytes), "\n", 1);
    self->merge->n_rows++;
    if (fwrite(text, 1, bytes, self->file) != bytes || fputc('\n', self->file) == EOF)
        return vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", self->merge->out,
                       strerror(errno));
    return VB_OK;
}

static enum vb_status keep_winner(struct merging *self, const struct vb_journal_line *line,
                                  struct vb_error *err)
{
    char **winners = vb_arena_grow(&self->arena, self->winners, self->n_winners,
                                   &self->winners_room, sizeof *winners);
    char *text = vb_arena_alloc(&self->arena, line->bytes + 1, 1);
    if (winners == NULL || text == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to merge");
    memcpy(text, line->text, line->bytes);
    self->winners = winners;
    self->winners[self->n_winners++] = text;
    return VB_OK;
}

/* Each line once; of a disputed point the one that is to be found comes after all others. */
static enum vb_status write_line(void *context, const struct vb_journal_line *line,
                                 struct vb_error *err)
{
    struct merging *self = context;
    if (self->line == self->n_lines)
        return vb_fail(err, VB_E_INPUT, "%s: is being written; merge it when that is done",
                       line->path);
    const uint64_t id = self->ids[self->line++];
    if (id == 0)
        return VB_OK;
    const struct point_row *row = slot_of(self, id);
    const bool is_found = row->folder == self->folder && row->number == line->number;
    if (!is_found && row->hash == vb_hash(VB_HASH_START, line->text, line->bytes)) {
        self->merge->n_folded++;
        return VB_OK;
    }
    if (is_found && row->is_disputed)
        return keep_winner(self, line, err);
    return put(self, line->text, line->bytes, err);
}

static enum vb_status each_journal(struct merging *self, vb_journal_visit *visit,
                                   struct vb_error *err)
{
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < self->merge->n_folders && status == VB_OK; i++) {
        self->folder = (uint32_t)i;
        status = vb_journal_lines(self->merge->folders[i], visit, self, err);
    }
    return status;
}

static enum vb_status add_to_hash(void *context, const struct vb_journal_line *line,
                                  struct vb_error *err)
{
    uint64_t *hash = context;
    (void)err;
    *hash = vb_hash(vb_hash(*hash, line->text, line->bytes), "\n", 1);
    return VB_OK;
}

/* Puts what was written in the place of what is there, unless that is the same or must stay. */
static enum vb_status replace(struct merging *self, const char *part, const char *path,
                              struct vb_error *err)
{
    uint64_t before = VB_HASH_START;
    struct stat info;
    enum vb_status status = VB_OK;
    if (stat(path, &info) == 0 && info.st_size > 0) {
        status = vb_journal_lines(self->merge->out, add_to_hash, &before, err);
        if (status == VB_OK && before == self->written)
            return unlink(part) == 0 ? VB_OK
                                     : vb_fail(err, VB_E_SYSTEM, "%s: %s", part, strerror(errno));
        if (status == VB_OK && !self->merge->force)
            status = vb_fail(err, VB_E_INPUT,
                             "%s: holds another journal; give --force to replace it", path);
    }
    if (status == VB_OK && rename(part, path) != 0)
        status = vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", path, strerror(errno));
    return status;
}

static enum vb_status write_out(struct merging *self, struct vb_error *err)
{
    char path[PATH_MAX], part[PATH_MAX + 8];
    enum vb_status status = vb_file_make_folder(self->merge->out, err);
    if (status == VB_OK)
        status = vb_journal_path(self->merge->out, path, sizeof path, err);
    if (status != VB_OK)
        return status;
    (void)snprintf(part, sizeof part, "%s.part", path);
    self->file = fopen(part, "we");
    if (self->file == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", part, strerror(errno));
    vb_arena_clear(&self->arena);
    status = each_journal(self, write_line, err);
    for (size_t i = 0; i < self->n_winners && status == VB_OK; i++)
        status = put(self, self->winners[i], strlen(self->winners[i]), err);
    const bool is_whole = fflush(self->file) == 0 && fsync(fileno(self->file)) == 0;
    if (fclose(self->file) != 0 || (!is_whole && status == VB_OK))
        status = vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", part, strerror(errno));
    if (status == VB_OK)
        status = replace(self, part, path, err);
    if (status != VB_OK)
        (void)unlink(part);
    return status;
}

/* That a journal to be read is not the one to be written. */
static enum vb_status check_folders(const struct vb_merge *merge, struct vb_error *err)
{
    struct stat out, in;
    if (stat(merge->out, &out) != 0)
        return VB_OK;
    for (size_t i = 0; i < merge->n_folders; i++) {
        if (stat(merge->folders[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return vb_fail(err, VB_E_INPUT, "%s: is read and written; take another --out",
                           merge->folders[i]);
    }
    return VB_OK;
}

enum vb_status vb_merge_journals(struct vb_merge *merge, struct vb_error *err)
{
    struct merging self = { .merge = merge, .written = VB_HASH_START };
    merge->n_rows = merge->n_folded = merge->n_conflicts = merge->n_corrupt = 0;
    self.machines = calloc(MAX_DEVICES, sizeof *self.machines);
    enum vb_status status = check_folders(merge, err);
    if (status == VB_OK && self.machines == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left to merge");
    if (status == VB_OK)
        status = make_room(&self, err);
    if (status == VB_OK)
        status = each_journal(&self, count_line, err);
    if (status == VB_OK)
        status = write_out(&self, err);
    free(self.machines);
    free(self.slots);
    vb_arena_clear(&self.id_arena);
    vb_arena_clear(&self.arena);
    return status;
}
