/* SPDX-License-Identifier: Apache-2.0 */
/* page/page.html with each of its marks, {{so}}, replaced by a part. */
#include <string.h>

#include "report/escape.h"
#include "report/page_parts.h"

enum { MOST_OPEN = 2 }; /* series whose charts are shown at first */

static void append_title(const struct vb_page *page, struct vb_text *out)
{
    vb_escape_html(out, page->name);
}

static void append_style(const struct vb_page *page, struct vb_text *out)
{
    (void)page;
    vb_text_append(out, "%s", (const char *)vb_page_css);
}

static void append_script(const struct vb_page *page, struct vb_text *out)
{
    (void)page;
    vb_text_append(out, "%s", (const char *)vb_page_js);
}

/* What a chart shows, for those who do not see it and for its caption. */
static const char *caption_of(const char *name)
{
    static const struct {
        const char *name, *caption;
    } captions[] = {
        { "memory", "Peak reserved memory against batch, with the fitted curve and its interval" },
        { "fits", "What fits: peak reserved memory by batch and image size" },
        { "curve", "Memory over one training step, by what it is for" },
        { "precision", "Peak reserved memory by precision" },
        { "mosaic", "Peak reserved memory by where mosaics are composed" },
        { "throughput", "Images a second against batch" },
    };
    for (size_t i = 0; i < sizeof captions / sizeof *captions; i++) {
        if (strcmp(captions[i].name, name) == 0)
            return captions[i].caption;
    }
    return name;
}

static void append_series(const struct vb_page *page, const struct vb_page_series *of, bool is_open,
                          struct vb_text *out)
{
    const struct vb_page_stack *stack = &page->stacks[of->stack];
    vb_text_append(out, "<details class=series data-precision=%s data-model=\"",
                   vb_precision_names[of->series.precision]);
    vb_escape_html(out, of->series.model);
    vb_text_append(out, "\"%s><summary>", is_open ? " open" : "");
    vb_escape_html(out, of->series.model);
    vb_text_append(out, ", %s, mosaic %s <span>%s ", vb_precision_names[of->series.precision],
                   vb_mosaic_names[of->series.mosaic],
                   stack->provenance == VB_MEASURED ? "measured on" : "planned for");
    vb_escape_html(out, stack->gpu[0] != '\0' ? stack->gpu : stack->device);
    vb_text_append(out, "</span></summary>\n<div class=charts>\n");
    for (size_t i = 0; i < of->n_charts; i++) {
        const char *caption = caption_of(of->charts[i].name);
        vb_text_append(out,
                       "<figure><div class=\"chart %s\" role=img tabindex=0 aria-label=\"%s\">%s"
                       "</div><figcaption>%s</figcaption></figure>\n",
                       of->charts[i].name, caption, of->charts[i].svg, caption);
    }
    vb_text_append(out, "</div></details>\n");
}

void vb_page_append_charts(const struct vb_page *page, struct vb_text *out)
{
    size_t n_open = 0;
    for (size_t i = 0; i < page->charts.n; i++) {
        if (page->charts.series[i].n_charts > 0)
            append_series(page, &page->charts.series[i], n_open++ < MOST_OPEN, out);
    }
    if (page->charts.note != NULL)
        vb_text_append(out, "<p class=cut>%s.</p>\n", page->charts.note);
}

static const struct {
    const char *mark;
    void (*append)(const struct vb_page *page, struct vb_text *out);
} parts[] = {
    { "title", append_title },
    { "style", append_style },
    { "script", append_script },
    { "summary", vb_page_append_summary },
    { "filters", vb_page_append_filters },
    { "charts", vb_page_append_charts },
    { "points", vb_page_append_points },
    { "fits", vb_page_append_fits },
    { "calibrations", vb_page_append_calibrations },
    { "sources", vb_page_append_sources },
    { "data", vb_page_append_data },
};

static bool append_part(const char *mark, size_t length, const struct vb_page *page,
                        struct vb_text *out)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strlen(parts[i].mark) == length && strncmp(parts[i].mark, mark, length) == 0) {
            parts[i].append(page, out);
            return true;
        }
    }
    return false;
}

enum vb_status vb_page_append(const struct vb_page *page, struct vb_text *out, struct vb_error *err)
{
    const char *at = (const char *)vb_page_html;
    for (const char *mark = strstr(at, "{{"); mark != NULL; mark = strstr(at, "{{")) {
        const size_t length = strcspn(mark + 2, "}");
        vb_text_append(out, "%.*s", (int)(mark - at), at);
        if (!append_part(mark + 2, length, page, out))
            return vb_fail(err, VB_E_SYSTEM, "the page has no part '%.*s'", (int)length, mark + 2);
        at = mark + 2 + length + 2;
    }
    vb_text_append(out, "%s", at);
    return out->failed ? vb_fail(err, VB_E_SYSTEM, "no host memory left for the page") : VB_OK;
}
