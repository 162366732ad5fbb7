/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what is fitted, and of where all figures come from. */
#include <inttypes.h>

#include "base/bytes.h"
#include "report/escape.h"
#include "report/page_parts.h"
#include "report/results.h"

/* `numbers`: a letter a column, 'n' where it holds numbers; headings end in NULL. */
static void begin_table(const char *caption, const char *const *headings, const char *numbers,
                        struct vb_text *out)
{
    vb_text_append(out,
                   "<div class=scroll role=region tabindex=0 aria-label=\"%s\"><table><caption>%s"
                   "</caption><thead><tr>",
                   caption, caption);
    for (size_t i = 0; headings[i] != NULL; i++)
        vb_text_append(out, "<th scope=col%s>%s", numbers[i] == 'n' ? " class=n" : "", headings[i]);
    vb_text_append(out, "</thead><tbody>\n");
}

static void end_table(struct vb_text *out)
{
    vb_text_append(out, "</tbody></table></div>\n");
}

static void append_cell(const char *text, struct vb_text *out)
{
    vb_text_append(out, "<td>");
    vb_escape_html(out, text);
}

static void append_fit(const struct vb_page *page, const struct vb_page_series *of,
                       struct vb_text *out)
{
    const struct vb_series *series = &of->series;
    vb_text_append(out, "<tr>");
    append_cell(series->model, out);
    vb_text_append(out, "<td>%s<td>%s<td class=n>%zu<td class=n>%zu",
                   vb_precision_names[series->precision], vb_mosaic_names[series->mosaic],
                   series->n, series->n_oom);
    if (series->fit.n_terms > 0) {
        vb_text_append(out, "<td class=form>");
        vb_append_coefficients(series, out);
        vb_text_append(out, "<td class=n>%.2f<td class=n>%.2f<td class=n>%.2f",
                       series->median_error * 100, series->worst_error * 100,
                       series->interval * 100);
    } else {
        vb_text_append(out, "<td>too few points<td class=n><td class=n><td class=n>");
    }
    vb_text_append(out, "<td>modelled from %s<td class=n>%" PRIu32 "\n",
                   vb_provenance_names[page->stacks[of->stack].provenance], of->stack + 1);
}

void vb_page_append_fits(const struct vb_page *page, struct vb_text *out)
{
    static const char *const headings[] = {
        "Model",           "Precision",     "Mosaic",
        "Points",          "Out of memory", "Peak reserved",
        "Median error, %", "Worst, %",      "90 % interval, &#177;%",
        "Figures are",     "Source",        NULL
    };
    if (page->charts.n == 0)
        return;
    begin_table("Curves fitted to the points, as in the charts; errors are left out one by one",
                headings, "tttnntnnntn", out);
    for (size_t i = 0; i < page->charts.n; i++)
        append_fit(page, &page->charts.series[i], out);
    end_table(out);
}

static void append_form(const struct vb_calibration *of, struct vb_text *out)
{
    static const char *const terms[VB_N_CALIBRATION_FORMS][2] = {
        [VB_CALIBRATE_APART] = { "planned without workspaces", "planned workspaces" },
        [VB_CALIBRATE_PLAN] = { "planned", "" },
        [VB_CALIBRATE_PIXELS] = { "batch &#215; pixels, in B", "" },
        [VB_CALIBRATE_BATCH] = { "batch, in B", "" },
    };
    const struct vb_calibration_fit *fit = &of->fits[of->chosen];
    vb_text_append(out, "<td class=form>");
    for (size_t k = 0; k < fit->n_terms; k++) {
        const bool is_last = k + 1 == fit->n_terms;
        vb_text_append(out, "%s<b>%.4g</b> (%.4g to %.4g) %s%s", k > 0 ? " + " : "",
                       fit->coefficients[k], fit->low[k], fit->high[k], is_last ? "" : "&#215; ",
                       is_last ? "GiB" : terms[of->chosen][k]);
    }
}

