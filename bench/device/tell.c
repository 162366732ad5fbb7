/* SPDX-License-Identifier: Apache-2.0 */
/* From what a walk saw to its record. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device/walk.h"

enum { MAX_CURVE = 600 };

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A part that adds less than this share to what the peak's had reserved is not the peak's. */
enum { NOTABLE_SHARE = 20 };

/* What the pool peaked at since it was last asked counts for the part, and for the run. */
static void note_peaks(struct vb_walk *walk)
{
    const struct vb_pool_stats *stats = vb_pool_stats(walk->pool);
    struct vb_peaks *peaks = &walk->peaks;
    struct vb_record *record = walk->record;
    struct vb_part_peaks *part = &record->parts[walk->part];
    if (walk->has_parts) {
        if (stats->reserved_bytes.peak >
            walk->peak_part_bytes + walk->peak_part_bytes / NOTABLE_SHARE) {
            record->peak_part = walk->part;
            walk->peak_part_bytes = stats->reserved_bytes.peak;
        }
        part->allocated_bytes = larger(part->allocated_bytes, stats->allocated_bytes.peak);
        part->reserved_bytes = larger(part->reserved_bytes, stats->reserved_bytes.peak);
    }
    peaks->requested_bytes = larger(peaks->requested_bytes, stats->requested_bytes.peak);
    peaks->allocated_bytes = larger(peaks->allocated_bytes, stats->allocated_bytes.peak);
    peaks->reserved_bytes = larger(peaks->reserved_bytes, stats->reserved_bytes.peak);
}

void vb_walk_begin_part(struct vb_walk *walk, enum vb_part part)
{
    note_peaks(walk);
    vb_pool_reset_peaks(walk->pool);
    walk->part = part;
    walk->has_parts = true;
}

static void add_largest(struct vb_record *record, const char *name, enum vb_category category,
                        uint64_t bytes)
{
    uint32_t at = record->n_largest;
    while (at > 0 && record->largest[at - 1].bytes < bytes)
        at--;
    if (at == VB_N_LARGEST)
        return;
    if (record->n_largest < VB_N_LARGEST)
        record->n_largest++;
    memmove(&record->largest[at + 1], &record->largest[at],
            (record->n_largest - at - 1) * sizeof record->largest[0]);
    record->largest[at].category = category;
    record->largest[at].bytes = bytes;
    (void)snprintf(record->largest[at].name, sizeof record->largest[at].name, "%s", name);
}

/* Which tensors were there when the peak was: told from the program alone. */
static void find_largest(struct vb_walk *walk)
{
    const struct vb_program *program = walk->program;
    size_t until = (size_t)(walk->ledger.peak_place & ((UINT64_C(1) << 40) - 1));
    bool *alive = vb_arena_alloc(walk->arena, program->n_tensors + 1, sizeof *alive);
    if (alive == NULL)
        return;
    for (size_t i = 0; i <= until && i < program->n_instructions; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind == VB_ALLOC || instruction.kind == VB_FREE)
            alive[instruction.index] = instruction.kind == VB_ALLOC;
    }
    for (size_t i = 0; i < program->n_tensors; i++) {
        if (alive[i])
            add_largest(walk->record, program->tensors[i].name, program->tensors[i].category,
                        program->tensors[i].bytes);
    }
    if (walk->workspace_at_peak_bytes > 0) {
        char name[96];
        (void)snprintf(name, sizeof name, "%.80s/workspace", walk->workspace_at_peak);
        add_largest(walk->record, name, VB_WORKSPACE, walk->workspace_at_peak_bytes);
    }
}

/* At most MAX_CURVE places of the curve, evenly, each the highest of its stretch. */
static void thin_curve(struct vb_walk *walk)
{
    struct vb_record *record = walk->record;
    size_t n = walk->n_curve < MAX_CURVE ? walk->n_curve : MAX_CURVE;
    struct vb_curve_point *thinned = vb_arena_alloc(walk->arena, n + 1, sizeof *thinned);
    if (thinned == NULL || n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        uint64_t highest = 0;
        for (size_t k = i * walk->n_curve / n; k < (i + 1) * walk->n_curve / n; k++) {
            uint64_t total = 0;
            for (size_t c = 0; c < VB_N_CATEGORIES; c++)
                total += walk->curve[k].bytes[c];
            if (total >= highest)
                thinned[i] = walk->curve[k];
            highest = total > highest ? total : highest;
        }
    }
    record->curve = thinned;
    record->n_curve = n;
}

static void tell_sources(struct vb_walk *walk)
{
    static const char *const names[] = { "library", "table", "fitted" };
    unsigned seen = 0;
    for (size_t i = 0; i < walk->n_plans; i++)
        seen |= 1u << walk->plans[i].source;
    const char *name = "mixed";
    for (unsigned i = 0; i < 3; i++) {
        if (seen == 1u << i)
            name = names[i];
    }
    (void)snprintf(walk->record->workspaces, sizeof walk->record->workspaces, "%s",
                   seen == 0 ? "" : name);
}

void vb_walk_tell(struct vb_walk *walk, enum vb_status status)
{
    struct vb_record *record = walk->record;

    note_peaks(walk);
    record->state = status == VB_OK ? VB_STATE_OK : VB_STATE_OOM;
    record->oom_part = walk->part;
    record->peak_requested_bytes = walk->peaks.requested_bytes;
    record->peak_allocated_bytes = walk->peaks.allocated_bytes;
    record->peak_reserved_bytes = walk->peaks.reserved_bytes;
    record->end_reserved_bytes = vb_pool_stats(walk->pool)->reserved_bytes.current;
    if (record->provenance == VB_PLANNED)
        record->peak_device_bytes = record->peak_reserved_bytes + record->context_bytes;
    record->peak_workspace_bytes = walk->peak_workspace_bytes;
    record->peak_phase = (enum vb_phase)walk->ledger.peak_phase;
    memcpy(record->phase_peak_bytes, walk->ledger.phase_peak_bytes,
           sizeof record->phase_peak_bytes);
    memcpy(record->peak_category_bytes, walk->ledger.peak_category_bytes,
           sizeof record->peak_category_bytes);
    find_largest(walk);
    tell_sources(walk);
    vb_walk_tell_measured(walk);
    if (walk->keeps_curve && status == VB_OK)
        thin_curve(walk);
}

void vb_walk_tell_device(struct vb_walk *walk)
{
    struct vb_record *record = walk->record;
    const struct vb_device_info *info = vb_device_info(walk->device);
    (void)snprintf(record->device, sizeof record->device, "%s", info->name);
    (void)snprintf(record->gpu, sizeof record->gpu, "%s", info->product);
    if (info->cudnn_version > 0)
        (void)snprintf(record->cudnn, sizeof record->cudnn, "%" PRIu64 ".%" PRIu64 ".%" PRIu64,
                       info->cudnn_version / 10000, info->cudnn_version / 100 % 100,
                       info->cudnn_version % 100);
    (void)snprintf(record->onednn, sizeof record->onednn, "%s", info->onednn);
    record->threads = info->threads;
    record->provenance = info->measures ? VB_MEASURED : VB_PLANNED;
    record->capacity_bytes = info->capacity_bytes;
    record->context_bytes = info->context_bytes + walk->eager_bytes;
    record->usable_bytes = info->capacity_bytes - record->context_bytes;
}
