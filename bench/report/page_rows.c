/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a page's rows: the summary, the filters, the table of points. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "record/json.h"
#include "report/escape.h"
#include "report/page_parts.h"

struct vb_page_counts vb_page_count(const struct vb_page *page)
{
    struct vb_page_counts counts = { 0 };
    for (size_t i = 0; i < page->n_rows; i++) {
        const enum vb_state state = page->rows[i].state;
        if (state == VB_STATE_OK || state == VB_STATE_LOWER_BOUND)
            counts.n_peaks++;
        else if (state == VB_STATE_OOM || state == VB_STATE_BACKSTOP)
            counts.n_oom++;
        else
            counts.n_failed++;
    }
    return counts;
}

/* The i-th stays whose share of all first reaches that of those shown. */
bool vb_page_shows(const struct vb_page *page, size_t i)
{
    const uint64_t most = VB_MOST_PAGE_ROWS, all = page->n_rows;
    return all <= most || i == 0 || i * most / all != (i - 1) * most / all;
}

/* A member of a point as text; to be given to free(), NULL where there is none. */
static char *member_text(const struct vb_member *member, const struct vb_point *point)
{
    json_t *object = json_object();
    vb_members_write(object, member, 1, point);
    const json_t *value = json_object_get(object, member->key);
    char *text = value == NULL           ? NULL
                 : json_is_string(value) ? strdup(json_string_value(value))
                                         : json_dumps(value, JSON_ENCODE_ANY);
    json_decref(object);
    return text;
}

static bool is_alike(const struct vb_page *page, const struct vb_member *member)
{
    bool is_same = true;
    char *first = member_text(member, &page->kinds[0].point);
    for (size_t i = 1; i < page->n_kinds && is_same; i++) {
        char *other = member_text(member, &page->kinds[i].point);
        is_same = first != NULL && other != NULL ? strcmp(first, other) == 0 : first == other;
        free(other);
    }
    free(first);
    return is_same;
}

/* Whether it has a place of its own in the page, or changes no figure. */
static bool is_shown_apart(const struct vb_member *member)
{
    static const char *const keys[] = { "model",  "batch",     "imgsz", "precision",
                                        "mosaic", "optimizer", "warmup" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(member->key, keys[i]) == 0)
            return true;
    }
    return false;
}

uint64_t vb_page_find_differing(const struct vb_page *page)
{
    uint64_t differing = 0;
    for (size_t i = 0; i < vb_point_member_count && page->n_kinds > 0; i++) {
        if (!is_shown_apart(&vb_point_members[i]) && !is_alike(page, &vb_point_members[i]))
            differing |= (uint64_t)1 << i;
    }
    return differing;
}

void vb_page_tell_settings(const struct vb_page *page, const struct vb_page_kind *kind,
                           struct vb_text *out)
{
    vb_text_append(out, "mosaic %s, %s", vb_mosaic_names[kind->point.mosaic],
                   vb_optimizer_names[kind->point.optimizer]);
    for (size_t i = 0; i < vb_point_member_count; i++) {
        const struct vb_member *member = &vb_point_members[i];
        if ((page->differing >> i & 1) == 0)
            continue;
        char *text = member_text(member, &kind->point);
        vb_text_append(out, ", %s %s", member->key, text != NULL ? text : "not given");
        free(text);
    }
}

/* Distinct models, and precisions as bits. */
static size_t count_models(const struct vb_page *page, uint32_t *precisions)
{
    size_t n = 0;
    *precisions = 0;
    for (size_t i = 0; i < page->n_kinds; i++) {
        bool is_first = true;
        for (size_t k = 0; k < i && is_first; k++)
            is_first = strcmp(page->kinds[k].point.model, page->kinds[i].point.model) != 0;
        n += is_first;
        *precisions |= 1u << page->kinds[i].point.precision;
    }
    return n;
}

static void append_whose(const struct vb_page *page, struct vb_text *out)
{
    for (size_t i = 0; i < page->n_stacks && i < 3; i++) {
        const struct vb_page_stack *stack = &page->stacks[i];
        vb_text_append(out, "%s%s ", i > 0 ? "; " : "",
                       stack->provenance == VB_MEASURED ? "measured on" : "planned for");
        vb_escape_html(out, stack->gpu[0] != '\0' ? stack->gpu : stack->device);
    }
    if (page->n_stacks > 3)
        vb_text_append(out, " and %zu more", page->n_stacks - 3);
}

void vb_page_append_summary(const struct vb_page *page, struct vb_text *out)
{
    const struct vb_page_counts counts = vb_page_count(page);
    uint64_t least = UINT64_MAX, most = 0;
    uint32_t precisions = 0;
    const size_t n_models = count_models(page, &precisions);
    for (size_t i = 0; i < page->n_rows; i++) {
        const uint64_t bytes = page->rows[i].reserved_bytes;
        least = bytes > 0 && bytes < least ? bytes : least;
        most = bytes > most ? bytes : most;
    }
    vb_text_append(out, "<strong>%zu point%s</strong> of %zu model%s, ", page->n_rows,
                   page->n_rows == 1 ? "" : "s", n_models, n_models == 1 ? "" : "s");
    append_whose(page, out);
    vb_text_append(out, ": %zu fit, %zu out of memory, %zu failed", counts.n_peaks, counts.n_oom,
                   counts.n_failed);
    if (most > 0)
        vb_text_append(out, "; peaks from %.2f to %.2f GiB reserved", vb_to_gib(least),
                       vb_to_gib(most));
    vb_text_append(out, ".");
    if (page->n_corrupt > 0)
        vb_text_append(out, " %zu line%s of the journal that %s no record %s passed over.",
                       page->n_corrupt, page->n_corrupt == 1 ? "" : "s",
                       page->n_corrupt == 1 ? "is" : "are", page->n_corrupt == 1 ? "is" : "are");
}

