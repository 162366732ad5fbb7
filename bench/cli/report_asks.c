/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_asks.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/answer.h"
#include "cli/calibrate.h"
#include "device/gpu_spec.h"

enum { MAX_FILE_BYTES = 256 << 20 };

struct asking {
    struct vb_page *page;
    struct vb_calibrations file; /* none: n is 0 */
    size_t n_plans;              /* a kind */
};

/* The file of the folder, where the journal is the page's. */
static bool read_calibrations(const char *folder, struct vb_page *page, struct vb_calibrations *out)
{
    char path[4096], *text = NULL;
    size_t bytes = 0;
    struct vb_error why = { 0 };
    (void)snprintf(path, sizeof path, "%.4000s/calibration.json", folder);
    if (access(path, F_OK) != 0)
        return false;
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, &why);
    if (status == VB_OK)
        status = vb_calibrations_parse(path, text, bytes, &page->arena, out, &why);
    free(text);
    const bool is_own = status == VB_OK && strcmp(out->journal_hash, page->hash) == 0;
    if (!is_own)
        (void)fprintf(stderr, "not used: %s\n",
                      status == VB_OK ? "calibration.json, which another journal made" : why.text);
    return is_own;
}

/* What 'vrambench fit' would write, dated as the journal: none where too little was measured. */
static enum vb_status make_calibrations(const char *folder, struct vb_page *page,
                                        struct vb_calibrations *out, struct vb_error *err)
{
    struct cli_measured measured;
    struct cli_calibrated calibrated;
    enum vb_status status = cli_read_measured(folder, &page->arena, &measured, err);
    if (status == VB_OK)
        status = cli_plan_measured(&measured, &page->arena, err);
    if (status == VB_OK)
        status = cli_calibrate(&measured, &page->arena, &calibrated, err);
    if (status != VB_OK)
        return status == VB_E_INPUT ? VB_OK : status;
    *out = calibrated.file;
    (void)snprintf(out->date, sizeof out->date, "%.10s", page->date);
    return VB_OK;
}

static const struct vb_calibration *find_calibration(const struct asking *asking,
                                                     const struct vb_page_kind *kind)
{
    const struct vb_page_stack *stack = &asking->page->stacks[kind->stack];
    for (size_t i = 0; i < asking->file.n; i++) {
        const struct vb_calibration *of = &asking->file.items[i];
        if (strcmp(of->gpu, stack->gpu) == 0 && strcmp(of->driver, stack->driver) == 0 &&
            strcmp(of->cuda, stack->cuda) == 0 && strcmp(of->cudnn, stack->cudnn) == 0 &&
            strcmp(of->model, kind->point.model) == 0 && of->precision == kind->point.precision &&
            of->mosaic == kind->point.mosaic && of->optimizer == kind->point.optimizer &&
            of->workload == kind->point.workload)
            return of;
    }
    return NULL;
}

static double size_of(const struct vb_calibration *of, const struct vb_calibration_point *point)
{
    if (of->chosen == VB_CALIBRATE_BATCH)
        return point->batch;
    if (of->chosen == VB_CALIBRATE_PIXELS)
        return (double)point->batch * point->imgsz * point->imgsz;
    return point->planned_bytes;
}

/* The measured range, and the band, which is that of any of the points. */
static enum vb_status ask_calibrated(struct asking *asking, struct vb_page_ask *ask,
                                     struct vb_error *err)
{
    const struct vb_calibration *of = ask->calibration;
    const struct vb_nearest nearest = { .file = &asking->file, .calibration = of };
    struct vb_calibrated answer;
    ask->file = &asking->file;
    ask->least_bytes = HUGE_VAL;
    for (size_t i = 0; i < of->n_points; i++) {
        ask->least_bytes = fmin(ask->least_bytes, size_of(of, &of->points[i]));
        ask->most_bytes = fmax(ask->most_bytes, size_of(of, &of->points[i]));
    }
    const enum vb_status status = vb_calibration_answer(&nearest, &of->points[of->n_points / 2],
                                                        &asking->page->arena, &answer, err);
    ask->band = answer.band;
    return status;
}

static void see_range(const struct vb_residuals *residuals, struct vb_page_ask *ask)
{
    ask->least_bytes = HUGE_VAL;
    for (size_t i = 0; i < residuals->n; i++) {
        const struct vb_residual *row = &residuals->rows[i];
        if (row->is_shared)
            continue;
        ask->least_bytes = fmin(ask->least_bytes, row->traits.planned_bytes);
        ask->most_bytes = fmax(ask->most_bytes, row->traits.planned_bytes);
    }
}

