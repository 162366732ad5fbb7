/* SPDX-License-Identifier: Apache-2.0 */
/* The table for people: one block for each thing that is compared, in the manner of benchstat. */

#include "report/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/bytes.h"
#include "report/compare_parts.h"

enum { LEAST_WIDTH = 16, LINE = 80 };

struct table {
    const struct vb_comparison *comparison;
    const struct vb_compare_texts *texts;
    struct vb_labels labels;
    int width; /* of the points */
    struct vb_text *out;
};

static char mark(enum vb_change change)
{
    static const char marks[VB_N_CHANGES] = { ' ', ' ', '+', '?', '!' };
    return marks[change];
}

static void begin_row(const struct table *table, enum vb_change change,
                      const struct vb_compared *item)
{
    vb_text_append(table->out, "%c ", mark(change));
    vb_label_append(&table->labels, item, " ", true, table->out);
    vb_text_append(table->out, "%*s", table->width - table->labels.width, "");
}

static void append_heading(const struct table *table)
{
    const struct vb_comparison *c = table->comparison;
    struct vb_environment_change changes[VB_MOST_ENVIRONMENT];
    const size_t n = vb_environment_changes(c, changes);
    vb_text_append(table->out, "base:      %s\ncandidate: %s\n%s, %s; %zu points in common\n",
                   table->texts->base, table->texts->candidate, c->pairs.base->gpu,
                   vb_provenance_names[c->pairs.base->provenance], c->n_common);
    for (size_t i = 0; i < n; i++)
        vb_text_append(table->out, "%s: %s -> %s\n", changes[i].what, changes[i].base,
                       changes[i].candidate);
    vb_text_append(table->out, "points:");
    for (size_t i = 0; i < table->labels.n; i++)
        vb_text_append(table->out, " %s", table->labels.members[i]->key);
    vb_text_append(table->out, "%s\n", table->labels.n == 0 ? " one" : "");
}

/* Of a point that is the same, whether it has a row at all. */
static bool is_listed(const struct table *table, enum vb_change change, bool differs)
{
    return change != VB_CHANGE_NONE && (table->texts->all || change != VB_CHANGE_SAME || differs);
}

static void append_memory(const struct table *table, const char *what, bool of_device)
{
    const struct vb_comparison *c = table->comparison;
    size_t n = 0, n_equal = 0;
    bool has_heading = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct vb_memory_change *m = of_device ? &c->items[i].device : &c->items[i].reserved;
        const bool differs = m->base_bytes != m->candidate_bytes;
        n += m->change != VB_CHANGE_NONE;
        n_equal += m->change != VB_CHANGE_NONE && !differs;
        if (!is_listed(table, m->change, differs))
            continue;
        if (!has_heading)
            vb_text_append(table->out, "\n  %-*s %9s %9s %9s %12s\n", table->width, what, "base",
                           "candidate", "diff", "MiB");
        has_heading = true;
        begin_row(table, m->change, &c->items[i]);
        vb_text_append(table->out, " %9.3f %9.3f %9s %+12.1f\n", vb_to_gib(m->base_bytes),
                       vb_to_gib(m->candidate_bytes),
                       differs ? vb_percent_text(m->ratio).text : "=",
                       ((double)m->candidate_bytes - (double)m->base_bytes) / (double)VB_MIB(1));
    }
    if (n > 0)
        vb_text_append(table->out, "%s%s: %zu of %zu points are the same to the byte\n",
                       has_heading ? "  " : "\n  ", what, n_equal, n);
}

/* Four digits, as many after the point as are left. */
static struct vb_label_text number_text(double value)
{
    struct vb_label_text out;
    const int digits = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
    (void)snprintf(out.text, sizeof out.text, "%.*f", digits, value);
    return out;
}

