/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers have 17 digits: the script answers from the same doubles as 'vrambench estimate'. */
#include <inttypes.h>
#include <string.h>

#include "report/escape.h"
#include "report/page_parts.h"

/* Short names, which page.js knows. */
static const char *const form_keys[VB_N_CALIBRATION_FORMS] = {
    [VB_CALIBRATE_APART] = "apart",
    [VB_CALIBRATE_PLAN] = "plan",
    [VB_CALIBRATE_PIXELS] = "pixels",
    [VB_CALIBRATE_BATCH] = "batch",
};

static void append_text(struct vb_text *out, const char *key, const char *text)
{
    vb_text_append(out, "\"%s\":", key);
    vb_escape_json(out, text);
    vb_text_append(out, ",");
}

static void append_reals(struct vb_text *out, const char *key, const double *values, size_t n)
{
    vb_text_append(out, "\"%s\":[", key);
    for (size_t i = 0; i < n; i++)
        vb_text_append(out, "%s%.17g", i > 0 ? "," : "", values[i]);
    vb_text_append(out, "],");
}

static void append_stacks(const struct vb_page *page, struct vb_text *out)
{
    vb_text_append(out, "\"stacks\":[");
    for (size_t i = 0; i < page->n_stacks; i++) {
        const struct vb_page_stack *stack = &page->stacks[i];
        vb_text_append(out, "%s\n{", i > 0 ? "," : "");
        append_text(out, "device", stack->device);
        append_text(out, "gpu", stack->gpu);
        append_text(out, "driver", stack->driver);
        append_text(out, "cuda", stack->cuda);
        append_text(out, "cudnn", stack->cudnn);
        vb_text_append(out, "\"provenance\":\"%s\"}", vb_provenance_names[stack->provenance]);
    }
    vb_text_append(out, "],\n");
}

static void append_kinds(const struct vb_page *page, struct vb_text *out)
{
    vb_text_append(out, "\"kinds\":[");
    for (size_t i = 0; i < page->n_kinds; i++) {
        const struct vb_page_kind *kind = &page->kinds[i];
        struct vb_text settings = { 0 };
        vb_page_tell_settings(page, kind, &settings);
        vb_text_append(out, "%s\n{", i > 0 ? "," : "");
        append_text(out, "model", kind->point.model);
        append_text(out, "settings", vb_text_data(&settings));
        vb_text_append(out, "\"precision\":\"%s\",\"stack\":%" PRIu32 "}",
                       vb_precision_names[kind->point.precision], kind->stack);
        vb_text_clear(&settings);
    }
    vb_text_append(out, "],\n");
}

static void append_band(const struct vb_band *band, struct vb_text *out)
{
    const double shape[3] = { band->middle, band->low_scale, band->high_scale };
    vb_text_append(out, "\n\"band\":{");
    append_reals(out, "shape", shape, 3);
    vb_text_append(out, "\"repositories\":%zu,\"steps\":[", band->n_repositories);
    for (size_t i = 0; i < band->n_rows; i++)
        vb_text_append(out, "%s[%.17g,%.17g]", i > 0 ? "," : "", band->steps[i].log_ratio,
                       band->steps[i].weight);
    vb_text_append(out, "]},");
}

static void append_calibration(const struct vb_page_ask *ask, struct vb_text *out)
{
    const struct vb_calibration *of = ask->calibration;
    const struct vb_calibration_fit *fit = &of->fits[of->chosen];
    const double interval[2] = { fit->interval_low, fit->interval_high };
    vb_text_append(out, "\n\"calibration\":{");
    append_text(out, "gpu", of->gpu);
    append_text(out, "driver", of->driver);
    append_text(out, "cuda", of->cuda);
    append_text(out, "cudnn", of->cudnn);
    append_text(out, "planned_with", of->planned_with);
    append_text(out, "date", ask->file->date);
    append_text(out, "journal", ask->file->journal_hash);
    append_reals(out, "coefficients", fit->coefficients, fit->n_terms);
    append_reals(out, "low90", fit->low, fit->n_terms);
    append_reals(out, "high90", fit->high, fit->n_terms);
    append_reals(out, "covariance", fit->covariance, fit->n_terms * fit->n_terms);
    append_reals(out, "interval90", interval, 2);
    vb_text_append(out,
                   "\"form\":\"%s\",\"points\":%zu,\"own_points\":%zu,\"set_aside\":%zu,"
                   "\"spread\":%.17g},",
                   form_keys[of->chosen], of->n_points, of->n_own, fit->n_aside, fit->spread);
}

/* In what a planned question of the kind is unlike published runs; its size is the script's. */
static void append_unlike(const struct vb_page_ask *ask, struct vb_text *out)
{
    bool is_first = true;
    vb_text_append(out, "\"unlike\":[");
    for (uint32_t i = 0; i < VB_N_UNLIKE && ask->calibration == NULL; i++) {
        if ((ask->band.unlike >> i & 1) == 0 || i == VB_UNLIKE_SIZE)
            continue;
        vb_text_append(out, "%s\"%s\"", is_first ? "" : ",", vb_unlike_names[i]);
        is_first = false;
    }
    vb_text_append(out, "],");
}

/* [imgsz, smallest batch that ran out of memory] of the kind. */
static void append_ran_out(const struct vb_page *page, uint32_t kind, struct vb_text *out)
{
    uint32_t last = 0;
    bool is_first = true;
    vb_text_append(out, "\"ran_out\":[");
    for (size_t i = 0; i < page->n_rows; i++) {
        const struct vb_page_row *row = &page->rows[i];
        const bool is_oom = row->state == VB_STATE_OOM || row->state == VB_STATE_BACKSTOP;
        if (row->kind != kind || !is_oom || (!is_first && row->imgsz == last))
            continue;
        vb_text_append(out, "%s[%" PRIu32 ",%" PRIu32 "]", is_first ? "" : ",", row->imgsz,
                       row->batch);
        last = row->imgsz;
        is_first = false;
    }
    vb_text_append(out, "],");
}

static void append_ask(const struct vb_page *page, const struct vb_page_ask *ask,
                       struct vb_text *out)
{
    const double range[2] = { ask->least_bytes, ask->most_bytes };
    vb_text_append(out, "{\"kind\":%" PRIu32 ",", ask->kind);
    if (ask->calibration != NULL)
        append_calibration(ask, out);
    if (ask->reason != NULL)
        append_text(out, "reason", ask->reason);
    else
        append_band(&ask->band, out);
    append_unlike(ask, out);
    append_ran_out(page, ask->kind, out);
    append_reals(out, "range", range, 2);
    vb_text_append(out, "\"context\":%.17g,\"usable\":%.17g,\"nodes\":[", ask->context_bytes,
                   ask->usable_bytes);
    for (size_t i = 0; i < ask->n_nodes; i++) {
        const struct vb_page_node *node = &ask->nodes[i];
        vb_text_append(out, "%s[%" PRIu32 ",%" PRIu32 ",%.17g,%.17g,%d]", i > 0 ? "," : "",
                       node->imgsz, node->batch, node->planned_bytes, node->apart_bytes,
                       node->has_run_out);
    }
    vb_text_append(out, "]}");
}

void vb_page_append_data(const struct vb_page *page, struct vb_text *out)
{
    vb_text_append(out, "{");
    append_stacks(page, out);
    append_kinds(page, out);
    vb_text_append(out, "\"asks\":[");
    for (size_t i = 0; i < page->n_asks; i++) {
        vb_text_append(out, "%s\n", i > 0 ? "," : "");
        append_ask(page, &page->asks[i], out);
    }
    vb_text_append(out, "]}");
}
