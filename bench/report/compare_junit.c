/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "report/compare_parts.h"

/* What XML has signs for, and what it cannot hold at all. */
static void append_escaped(const char *text, struct vb_text *out)
{
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte == '&')
            vb_text_append(out, "&amp;");
        else if (byte == '<')
            vb_text_append(out, "&lt;");
        else if (byte == '>')
            vb_text_append(out, "&gt;");
        else if (byte == '"')
            vb_text_append(out, "&quot;");
        else
            vb_text_append(out, "%c", byte < ' ' ? ' ' : *at);
    }
}

static void append_why(const struct vb_compared *item, struct vb_text *out)
{
    const struct vb_time_change *t = &item->time;
    if (item->state == item->change)
        append_escaped(item->why, out);
    if (item->reserved.change == item->change)
        vb_text_append(out, "reserved %" PRIu64 " B to %" PRIu64 " B, %s. ",
                       item->reserved.base_bytes, item->reserved.candidate_bytes,
                       vb_percent_text(item->reserved.ratio).text);
    if (item->device.change == item->change)
        vb_text_append(out, "device %" PRIu64 " B to %" PRIu64 " B, %s. ", item->device.base_bytes,
                       item->device.candidate_bytes, vb_percent_text(item->device.ratio).text);
    if (t->change == item->change)
        vb_text_append(out, "step %.4g ms to %.4g ms, %s, p %.3g. ", t->base_seconds * 1e3,
                       t->candidate_seconds * 1e3, vb_percent_text(t->ratio).text, t->adjusted_p);
    if (t->change == VB_CHANGE_UNCLEAR && t->steps_needed > 0)
        vb_text_append(out, "%" PRIu64 " steps would settle it. ", t->steps_needed);
}

static void append_case(const struct vb_labels *labels, const struct vb_compared *item,
                        struct vb_text *out)
{
    struct vb_text name = { 0 };
    vb_label_append(labels, item, " ", false, &name);
    vb_text_append(out, "    <testcase classname=\"vrambench.compare\" name=\"");
    append_escaped(labels->n > 0 ? vb_text_data(&name) : "the point", out);
    vb_text_clear(&name);
    if (item->change != VB_CHANGE_WORSE && item->change != VB_CHANGE_UNCLEAR) {
        vb_text_append(out, "\"/>\n");
        return;
    }
    vb_text_append(out, "\"><%s message=\"",
                   item->change == VB_CHANGE_WORSE ? "failure" : "skipped");
    append_why(item, out);
    vb_text_append(out, "\"/></testcase>\n");
}

void vb_compare_junit(const struct vb_comparison *comparison, struct vb_text *out)
{
    const struct vb_labels labels = vb_labels_find(comparison);
    vb_text_append(out,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
                   "  <testsuite name=\"vrambench compare\" tests=\"%zu\" failures=\"%zu\" "
                   "skipped=\"%zu\" errors=\"0\">\n",
                   comparison->n, comparison->n_of[VB_CHANGE_WORSE],
                   comparison->n_of[VB_CHANGE_UNCLEAR]);
    for (size_t i = 0; i < comparison->n; i++)
        append_case(&labels, &comparison->items[i], out);
    vb_text_append(out, "  </testsuite>\n</testsuites>\n");
}
