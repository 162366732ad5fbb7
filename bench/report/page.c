/* SPDX-License-Identifier: Apache-2.0 */
#include "report/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/fold.h"
#include "report/page_parts.h"

enum { MOST_REASONS = 2000 }; /* of points that failed: each is a text of its own */

static enum vb_status no_memory(struct vb_error *err)
{
    return vb_fail(err, VB_E_SYSTEM, "no host memory left for the page");
}

/* A point that was not reached names its device alone. */
bool vb_page_is_of(const struct vb_page_stack *stack, const struct vb_record *record)
{
    if (strcmp(stack->device, record->device) != 0 || stack->provenance != record->provenance)
        return false;
    if (record->state == VB_STATE_BACKSTOP && record->gpu[0] == '\0')
        return true;
    return strcmp(stack->gpu, record->gpu) == 0 &&
           strcmp(stack->driver, record->on_gpu.driver) == 0 &&
           strcmp(stack->cuda, record->on_gpu.cuda) == 0 &&
           strcmp(stack->cudnn, record->cudnn) == 0 && strcmp(stack->onednn, record->onednn) == 0 &&
           strcmp(stack->tool, record->tool) == 0;
}

static void name_stack(const struct vb_record *record, struct vb_page_stack *out)
{
    *out = (struct vb_page_stack){ .provenance = record->provenance,
                                   .capacity_bytes = record->capacity_bytes,
                                   .usable_bytes = record->usable_bytes };
    (void)snprintf(out->device, sizeof out->device, "%s", record->device);
    (void)snprintf(out->gpu, sizeof out->gpu, "%s", record->gpu);
    (void)snprintf(out->driver, sizeof out->driver, "%s", record->on_gpu.driver);
    (void)snprintf(out->cuda, sizeof out->cuda, "%s", record->on_gpu.cuda);
    (void)snprintf(out->cudnn, sizeof out->cudnn, "%s", record->cudnn);
    (void)snprintf(out->onednn, sizeof out->onednn, "%s", record->onednn);
    (void)snprintf(out->tool, sizeof out->tool, "%s", record->tool);
}

static enum vb_status find_stack(struct vb_page *page, const struct vb_record *record,
                                 uint32_t *out, struct vb_error *err)
{
    for (*out = 0; *out < page->n_stacks; ++*out) {
        if (vb_page_is_of(&page->stacks[*out], record))
            return VB_OK;
    }
    if (page->n_stacks == VB_MOST_PAGE_STACKS)
        return vb_fail(err, VB_E_INPUT,
                       "records of more than %d devices and versions; report parts of them",
                       VB_MOST_PAGE_STACKS);
    struct vb_page_stack *stacks = vb_arena_grow(&page->arena, page->stacks, page->n_stacks,
                                                 &page->stacks_room, sizeof *stacks);
    if (stacks == NULL)
        return no_memory(err);
    page->stacks = stacks;
    name_stack(record, &stacks[page->n_stacks++]);
    return VB_OK;
}

/* A record that was read has zeros wherever nothing was. */
static bool is_of_kind(const struct vb_page_kind *kind, const struct vb_point *point,
                       uint32_t stack)
{
    return kind->stack == stack && memcmp(&kind->point, point, sizeof *point) == 0;
}

/* Mostly the record before is of the same. */
static enum vb_status find_kind(struct vb_page *page, const struct vb_record *record,
                                uint32_t stack, struct vb_error *err)
{
    struct vb_point point = record->point;
    point.batch = point.imgsz = 0;
    if (page->last_kind < page->n_kinds && is_of_kind(&page->kinds[page->last_kind], &point, stack))
        return VB_OK;
    for (page->last_kind = 0; page->last_kind < page->n_kinds; page->last_kind++) {
        if (is_of_kind(&page->kinds[page->last_kind], &point, stack))
            return VB_OK;
    }
    if (page->n_kinds == VB_MOST_PAGE_KINDS)
        return vb_fail(err, VB_E_INPUT,
                       "more than %d configurations in one journal; report parts of it",
                       VB_MOST_PAGE_KINDS);
    struct vb_page_kind *kinds =
        vb_arena_grow(&page->arena, page->kinds, page->n_kinds, &page->kinds_room, sizeof *kinds);
    if (kinds == NULL)
        return no_memory(err);
    page->kinds = kinds;
    struct vb_page_kind *kind = &kinds[page->n_kinds++];
    *kind = (struct vb_page_kind){ .stack = stack };
    memcpy(&kind->point, &point, sizeof point); /* with what lies between its members */
    return VB_OK;
}

/* What only a record that ran tells. */
static void complete(struct vb_page_kind *kind, const struct vb_record *record)
{
    if (kind->recipe[0] == '\0')
        (void)snprintf(kind->recipe, sizeof kind->recipe, "%s", record->recipe);
    if (kind->workspaces[0] == '\0')
        (void)snprintf(kind->workspaces, sizeof kind->workspaces, "%s", record->workspaces);
    if (kind->context_bytes == 0 && record->peak_device_bytes > record->peak_reserved_bytes)
        kind->context_bytes = record->peak_device_bytes - record->peak_reserved_bytes;
}

enum vb_status vb_page_add(struct vb_page *page, const struct vb_record *record,
                           struct vb_error *err)
{
    uint32_t stack = 0;
    const bool has_peaks = vb_has_peaks(record);
    enum vb_status status = find_stack(page, record, &stack, err);
    if (status == VB_OK)
        status = find_kind(page, record, stack, err);
    if (status != VB_OK)
        return status;
    struct vb_page_row *rows =
        vb_arena_grow(&page->arena, page->rows, page->n_rows, &page->rows_room, sizeof *rows);
    if (rows == NULL)
        return no_memory(err);
    page->rows = rows;
    page->stacks[stack].n_records++;
    if (has_peaks)
        complete(&page->kinds[page->last_kind], record);
    rows[page->n_rows] = (struct vb_page_row){
        .kind = (uint32_t)page->last_kind,
        .number = (uint32_t)page->n_rows,
        .imgsz = record->point.imgsz,
        .batch = record->point.batch,
        .state = record->state,
        .time_is_modelled = record->time_is_modelled,
        .allocated_bytes = has_peaks ? record->peak_allocated_bytes : 0,
        .reserved_bytes = has_peaks ? record->peak_reserved_bytes : 0,
        .device_bytes = has_peaks ? record->peak_device_bytes : 0,
        .images_per_second =
            has_peaks && record->step_seconds > 0 ? record->point.batch / record->step_seconds : 0,
    };
    if (record->reason[0] != '\0' && !vb_ran_out(record) && page->n_reasons < MOST_REASONS) {
        rows[page->n_rows].reason = vb_arena_copy(&page->arena, record->reason);
        page->n_reasons++;
    }
    page->n_rows++;
    return VB_OK;
}

VB_BEGINS_WITH_KEY(struct vb_page_row);

void vb_page_sort(struct vb_page *page)
{
    page->n_rows = vb_fold_rows(page->rows, page->n_rows, sizeof *page->rows);
    page->differing = vb_page_find_differing(page);
}

void vb_page_clear(struct vb_page *page)
{
    vb_arena_clear(&page->arena);
    *page = (struct vb_page){ 0 };
}
