/* SPDX-License-Identifier: Apache-2.0 */
/* Notes. train_logs.csv tells there what its columns do not: "trust=A; launch=subprocess; epoch
 * 0/49 last value; task=detect mosaic=0.0; ...". */
#include "fit/published_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first occurrence of `word` that begins an item; NULL: none. */
static const char *find_item(const char *note, const char *word)
{
    for (const char *at = strstr(note, word); at != NULL; at = strstr(at + 1, word)) {
        if (at == note || at[-1] == ' ' || at[-1] == ';')
            return at;
    }
    return NULL;
}

const char *vb_published_note_value(struct vb_arena *arena, const char *note, const char *key)
{
    char word[64];
    (void)snprintf(word, sizeof word, "%s=", key);
    const char *at = find_item(note, word);
    if (at == NULL)
        return NULL;
    at += strlen(word);
    return vb_arena_format(arena, "%.*s", (int)strcspn(at, "; "), at);
}

/* YOLOv5 counts epochs from 0, Ultralytics from 1. */
static void read_epoch(struct vb_published_reading *reading, const char *note)
{
    const char *at = find_item(note, "epoch ");
    unsigned epoch, last;
    bool is_ultralytics = strcmp(reading->cells[VB_FIELD_FAMILY], "ultralytics") == 0;
    if (at != NULL && sscanf(at, "epoch %9u/%9u", &epoch, &last) == 2 &&
        epoch != (is_ultralytics ? 1u : 0u))
        vb_published_refuse(reading, "not a first epoch");
}

/* What follows `word` and a blank, up to the next blank or sign; NULL: not there. */
static const char *find_value(struct vb_arena *arena, const char *note, const char *word)
{
    const char *at = find_item(note, word);
    if (at == NULL)
        return NULL;
    at += strlen(word);
    return vb_arena_format(arena, "%.*s", (int)strcspn(at, " ;,"), at);
}

/* oom.csv tells in prose: "ultralytics 8.4.33 torch 2.10.0+cu128; trainer printed ...". What was
 * not a training run, or not alone, says nothing about a plan. */
static void read_prose(struct vb_published_reading *reading, const char *note)
{
    static const struct {
        const char *text, *reason;
    } against[] = {
        { "AutoBatch", "ran out while AutoBatch tried sizes: no training run" },
        { "already reserved", "memory was reserved before it began" },
        { "anomal", "called anomalous" },
        { "multi-scale", "multi-scale: the image size varies" },
    };
    static const struct {
        enum vb_field field;
        const char *word;
    } cells[] = { { VB_FIELD_TORCH, "torch " },
                  { VB_FIELD_VERSION, "ultralytics " },
                  { VB_FIELD_VERSION, "YOLOv5 " } };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        const char *value = find_value(reading->arena, note, cells[i].word);
        if (value != NULL)
            reading->cells[cells[i].field] = value;
    }
    reading->row->torch = reading->cells[VB_FIELD_TORCH];
    reading->row->version = reading->cells[VB_FIELD_VERSION];
    for (size_t i = 0; i < sizeof against / sizeof *against; i++) {
        if (strstr(note, against[i].text) != NULL)
            vb_published_refuse(reading, "%s", against[i].reason);
    }
}

void vb_published_read_note(struct vb_published_reading *reading)
{
    static const struct {
        const char *key, *usual, *reason;
    } against[] = {
        { "resume", "False", "resumed" },
        { "freeze", "[0]", "frozen layers: not modelled" },
        { "rect", "False", "rectangular batches: not modelled" },
        { "multi_scale", "0.0", "multi-scale: the image size varies" },
        { "sync_bn", "False", "several GPUs: synchronized batch norm" },
    };
    const char *note = reading->cells[VB_FIELD_NOTE];
    const struct {
        enum vb_field field;
        const char *key;
    } cells[] = { { VB_FIELD_VERSION, "code_version" },
                  { VB_FIELD_GPU_TOTAL, "gpu_total_MiB" },
                  { VB_FIELD_TRUST, "trust" },
                  { VB_FIELD_INSTANCES, "instances_in_last_batch" } };
    if (note[0] == '\0')
        return;
    if (reading->row->ran_out) {
        read_prose(reading, note);
        return;
    }
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        const char *value = vb_published_note_value(reading->arena, note, cells[i].key);
        if (value != NULL)
            reading->cells[cells[i].field] = value;
    }
    reading->row->trust = reading->cells[VB_FIELD_TRUST];
    reading->row->version = reading->cells[VB_FIELD_VERSION];
    for (size_t i = 0; i < sizeof against / sizeof *against; i++) {
        const char *value = vb_published_note_value(reading->arena, note, against[i].key);
        if (value != NULL && strcmp(value, against[i].usual) != 0)
            vb_published_refuse(reading, "%s", against[i].reason);
    }
    read_epoch(reading, note);
    if (strstr(note, "TINY_DATASET") != NULL)
        vb_published_refuse(reading, "one iteration an epoch: the batch may be smaller than told");
}
