/* SPDX-License-Identifier: Apache-2.0 */
/* What intervals and verdicts were worth: how many runs lie inside, and what was said of those that
 * ran out of memory. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/validation_parts.h"

static void append_line(const char *name, const struct vb_accuracy *a, struct vb_text *out)
{
    if (!isnan(a->coverage90))
        vb_text_append(out, "| %-21.21s | %5zu | %6.1f | %6.1f |\n", name, a->n, a->coverage50,
                       a->coverage90);
}

enum vb_status vb_validation_append_coverage(const struct vb_prediction *items, size_t n,
                                             struct vb_arena *arena, struct vb_text *out,
                                             struct vb_error *err)
{
    struct vb_accuracy all;
    struct vb_accuracy_group *groups = NULL;
    size_t n_groups = 0;
    enum vb_status status = vb_accuracy_of(items, n, &all, err);
    if (status != VB_OK || isnan(all.coverage90))
        return status;
    status = vb_accuracy_by(items, n, VB_BY_TRUST, arena, &groups, &n_groups, err);
    if (status != VB_OK)
        return status;
    vb_text_append(out, "\nRuns inside their 50 %% and 90 %% intervals, in %%; a run's own "
                        "repository is left\nout of what its intervals are from.\n\n"
                        "|                       |  rows |  50 %%  |  90 %%  |\n"
                        "| :-------------------- | ----: | -----: | -----: |\n");
    append_line("all", &all, out);
    for (size_t i = 0; i < n_groups; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "trust %s",
                       groups[i].name[0] != '\0' ? groups[i].name : "not told");
        append_line(name, &groups[i].accuracy, out);
    }
    return VB_OK;
}

void vb_validation_append_ran_out(const struct vb_validation *validation, struct vb_text *out)
{
    size_t n_wrong = 0;
    if (validation->n_ran_out == 0)
        return;
    vb_text_append(out,
                   "|  line | GPU          | model    | bat@imgsz |   plan |   room | P(fits) | "
                   "verdict      |\n"
                   "| ----: | :----------- | :------- | --------: | -----: | -----: | ------: | "
                   ":----------- |\n");
    for (size_t i = 0; i < validation->n; i++) {
        const struct vb_judged *row = &validation->rows[i];
        char size[24], chance[16] = "";
        if (row->state != VB_JUDGED_RAN_OUT)
            continue;
        n_wrong += row->estimate.verdict == VB_FITS;
        (void)snprintf(size, sizeof size, "%" PRIu32 "@%" PRIu32, row->run->batch, row->run->imgsz);
        if (row->widening > 0)
            (void)snprintf(chance, sizeof chance, "%.3f", row->estimate.probability);
        vb_text_append(out,
                       "| %5" PRIu32 " | %-12.12s | %-8.8s | %9s | %6.2f | %6.2f | %7s | "
                       "%-12s |\n",
                       row->run->line, row->gpu, vb_validation_short_model(row), size,
                       (double)row->need_bytes / 1073741824.0,
                       (double)row->usable_bytes / 1073741824.0, chance,
                       vb_verdict_names[row->estimate.verdict]);
    }
    vb_text_append(out,
                   "\nline: of the file; GiB: planned at the peak, and what the GPU has for a "
                   "process.\nAll of these ran out of memory; at a risk of %g %%, %zu of %zu "
                   "are called fitting.\n",
                   validation->risk * 100, n_wrong, validation->n_ran_out);
}
