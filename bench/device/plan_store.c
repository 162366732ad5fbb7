/* SPDX-License-Identifier: Apache-2.0 */
#include "device/plan_store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "device/hash.h"

enum { MAX_FILE_BYTES = 1 << 28, LINE_BYTES = 256, N_FIELDS = 19 };

static uint64_t hash_of(const struct vb_conv *conv, const struct vb_conv_rules *rules)
{
    uint32_t fields[] = { conv->direction, conv->type,      conv->channels_last,
                          conv->n,         conv->c,         conv->h,
                          conv->w,         conv->k,         conv->kernel_h,
                          conv->kernel_w,  conv->stride,    conv->pad,
                          conv->dilation,  conv->groups,    rules->deterministic,
                          rules->tf32,     rules->benchmark };
    return vb_hash(VB_HASH_START, fields, sizeof fields);
}

static bool same(const struct vb_plan_entry *entry, const struct vb_conv *a,
                 const struct vb_conv_rules *rules)
{
    const struct vb_conv *b = &entry->conv;
    return a->direction == b->direction && a->type == b->type &&
           a->channels_last == b->channels_last && a->n == b->n && a->c == b->c && a->h == b->h &&
           a->w == b->w && a->k == b->k && a->kernel_h == b->kernel_h &&
           a->kernel_w == b->kernel_w && a->stride == b->stride && a->pad == b->pad &&
           a->dilation == b->dilation && a->groups == b->groups &&
           rules->deterministic == entry->rules.deterministic && rules->tf32 == entry->rules.tf32 &&
           rules->benchmark == entry->rules.benchmark;
}

const struct vb_plan_entry *vb_plan_store_find(const struct vb_plan_store *store,
                                               const struct vb_conv *conv,
                                               const struct vb_conv_rules *rules)
{
    if (store->n_slots == 0)
        return NULL;
    for (size_t i = hash_of(conv, rules) % store->n_slots; store->slots[i] != 0;
         i = (i + 1) % store->n_slots) {
        const struct vb_plan_entry *entry = &store->entries[store->slots[i] - 1];
        if (same(entry, conv, rules))
            return entry;
    }
    return NULL;
}

static void place(struct vb_plan_store *store, size_t index)
{
    const struct vb_plan_entry *entry = &store->entries[index];
    size_t i = hash_of(&entry->conv, &entry->rules) % store->n_slots;
    while (store->slots[i] != 0)
        i = (i + 1) % store->n_slots;
    store->slots[i] = (uint32_t)index + 1;
}

static enum vb_status make_room(struct vb_plan_store *store, struct vb_error *err)
{
    size_t room = store->room == 0 ? 1024 : store->room * 2;
    if (store->n < store->room)
        return VB_OK;
    struct vb_plan_entry *entries = realloc(store->entries, room * sizeof *entries);
    if (entries != NULL)
        store->entries = entries;
    uint32_t *slots = calloc(room * 2, sizeof *slots);
    if (entries == NULL || slots == NULL) {
        free(slots);
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for cuDNN's answers");
    }
    free(store->slots);
    store->slots = slots;
    store->n_slots = room * 2;
    store->room = room;
    for (size_t i = 0; i < store->n; i++)
        place(store, i);
    return VB_OK;
}

enum vb_status vb_plan_store_add(struct vb_plan_store *store, const struct vb_plan_entry *entry,
                                 struct vb_error *err)
{
    enum vb_status status = make_room(store, err);
    if (status != VB_OK)
        return status;
    store->entries[store->n] = *entry;
    place(store, store->n++);
    return VB_OK;
}

void vb_plan_entry_print(const struct vb_plan_entry *entry, char *line, size_t room)
{
    const struct vb_conv *c = &entry->conv;
    const struct vb_conv_rules *r = &entry->rules;
    (void)snprintf(line, room,
                   "%d %d %d %u %u %u %u %u %u %u %u %u %u %u %d %" PRId64 " %" PRIu64 " %" PRIu64
                   " %" PRIu64 "\n",
                   (int)c->direction, (int)c->type, c->channels_last, c->n, c->c, c->h, c->w, c->k,
                   c->kernel_h, c->kernel_w, c->stride, c->pad, c->dilation, c->groups,
                   r->deterministic | r->tf32 << 1 | r->benchmark << 2, entry->plan.engine,
                   entry->plan.workspace_bytes, entry->plan.low_bytes, entry->plan.high_bytes);
}

static bool read_line(const char *line, struct vb_plan_entry *entry)
{
    long long field[N_FIELDS];
    const char *at = line;
    for (size_t i = 0; i < N_FIELDS; i++) {
        char *end = NULL;
        field[i] = strtoll(at, &end, 10);
        if (end == at || (i != 15 && (field[i] < 0 || (i < 15 && field[i] > UINT32_MAX))))
            return false;
        at = end;
    }
    if (*at != '\0' || field[0] > 2 || field[1] > 2 || field[2] > 1 || field[14] > 7)
        return false;
    *entry = (struct vb_plan_entry){
        .conv = { (enum vb_conv_direction)field[0], (enum vb_conv_type)field[1], field[2] != 0,
                  (uint32_t)field[3], (uint32_t)field[4], (uint32_t)field[5], (uint32_t)field[6],
                  (uint32_t)field[7], (uint32_t)field[8], (uint32_t)field[9], (uint32_t)field[10],
                  (uint32_t)field[11], (uint32_t)field[12], (uint32_t)field[13] },
        .rules = { (field[14] & 1) != 0, (field[14] & 2) != 0, (field[14] & 4) != 0 },
        .plan = { .engine = field[15],
                  .workspace_bytes = (uint64_t)field[16],
                  .low_bytes = (uint64_t)field[17],
                  .high_bytes = (uint64_t)field[18] },
    };
    return true;
}

enum vb_status vb_plan_store_load(struct vb_plan_store *store, const char *path,
                                  enum vb_conv_source source, struct vb_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    if (vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, NULL) != VB_OK)
        return VB_OK;
    enum vb_status status = VB_OK;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && status == VB_OK;
         line = strsep(&rest, "\n")) {
        struct vb_plan_entry entry;
        if (line[0] == '#' || !read_line(line, &entry) ||
            vb_plan_store_find(store, &entry.conv, &entry.rules) != NULL)
            continue;
        entry.plan.source = source;
        status = vb_plan_store_add(store, &entry, err);
    }
    free(text);
    store->n_saved = store->n;
    return status;
}

void vb_plan_store_save(struct vb_plan_store *store, const char *path)
{
    struct vb_text text = { 0 };
    int file = store->n > store->n_saved
                   ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)
                   : -1;
    if (file < 0)
        return;
    for (size_t i = store->n_saved; i < store->n; i++) {
        char line[LINE_BYTES];
        vb_plan_entry_print(&store->entries[i], line, sizeof line);
        vb_text_append(&text, "%s", line);
    }
    /* A write that was cut leaves a line that cannot be read: the answer is asked for again. */
    if (!text.failed && flock(file, LOCK_EX) == 0 &&
        write(file, vb_text_data(&text), text.length) == (ssize_t)text.length)
        store->n_saved = store->n;
    (void)close(file);
    vb_text_clear(&text);
}

void vb_plan_store_clear(struct vb_plan_store *store)
{
    free(store->entries);
    free(store->slots);
    *store = (struct vb_plan_store){ 0 };
}
