/* SPDX-License-Identifier: Apache-2.0 */
#include "report/compare_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct vb_point *vb_compared_point(const struct vb_compared *item)
{
    return item->pair.base != NULL ? &item->pair.base->point : &item->pair.candidate->point;
}

struct vb_label_text vb_label_value(const struct vb_member *member, const struct vb_point *point)
{
    const void *at = (const char *)point + member->offset;
    struct vb_label_text out = { "" };
    const char *text = at, *slash;
    switch (member->kind) {
    case VB_MEMBER_TEXT:
        slash = strrchr(text, '/');
        (void)snprintf(out.text, sizeof out.text, "%.24s", slash != NULL ? slash + 1 : text);
        break;
    case VB_MEMBER_U32:
    case VB_MEMBER_COUNT:
        (void)snprintf(out.text, sizeof out.text, "%" PRIu32, *(const uint32_t *)at);
        break;
    case VB_MEMBER_BOOL:
    case VB_MEMBER_FLAG:
        (void)snprintf(out.text, sizeof out.text, "%s", *(const bool *)at ? "on" : "off");
        break;
    case VB_MEMBER_NAME:
        (void)snprintf(out.text, sizeof out.text, "%s", member->names[*(const int *)at]);
        break;
    case VB_MEMBER_POSITIVE:
        (void)snprintf(out.text, sizeof out.text, "%g", *(const double *)at);
        break;
    case VB_MEMBER_BYTES:
        break; /* no setting is one */
    }
    return out;
}

struct vb_labels vb_labels_find(const struct vb_comparison *comparison)
{
    struct vb_labels labels = { .n = 0 };
    for (size_t m = 0; m < vb_point_member_count && labels.n < VB_MOST_LABELS; m++) {
        const struct vb_member *member = &vb_point_members[m];
        const struct vb_label_text first =
            vb_label_value(member, vb_compared_point(&comparison->items[0]));
        bool varies = false;
        int width = 0;
        for (size_t i = 0; i < comparison->n; i++) {
            const struct vb_label_text value =
                vb_label_value(member, vb_compared_point(&comparison->items[i]));
            const int length = (int)strlen(value.text);
            varies = varies || strcmp(value.text, first.text) != 0;
            width = length > width ? length : width;
        }
        if (!varies)
            continue;
        labels.width += width + (labels.n > 0 ? 1 : 0);
        labels.widths[labels.n] = width;
        labels.members[labels.n++] = member;
    }
    return labels;
}

void vb_label_append(const struct vb_labels *labels, const struct vb_compared *item,
                     const char *between, bool aligned, struct vb_text *out)
{
    for (size_t i = 0; i < labels->n; i++) {
        const struct vb_label_text value =
            vb_label_value(labels->members[i], vb_compared_point(item));
        const int width = aligned ? labels->widths[i] : 0;
        vb_text_append(out, "%s%*s", i > 0 ? between : "",
                       labels->members[i]->kind == VB_MEMBER_U32 ? width : -width, value.text);
    }
}

size_t vb_environment_changes(const struct vb_comparison *comparison,
                              struct vb_environment_change changes[VB_MOST_ENVIRONMENT])
{
    const struct vb_record *b = comparison->pairs.base, *c = comparison->pairs.candidate;
    const struct vb_environment_change all[] = {
        { "driver", b->on_gpu.driver, c->on_gpu.driver },
        { "CUDA", b->on_gpu.cuda, c->on_gpu.cuda },
        { "cuDNN", b->cudnn, c->cudnn },
        { "CUPTI", b->on_gpu.cupti, c->on_gpu.cupti },
        { "oneDNN", b->onednn, c->onednn },
        { "ECC", b->on_gpu.ecc, c->on_gpu.ecc },
        { "recipe", b->recipe, c->recipe },
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].base, all[i].candidate) != 0)
            changes[n++] = (struct vb_environment_change){
                all[i].what, all[i].base[0] != '\0' ? all[i].base : "none",
                all[i].candidate[0] != '\0' ? all[i].candidate : "none"
            };
    }
    return n;
}

