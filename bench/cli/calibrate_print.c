/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/calibrate.h"

enum { MOST_NAMED = 5 }; /* points set aside */

static const char *const short_names[VB_N_CALIBRATION_FORMS] = {
    [VB_CALIBRATE_APART] = "plan apart",
    [VB_CALIBRATE_PLAN] = "plan",
    [VB_CALIBRATE_PIXELS] = "pixels",
    [VB_CALIBRATE_BATCH] = "batch",
};

static void print_row(const struct vb_calibration *of)
{
    const struct vb_calibration_fit *fit = &of->fits[of->chosen];
    char points[32];
    (void)snprintf(points, sizeof points, of->is_pooled ? "%zu of %zu" : "%zu", of->n_own,
                   of->n_points);
    printf("  %-9s %-6s %9s  %-10s %5.1f %% %5.1f %%  %+6.1f %% to %+.1f %%\n",
           vb_precision_names[of->precision], vb_mosaic_names[of->mosaic], points,
           short_names[of->chosen], fit->median_error * 100, fit->worst_error * 100,
           fit->interval_low * 100, fit->interval_high * 100);
}

/* "0.987 (0.97 to 1.01) x planned without workspaces + ..." */
static void print_form(const struct vb_calibration *of)
{
    static const char *const terms[VB_N_CALIBRATION_FORMS][2] = {
        [VB_CALIBRATE_APART] = { "x planned without workspaces", "x planned workspaces" },
        [VB_CALIBRATE_PLAN] = { "x planned", "" },
        [VB_CALIBRATE_PIXELS] = { "B x batch x pixels", "" },
        [VB_CALIBRATE_BATCH] = { "B x batch", "" },
    };
    const struct vb_calibration_fit *fit = &of->fits[of->chosen];
    if (of->is_pooled)
        printf("  pooled, for points of one kind are few: measured =\n");
    else
        printf("  %s, mosaic %s: measured =\n", vb_precision_names[of->precision],
               vb_mosaic_names[of->mosaic]);
    for (size_t k = 0; k < fit->n_terms; k++) {
        bool is_last = k + 1 == fit->n_terms;
        printf("    %s%.4g (%.4g to %.4g) %s\n", k > 0 ? "+ " : "  ", fit->coefficients[k],
               fit->low[k], fit->high[k], is_last ? "GiB" : terms[of->chosen][k]);
    }
}

static void print_aside(const struct vb_calibration *of)
{
    size_t n = 0;
    for (size_t i = 0; i < of->n_points; i++) {
        const struct vb_calibration_point *point = &of->points[i];
        bool is_own = point->precision == of->precision && point->mosaic == of->mosaic;
        if (point->weight > 0 || !is_own || n++ >= MOST_NAMED)
            continue;
        printf("  set aside: batch %u at %u, %s, mosaic %s: %+.0f %% of what the others say\n",
               point->batch, point->imgsz, vb_precision_names[point->precision],
               vb_mosaic_names[point->mosaic],
               (point->measured_bytes / point->left_out_bytes - 1) * 100);
    }
    if (n > MOST_NAMED)
        printf("  set aside: %zu more\n", n - MOST_NAMED);
}

static void print_few(const struct cli_calibrated_group *group)
{
    if (group->n_few == 0)
        return;
    printf("what N picked points would have said of the others (sweep --points N):\n");
    for (size_t k = 0; k < group->n_few; k++)
        printf("  %3zu of %zu: median error %.1f %%, worst %.1f %%\n", group->few[k].n_picks,
               group->few[k].n_points, group->few[k].median * 100, group->few[k].worst * 100);
}

static void print_heading(const struct cli_calibrated_group *group)
{
    const struct cli_series *series = group->series;
    printf("%s\ndriver %s, cuDNN %s\n", series->gpu,
           series->driver[0] != '\0' ? series->driver : "unknown",
           series->cudnn[0] != '\0' ? series->cudnn : "unknown");
    printf("%.60s, %s: %zu points", series->point.model,
           vb_optimizer_names[series->point.optimizer], group->n_points);
    if (group->n_found > group->n_points)
        printf(" of %zu, evenly by size", group->n_found);
    if (group->n_repeats > group->n_points)
        printf(", %zu measurements", group->n_repeats);
    if (series->why_unplanned != NULL)
        printf("\nnot planned, so only plain forms: %s\n", series->why_unplanned);
    else
        printf("; plans: cuDNN %s\n", series->planned_with);
}

void cli_print_calibrated(const struct cli_calibrated *calibrated)
{
    for (size_t g = 0; g < calibrated->n_groups; g++) {
        const struct cli_calibrated_group *group = &calibrated->groups[g];
        const struct vb_calibration *items = calibrated->file.items + group->first;
        if (g > 0)
            printf("\n");
        print_heading(group);
        if (group->n == 0)
            printf("no calibration: %s\n", group->reason);
        if (group->n == 0)
            continue;
        printf("  precision mosaic    points  form        median   worst  90 %% of new points\n");
        for (size_t i = 0; i < group->n; i++)
            print_row(&items[i]);
        bool is_told = false; /* the form of those that are pooled, which is the same */
        for (size_t i = 0; i < group->n; i++) {
            if (!items[i].is_pooled || !is_told)
                print_form(&items[i]);
            is_told = is_told || items[i].is_pooled;
            print_aside(&items[i]);
        }
        print_few(group);
    }
}