/* The band of published runs in a process of their own; its bit for the size is the script's. */
static enum vb_status ask_published(struct asking *asking, const struct vb_page_kind *kind,
                                    uint32_t compute_capability, struct vb_page_ask *ask,
                                    struct vb_error *err)
{
    struct cli_asked asked = { .arena = &asking->page->arena };
    struct vb_point point = kind->point;
    struct vb_error why = { 0 };
    point.batch = 1;
    point.imgsz = ask->nodes[0].imgsz;
    enum vb_status status = cli_ask(&point, &asked, &why);
    if (status == VB_OK) {
        see_range(&asked.residuals, ask);
        const struct vb_question question = {
            .traits = cli_traits_of(&point, asked.family, compute_capability, kind->recipe,
                                    kind->workspaces, ask->most_bytes),
        };
        status = vb_band_find(asked.residuals.rows, asked.residuals.n, &question,
                              &asking->page->arena, &ask->band, &why);
    }
    if (status == VB_E_SYSTEM)
        return vb_fail(err, status, "%s", why.text);
    if (status != VB_OK) {
        ask->reason = vb_arena_copy(&asking->page->arena, why.text);
        return ask->reason != NULL ? VB_OK : vb_fail(err, VB_E_SYSTEM, "no host memory left");
    }
    return VB_OK;
}

/* What a form without plans needs of the stack. */
static void know_device(const struct asking *asking, const struct vb_page_kind *kind,
                        struct vb_page_ask *ask)
{
    const struct vb_page_stack *stack = &asking->page->stacks[kind->stack];
    if (ask->usable_bytes > 0)
        return;
    ask->context_bytes = (double)kind->context_bytes;
    ask->usable_bytes = stack->capacity_bytes > 0
                            ? (double)stack->capacity_bytes - ask->context_bytes
                            : (double)stack->usable_bytes;
}

/* `*is_taken`: the kind can be asked about. */
static enum vb_status ask_kind(struct asking *asking, uint32_t place, struct vb_page_ask *ask,
                               bool *is_taken, struct vb_error *err)
{
    const struct vb_page_kind *kind = &asking->page->kinds[place];
    const bool is_planned = asking->page->stacks[kind->stack].provenance == VB_PLANNED;
    uint32_t compute_capability = 0;
    *ask = (struct vb_page_ask){ .kind = place };
    if (!is_planned)
        ask->calibration = find_calibration(asking, kind);
    *is_taken = false;
    if (kind->point.workload == VB_AUTOBATCH || (!is_planned && ask->calibration == NULL))
        return VB_OK;
    enum vb_status status = cli_report_nodes(asking->page, place, asking->n_plans,
                                             &asking->page->arena, ask, &compute_capability, err);
    const bool needs_plans = is_planned || ask->calibration->chosen <= VB_CALIBRATE_PLAN;
    if (status == VB_E_SYSTEM)
        return status;
    if (needs_plans && (status != VB_OK || ask->n_nodes == 0))
        return VB_OK;
    know_device(asking, kind, ask);
    *is_taken = true;
    return is_planned ? ask_published(asking, kind, compute_capability, ask, err)
                      : ask_calibrated(asking, ask, err);
}

static bool has_measured(const struct vb_page *page)
{
    bool has = false;
    for (size_t i = 0; i < page->n_stacks; i++)
        has =
            has || (page->stacks[i].provenance == VB_MEASURED && page->stacks[i].driver[0] != '\0');
    return has;
}

enum vb_status cli_report_asks(const char *folder, uint32_t n_plans, struct vb_page *page,
                               struct vb_error *err)
{
    struct asking *asking = vb_arena_alloc(&page->arena, 1, sizeof *asking);
    page->asks = vb_arena_alloc(&page->arena, CLI_MOST_ASKS, sizeof *page->asks);
    if (page->asks == NULL || asking == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the page");
    const size_t n_kinds = page->n_kinds < CLI_MOST_ASKS ? page->n_kinds : CLI_MOST_ASKS;
    asking->page = page;
    asking->n_plans = n_plans / (n_kinds > 0 ? n_kinds : 1);
    enum vb_status status = VB_OK;
    if (has_measured(page) && !read_calibrations(folder, page, &asking->file))
        status = make_calibrations(folder, page, &asking->file, err);
    for (uint32_t i = 0; i < n_kinds && status == VB_OK; i++) {
        bool is_taken = false;
        status = ask_kind(asking, i, &page->asks[page->n_asks], &is_taken, err);
        page->n_asks += status == VB_OK && is_taken;
    }
    return status;
}