struct vb_label_text vb_percent_text(double ratio)
{
    struct vb_label_text out;
    const double percent = (ratio - 1) * 100;
    (void)snprintf(out.text, sizeof out.text, "%+.*f%%", percent < 1000 ? 2 : 0, percent);
    return out;
}

struct kinds {
    size_t n_memory, n_time, n_state;
};

static struct kinds count(const struct vb_comparison *comparison, enum vb_change change)
{
    struct kinds kinds = { 0 };
    for (size_t i = 0; i < comparison->n; i++) {
        const struct vb_compared *item = &comparison->items[i];
        kinds.n_memory += item->reserved.change == change || item->device.change == change;
        kinds.n_time += item->time.change == change;
        kinds.n_state += item->state == change;
    }
    return kinds;
}

void vb_outcome_append(const struct vb_comparison *comparison, struct vb_text *out)
{
    const size_t n_worse = comparison->n_of[VB_CHANGE_WORSE];
    const size_t n_unclear = comparison->n_of[VB_CHANGE_UNCLEAR];
    const struct kinds worse = count(comparison, VB_CHANGE_WORSE);
    if (n_worse > 0)
        vb_text_append(out, "REGRESSION: %zu of %zu points (memory %zu, time %zu, not running %zu)",
                       n_worse, comparison->n, worse.n_memory, worse.n_time, worse.n_state);
    else if (n_unclear > 0)
        vb_text_append(out, "INCONCLUSIVE: %zu of %zu points; no regression was found", n_unclear,
                       comparison->n);
    else
        vb_text_append(out, "NO REGRESSION: %zu points", comparison->n_common);
    vb_text_append(out, "\n");
}

static const char *find_warning(const struct vb_comparison *comparison, bool of_base, size_t *n)
{
    const char *first = NULL;
    *n = 0;
    for (size_t i = 0; i < comparison->n; i++) {
        const struct vb_pair *pair = &comparison->items[i].pair;
        const struct vb_record *record = of_base ? pair->base : pair->candidate;
        if (record == NULL || record->on_gpu.warning[0] == '\0')
            continue;
        first = first != NULL ? first : record->on_gpu.warning;
        (*n)++;
    }
    return first;
}

static void append_settling(const struct vb_comparison *comparison, const char *before,
                            struct vb_text *out)
{
    const size_t n_unclear = count(comparison, VB_CHANGE_UNCLEAR).n_time;
    const size_t n_settled = n_unclear - comparison->n_unsettled;
    if (n_settled > 0)
        vb_text_append(
            out,
            "%stime: noise hides %zu point%s; steps = %" PRIu64 " in both runs would settle %zu\n",
            before, n_unclear, n_unclear == 1 ? "" : "s", comparison->steps_needed, n_settled);
    if (comparison->n_unsettled > 0)
        vb_text_append(out, "%stime: %zu point%s would take over %d steps: quiet the machine\n",
                       before, comparison->n_unsettled, comparison->n_unsettled == 1 ? "" : "s",
                       VB_MOST_STEP_SAMPLES);
    if (count(comparison, VB_CHANGE_UNCLEAR).n_memory > 0)
        vb_text_append(out, "%sdevice memory: capture lost records, peaks are lower bounds\n",
                       before);
}

void vb_remarks_append(const struct vb_comparison *comparison, const char *before,
                       struct vb_text *out)
{
    size_t n_both = 0;
    for (size_t i = 0; i < comparison->n; i++)
        n_both += comparison->items[i].reserved.change != VB_CHANGE_NONE;
    append_settling(comparison, before, out);
    if (comparison->pairs.base->provenance == VB_PLANNED)
        vb_text_append(out, "%stime: not compared, it was not measured\n", before);
    else if (comparison->n_timed < n_both)
        vb_text_append(out, "%stime: not compared of %zu points, whose steps no record holds\n",
                       before, n_both - comparison->n_timed);
    for (int of_base = 1; of_base >= 0; of_base--) {
        size_t n = 0;
        const char *warning = find_warning(comparison, of_base != 0, &n);
        if (n > 0)
            vb_text_append(out, "%s%zu points of the %s: %s\n", before, n,
                           of_base != 0 ? "base" : "candidate", warning);
    }
}