static void append_calibration(const struct vb_page_ask *ask, struct vb_text *out)
{
    const struct vb_calibration *of = ask->calibration;
    const struct vb_calibration_fit *fit = &of->fits[of->chosen];
    vb_text_append(out, "<tr>");
    append_cell(of->model, out);
    vb_text_append(out, "<td>%s<td>%s<td>%s", vb_precision_names[of->precision],
                   vb_mosaic_names[of->mosaic], vb_optimizer_names[of->optimizer]);
    append_cell(of->gpu, out);
    append_cell(of->driver, out);
    append_cell(of->cudnn, out);
    vb_text_append(out, "<td class=n>%zu<td class=n>%zu<td class=n>%zu", of->n_own, of->n_points,
                   fit->n_aside);
    append_form(of, out);
    vb_text_append(out,
                   "<td class=n>%.2f<td class=n>%.2f<td class=n>%+.2f<td class=n>%+.2f<td>modelled "
                   "from measured",
                   fit->median_error * 100, fit->worst_error * 100, fit->interval_low * 100,
                   fit->interval_high * 100);
    append_cell(ask->file->date, out);
    vb_text_append(out, "\n");
}

void vb_page_append_calibrations(const struct vb_page *page, struct vb_text *out)
{
    static const char *const headings[] = {
        "Model",    "Precision",    "Mosaic",      "Optimizer",   "GPU",      "Driver",
        "cuDNN",    "Points",       "With pooled", "Set aside",   "Measured", "Median error, %",
        "Worst, %", "90 % from, %", "to, %",       "Figures are", "Date",     NULL
    };
    size_t n = 0;
    for (size_t i = 0; i < page->n_asks; i++)
        n += page->asks[i].calibration != NULL;
    if (n == 0)
        return;
    begin_table("Calibrations, as of 'vrambench fit': on the device, context and all", headings,
                "tttttttnnntnnnntt", out);
    for (size_t i = 0; i < page->n_asks; i++) {
        if (page->asks[i].calibration != NULL)
            append_calibration(&page->asks[i], out);
    }
    end_table(out);
}

static void append_gib(uint64_t bytes, struct vb_text *out)
{
    if (bytes > 0)
        vb_text_append(out, "<td class=n>%.2f", vb_to_gib(bytes));
    else
        vb_text_append(out, "<td class=n>");
}

static void append_stacks(const struct vb_page *page, struct vb_text *out)
{
    static const char *const headings[] = { "Source",      "Figures are", "Device", "GPU",
                                            "Memory, GiB", "Usable, GiB", "Driver", "CUDA",
                                            "cuDNN",       "oneDNN",      "Tool",   "Records",
                                            NULL };
    begin_table("Devices and versions", headings, "ntttnntttttn", out);
    for (size_t i = 0; i < page->n_stacks; i++) {
        const struct vb_page_stack *stack = &page->stacks[i];
        vb_text_append(out, "<tr><td class=n>%zu<td>%s", i + 1,
                       vb_provenance_names[stack->provenance]);
        append_cell(stack->device, out);
        append_cell(stack->gpu, out);
        append_gib(stack->capacity_bytes, out);
        append_gib(stack->usable_bytes, out);
        append_cell(stack->driver, out);
        append_cell(stack->cuda, out);
        append_cell(stack->cudnn, out);
        append_cell(stack->onednn, out);
        append_cell(stack->tool, out);
        vb_text_append(out, "<td class=n>%zu\n", stack->n_records);
    }
    end_table(out);
}

static void append_recipes(const struct vb_page *page, struct vb_text *out)
{
    static const char *const headings[] = { "Model",  "Precision",  "Settings", "Workload",
                                            "Recipe", "Workspaces", "Source",   NULL };
    begin_table("Configurations, and what stood in for what is not measured", headings, "ttttttn",
                out);
    for (size_t i = 0; i < page->n_kinds; i++) {
        const struct vb_page_kind *kind = &page->kinds[i];
        struct vb_text settings = { 0 };
        vb_page_tell_settings(page, kind, &settings);
        vb_text_append(out, "<tr data-k=%zu>", i);
        append_cell(kind->point.model, out);
        append_cell(vb_precision_names[kind->point.precision], out);
        append_cell(vb_text_data(&settings), out);
        append_cell(vb_workload_names[kind->point.workload], out);
        append_cell(kind->recipe, out);
        append_cell(kind->workspaces, out);
        vb_text_append(out, "<td class=n>%" PRIu32 "\n", kind->stack + 1);
        vb_text_clear(&settings);
    }
    end_table(out);
}

void vb_page_append_sources(const struct vb_page *page, struct vb_text *out)
{
    append_stacks(page, out);
    append_recipes(page, out);
    vb_text_append(out, "<p>Journal <code>");
    vb_escape_html(out, page->name);
    vb_text_append(out,
                   "/rows.jsonl</code>, written %s, hash <code>%s</code>, %zu records. Page by ",
                   page->date, page->hash, page->n_records);
    vb_escape_html(out, page->tool);
    vb_text_append(out, ".</p>\n");
}