static void append_time_row(const struct table *table, const struct vb_compared *item)
{
    const struct vb_time_change *t = &item->time;
    char steps[32], low[16] = "", high[16] = "";
    if (t->has_interval) {
        (void)snprintf(low, sizeof low, "%+.1f", fmin(999, (t->low - 1) * 100));
        (void)snprintf(high, sizeof high, "%+.1f", fmin(999, (t->high - 1) * 100));
    }
    (void)snprintf(steps, sizeof steps, t->n_base == t->n_candidate ? "%zu" : "%zu/%zu", t->n_base,
                   t->n_candidate);
    begin_row(table, t->change, item);
    vb_text_append(table->out, " %7s %9s %8s %6s %6s %6.3f %4s\n",
                   number_text(t->base_seconds * 1e3).text,
                   number_text(t->candidate_seconds * 1e3).text,
                   t->change == VB_CHANGE_SAME && t->adjusted_p > VB_COMPARE_RISK
                       ? "~"
                       : vb_percent_text(t->ratio).text,
                   low, high, t->adjusted_p, steps);
}

static void append_times(const struct table *table)
{
    const struct vb_comparison *c = table->comparison;
    bool has_heading = false;
    for (size_t i = 0; i < c->n; i++) {
        if (!is_listed(table, c->items[i].time.change, false))
            continue;
        if (!has_heading)
            vb_text_append(table->out, "\n  %-*s %7s %9s %8s %13s %6s %4s\n", table->width,
                           "step, ms", "base", "candidate", "diff", "95 % of diff", "p", "n");
        has_heading = true;
        append_time_row(table, &c->items[i]);
    }
    if (c->n_timed > 0)
        vb_text_append(table->out, "%sstep: geometric mean of %zu points %s\n",
                       has_heading ? "  " : "\n  ", c->n_timed,
                       vb_percent_text(c->time_ratio).text);
}

static void append_states(const struct table *table)
{
    const struct vb_comparison *c = table->comparison;
    bool has_heading = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct vb_compared *item = &c->items[i];
        if (item->why[0] == '\0' || (item->state == VB_CHANGE_SAME && !table->texts->all))
            continue;
        if (!has_heading)
            vb_text_append(table->out, "\n  not run in both\n");
        has_heading = true;
        begin_row(table, item->state, item);
        const int room = LINE - 3 - table->width;
        vb_text_append(table->out, " %.*s\n", room > 20 ? room : 20, item->why);
    }
}

static void append_text(const struct vb_comparison *comparison,
                        const struct vb_compare_texts *texts, struct vb_text *out)
{
    struct table table = { comparison, texts, vb_labels_find(comparison), LEAST_WIDTH, out };
    if (table.labels.width > table.width)
        table.width = table.labels.width;
    append_heading(&table);
    append_memory(&table, "reserved, GiB", false);
    append_memory(&table, "device, GiB", true);
    append_times(&table);
    append_states(&table);
    vb_text_append(out, "\n");
    vb_outcome_append(comparison, out);
    vb_remarks_append(comparison, "  ", out);
    vb_text_append(out,
                   "  ! regression, ? inconclusive, + better; thresholds: memory %g %%, time %g %%",
                   comparison->thresholds.memory * 100, comparison->thresholds.time * 100);
    if (comparison->n_timed > 0)
        vb_text_append(out, ";\n  p: Mann-Whitney, corrected for %zu points (Holm), judged at %g",
                       comparison->n_timed, VB_COMPARE_RISK);
    vb_text_append(out, "\n");
}

enum vb_status vb_compare_append(const struct vb_comparison *comparison,
                                 const struct vb_compare_texts *texts,
                                 enum vb_compare_format format, struct vb_text *out,
                                 struct vb_error *err)
{
    enum vb_status status = VB_OK;
    switch (format) {
    case VB_COMPARE_TEXT:
        append_text(comparison, texts, out);
        break;
    case VB_COMPARE_MARKDOWN:
        vb_compare_markdown(comparison, texts, out);
        break;
    case VB_COMPARE_JSON:
        status = vb_compare_json(comparison, texts, out, err);
        break;
    case VB_COMPARE_JUNIT:
        vb_compare_junit(comparison, out);
        break;
    }
    if (status == VB_OK && out->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the comparison's text");
    return status;
}
