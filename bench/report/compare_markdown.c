/* SPDX-License-Identifier: Apache-2.0 */
/* For a pull request: the outcome first, then every point that changed. */

#include <inttypes.h>

#include "base/bytes.h"
#include "report/compare_parts.h"

static void begin_row(const struct vb_labels *labels, const struct vb_compared *item,
                      enum vb_change change, const char *what, struct vb_text *out)
{
    vb_text_append(out, "| %s%s%s | ", change == VB_CHANGE_WORSE ? "**" : "",
                   vb_change_names[change], change == VB_CHANGE_WORSE ? "**" : "");
    vb_label_append(labels, item, " | ", false, out);
    vb_text_append(out, "%s%s |", labels->n > 0 ? " | " : "", what);
}

static bool is_listed(enum vb_change change, bool all)
{
    return change != VB_CHANGE_NONE && (all || change != VB_CHANGE_SAME);
}

static void append_memory(const struct vb_labels *labels, const struct vb_compared *item,
                          const struct vb_memory_change *memory, const char *what,
                          struct vb_text *out)
{
    begin_row(labels, item, memory->change, what, out);
    vb_text_append(out, " %.3f GiB | %.3f GiB | %s | |\n", vb_to_gib(memory->base_bytes),
                   vb_to_gib(memory->candidate_bytes), vb_percent_text(memory->ratio).text);
}

static void append_time(const struct vb_labels *labels, const struct vb_compared *item,
                        struct vb_text *out)
{
    const struct vb_time_change *t = &item->time;
    begin_row(labels, item, t->change, "step", out);
    vb_text_append(out, " %.4g ms | %.4g ms | %s", t->base_seconds * 1e3,
                   t->candidate_seconds * 1e3, vb_percent_text(t->ratio).text);
    if (t->has_interval)
        vb_text_append(out, " (%s to %s)", vb_percent_text(t->low).text,
                       vb_percent_text(t->high).text);
    vb_text_append(out, " | %.3g |\n", t->adjusted_p);
}

/* A reason may hold what a table's cell cannot. */
static void append_state(const struct vb_labels *labels, const struct vb_compared *item,
                         struct vb_text *out)
{
    begin_row(labels, item, item->state, "runs", out);
    vb_text_append(out, " | | ");
    for (const char *at = item->why; *at != '\0'; at++)
        vb_text_append(out, *at == '|' || *at == '<' ? "\\%c" : "%c", *at == '\n' ? ' ' : *at);
    vb_text_append(out, " | |\n");
}

void vb_compare_markdown(const struct vb_comparison *comparison,
                         const struct vb_compare_texts *texts, struct vb_text *out)
{
    struct vb_environment_change changes[VB_MOST_ENVIRONMENT];
    const size_t n = vb_environment_changes(comparison, changes);
    const struct vb_labels labels = vb_labels_find(comparison);
    vb_text_append(out, "### vrambench: ");
    vb_outcome_append(comparison, out);
    vb_text_append(out, "\n`%s` against `%s`, %s, %s\n", texts->candidate, texts->base,
                   comparison->pairs.base->gpu,
                   vb_provenance_names[comparison->pairs.base->provenance]);
    for (size_t i = 0; i < n; i++)
        vb_text_append(out, "- %s %s to %s\n", changes[i].what, changes[i].base,
                       changes[i].candidate);
    vb_remarks_append(comparison, "- ", out);
    vb_text_append(out, "\n| |");
    for (size_t i = 0; i < labels.n; i++)
        vb_text_append(out, " %s |", labels.members[i]->key);
    vb_text_append(out, " what | base | candidate | diff (95 %%) | p |\n|");
    for (size_t i = 0; i < labels.n + 6; i++)
        vb_text_append(out, " :--- |");
    vb_text_append(out, "\n");
    for (size_t i = 0; i < comparison->n; i++) {
        const struct vb_compared *item = &comparison->items[i];
        if (item->why[0] != '\0' && (texts->all || item->state != VB_CHANGE_SAME))
            append_state(&labels, item, out);
        if (is_listed(item->reserved.change, texts->all))
            append_memory(&labels, item, &item->reserved, "reserved", out);
        if (is_listed(item->device.change, texts->all))
            append_memory(&labels, item, &item->device, "device", out);
        if (is_listed(item->time.change, texts->all))
            append_time(&labels, item, out);
    }
}
