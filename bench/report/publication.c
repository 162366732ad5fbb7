/* SPDX-License-Identifier: Apache-2.0 */
#include "report/publication.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/fold.h"

/* No GPU has as much, no step is as fast: what claims to was edited. */
#define MOST_BYTES ((uint64_t)1 << 46)
#define MOST_IMAGES 1e7

static void make_slug(const char *gpu, char *slug, size_t room)
{
    size_t n = 0;
    for (; *gpu != '\0' && n + 1 < room; gpu++) {
        if (isalnum((unsigned char)*gpu))
            slug[n++] = (char)tolower((unsigned char)*gpu);
        else if (n > 0 && slug[n - 1] != '-')
            slug[n++] = '-';
    }
    while (n > 0 && slug[n - 1] == '-')
        n--;
    slug[n] = '\0';
}

static enum vb_status take_identity(struct vb_publication *to, const struct vb_record *record,
                                    struct vb_error *err)
{
    (void)snprintf(to->gpu, sizeof to->gpu, "%s", record->gpu);
    (void)snprintf(to->device, sizeof to->device, "%s", record->device);
    (void)snprintf(to->driver, sizeof to->driver, "%s", record->on_gpu.driver);
    (void)snprintf(to->cuda, sizeof to->cuda, "%s", record->on_gpu.cuda);
    (void)snprintf(to->cudnn, sizeof to->cudnn, "%s", record->cudnn);
    to->provenance = record->provenance;
    to->capacity_bytes = record->capacity_bytes;
    to->usable_bytes = record->usable_bytes;
    make_slug(to->gpu, to->slug, sizeof to->slug);
    if (to->slug[0] == '\0')
        return vb_fail(err, VB_E_INPUT, "a record's GPU has no name");
    return VB_OK;
}

static enum vb_status check_identity(const struct vb_publication *to,
                                     const struct vb_record *record, struct vb_error *err)
{
    if (strcmp(to->gpu, record->gpu) == 0 && strcmp(to->driver, record->on_gpu.driver) == 0 &&
        strcmp(to->cudnn, record->cudnn) == 0 && to->provenance == record->provenance)
        return VB_OK;
    return vb_fail(
        err, VB_E_INPUT,
        "records of %s (driver '%s', cuDNN '%s', %s) and of %s ('%s', '%s', %s): a table is "
        "of one",
        to->gpu, to->driver, to->cudnn, vb_provenance_names[to->provenance], record->gpu,
        record->on_gpu.driver, record->cudnn, vb_provenance_names[record->provenance]);
}

/* A record that was read has zeros wherever nothing was. */
static bool is_of_kind(const struct vb_published_kind *kind, const struct vb_point *point)
{
    return memcmp(&kind->point, point, sizeof *point) == 0;
}

/* Mostly the record before is of the same. */
static enum vb_status find_kind(struct vb_publication *to, const struct vb_point *point,
                                uint32_t *out, struct vb_error *err)
{
    if (to->n_kinds > 0 && is_of_kind(&to->kinds[to->last_kind], point)) {
        *out = (uint32_t)to->last_kind;
        return VB_OK;
    }
    for (to->last_kind = 0; to->last_kind < to->n_kinds; to->last_kind++) {
        if (is_of_kind(&to->kinds[to->last_kind], point))
            break;
    }
    *out = (uint32_t)to->last_kind;
    if (to->last_kind < to->n_kinds)
        return VB_OK;
    struct vb_published_kind *kinds =
        vb_arena_grow(&to->arena, to->kinds, to->n_kinds, &to->kinds_room, sizeof *kinds);
    if (kinds == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a table");
    to->kinds = kinds;
    kinds[to->n_kinds++].point = *point;
    return VB_OK;
}

enum vb_status vb_publication_add(struct vb_publication *to, const struct vb_record *record,
                                  struct vb_error *err)
{
    const struct vb_point *point = &record->point;
    struct vb_point kind_point = record->point;
    const bool ran_out = vb_ran_out(record);
    const double rate =
        vb_has_peaks(record) && record->step_seconds > 0 ? point->batch / record->step_seconds : 0;
    uint32_t kind = 0;
    kind_point.batch = kind_point.imgsz = 0;
    if (!vb_has_peaks(record) && !ran_out) {
        to->n_failed++;
        return VB_OK;
    }
    if (record->peak_reserved_bytes > MOST_BYTES || record->peak_device_bytes > MOST_BYTES ||
        !(rate <= MOST_IMAGES) || (vb_has_peaks(record) && record->peak_reserved_bytes == 0))
        return vb_fail(err, VB_E_INPUT, "%s, batch %u at %u: its figures cannot be", point->model,
                       point->batch, point->imgsz);
    if (record->state == VB_STATE_BACKSTOP && record->gpu[0] == '\0' && to->gpu[0] == '\0') {
        to->n_failed++; /* it was not reached, and nothing is known yet of the GPU */
        return VB_OK;
    }
    enum vb_status status = VB_OK;
    if (to->gpu[0] == '\0')
        status = take_identity(to, record, err);
    else if (record->gpu[0] != '\0')
        status = check_identity(to, record, err);
    if (status == VB_OK)
        status = find_kind(to, &kind_point, &kind, err);
    if (status != VB_OK)
        return status;
    struct vb_published_row *rows =
        vb_arena_grow(&to->arena, to->rows, to->n_rows, &to->rows_room, sizeof *rows);
    if (rows == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a table");
    to->rows = rows;
    to->rows[to->n_rows] = (struct vb_published_row){
        .kind = kind,
        .number = (uint32_t)to->n_rows,
        .imgsz = point->imgsz,
        .batch = point->batch,
        .state = record->state,
        .device_bytes = ran_out ? 0 : record->peak_device_bytes,
        .reserved_bytes = ran_out ? 0 : record->peak_reserved_bytes,
        .images_per_second = rate,
    };
    to->n_rows++;
    return VB_OK;
}

VB_BEGINS_WITH_KEY(struct vb_published_row);

void vb_publication_sort(struct vb_publication *publication)
{
    publication->n_rows =
        vb_fold_rows(publication->rows, publication->n_rows, sizeof *publication->rows);
}

void vb_publication_clear(struct vb_publication *publication)
{
    vb_arena_clear(&publication->arena);
    *publication = (struct vb_publication){ 0 };
}