static void append_box(const char *name, const char *value, struct vb_text *out)
{
    vb_text_append(out, "<label><input type=\"checkbox\" name=\"%s\" checked value=\"", name);
    vb_escape_html(out, value);
    vb_text_append(out, "\"> ");
    vb_escape_html(out, value);
    vb_text_append(out, "</label>\n");
}

void vb_page_append_filters(const struct vb_page *page, struct vb_text *out)
{
    uint32_t precisions = 0;
    (void)count_models(page, &precisions);
    vb_text_append(out, "<fieldset><legend>Model</legend>\n");
    for (size_t i = 0; i < page->n_kinds; i++) {
        bool is_first = true;
        for (size_t k = 0; k < i && is_first; k++)
            is_first = strcmp(page->kinds[k].point.model, page->kinds[i].point.model) != 0;
        if (is_first)
            append_box("model", page->kinds[i].point.model, out);
    }
    vb_text_append(out, "</fieldset>\n<fieldset><legend>Precision</legend>\n");
    for (uint32_t i = 0; i < 3; i++) {
        if ((precisions >> i & 1) != 0)
            append_box("precision", vb_precision_names[i], out);
    }
    vb_text_append(out, "</fieldset>\n");
}

static void append_gib(uint64_t bytes, struct vb_text *out)
{
    if (bytes > 0)
        vb_text_append(out, "<td class=n>%.3f", vb_to_gib(bytes));
    else
        vb_text_append(out, "<td class=n>");
}

static void append_row(const struct vb_page *page, const struct vb_page_row *row,
                       const char *settings, struct vb_text *out)
{
    const struct vb_page_kind *kind = &page->kinds[row->kind];
    const char *provenance = vb_provenance_names[page->stacks[kind->stack].provenance];
    vb_text_append(out, "<tr data-k=%" PRIu32 "><td>", row->kind);
    vb_escape_html(out, kind->point.model);
    vb_text_append(out, "<td>%s<td>", vb_precision_names[kind->point.precision]);
    vb_escape_html(out, settings);
    vb_text_append(out, "<td class=n>%" PRIu32 "<td class=n>%" PRIu32 "<td class=s-%s>%s",
                   row->imgsz, row->batch, vb_state_names[row->state], vb_state_names[row->state]);
    if (row->reason != NULL) {
        vb_text_append(out, "<small>");
        vb_escape_html(out, row->reason);
        vb_text_append(out, "</small>");
    }
    append_gib(row->allocated_bytes, out);
    append_gib(row->reserved_bytes, out);
    append_gib(row->device_bytes, out);
    if (row->images_per_second > 0)
        vb_text_append(out, "<td class=n>%.1f<td>%s%s", row->images_per_second, provenance,
                       row->time_is_modelled ? "; speed modelled" : "");
    else
        vb_text_append(out, "<td class=n><td>%s", provenance);
    if (page->n_stacks > 1)
        vb_text_append(out, "<td class=n>%" PRIu32, kind->stack + 1);
    vb_text_append(out, "\n");
}

void vb_page_append_points(const struct vb_page *page, struct vb_text *out)
{
    struct vb_text settings = { 0 };
    size_t n_shown = 0, last = SIZE_MAX;
    for (size_t i = 0; i < page->n_rows; i++)
        n_shown += vb_page_shows(page, i);
    if (n_shown < page->n_rows)
        vb_text_append(out,
                       "<p class=cut>Of %zu points %zu are in this page, evenly spread; the "
                       "journal, rows.jsonl, has all.</p>\n",
                       page->n_rows, n_shown);
    vb_text_append(out,
                   "<div class=scroll role=region tabindex=0 aria-label=\"Points\"><table "
                   "id=points><caption>Peaks of the steady steps, in GiB</caption><thead><tr>"
                   "<th scope=col>Model<th scope=col>Precision<th scope=col>Settings"
                   "<th scope=col class=n>Image size<th scope=col class=n>Batch<th scope=col>State"
                   "<th scope=col class=n>Allocated<th scope=col class=n>Reserved"
                   "<th scope=col class=n>On the device<th scope=col class=n>Images/s"
                   "<th scope=col>Figures are%s</thead><tbody>\n",
                   page->n_stacks > 1 ? "<th scope=col class=n>Source" : "");
    for (size_t i = 0; i < page->n_rows; i++) {
        const struct vb_page_row *row = &page->rows[i];
        if (!vb_page_shows(page, i))
            continue;
        if (row->kind != last) {
            vb_text_clear(&settings);
            vb_page_tell_settings(page, &page->kinds[row->kind], &settings);
            last = row->kind;
        }
        append_row(page, row, vb_text_data(&settings), out);
    }
    vb_text_append(out, "</tbody></table></div>\n");
    vb_text_clear(&settings);
}
