/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sweep_report.h"

#include <stdio.h>
#include <string.h>

#include "report/results.h"
#include "report/table.h"

static enum vb_status print_tables(const struct vb_record *records, size_t n, const char *formats,
                                   struct vb_error *err)
{
    char list[64];
    (void)snprintf(list, sizeof list, "%s", formats);
    char *rest = list;
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        struct vb_text text = { 0 };
        int format = -1;
        for (int i = 0; i < 4; i++) {
            if (strcmp(vb_table_format_names[i], name) == 0)
                format = i;
        }
        if (format < 0)
            return vb_fail(err, VB_E_INPUT, "--format is '%s', expected md, csv, json or jsonl",
                           name);
        enum vb_status status =
            vb_table_append(records, n, (enum vb_table_format)format, &text, err);
        if (status == VB_OK)
            (void)fputs(vb_text_data(&text), stdout);
        vb_text_clear(&text);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

enum vb_status cli_sweep_report(const struct vb_record *records, size_t n, const char *formats,
                                const char *folder, struct vb_error *err)
{
    struct vb_results results;
    enum vb_status status = print_tables(records, n, formats != NULL ? formats : "md", err);
    if (status == VB_OK)
        status = vb_results_write(records, n, folder, &results, err);
    if (status != VB_OK)
        return status;
    (void)fflush(stdout);
    (void)fprintf(stderr, "\ntables: %s/points.csv, points.md, fit.md\n", folder);
    for (size_t i = 0; i < results.n_charts; i++)
        (void)fprintf(stderr, "chart:  %s/charts/%s.svg and .png\n", folder, results.charts[i]);
    if (results.note[0] != '\0')
        (void)fprintf(stderr, "note:   %s\n", results.note);
    return VB_OK;
}
