/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a GPU, for others: results/<gpu>/ and its line in results/README.md. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "report/publication.h"
#include "report/results.h"
#include "sweep/journal.h"
#include "sweep/journal_each.h"

enum { MOST_CHARTED = 20000 };

static enum vb_status add(void *context, const struct vb_record *record, struct vb_error *err)
{
    return vb_publication_add(context, record, err);
}

static enum vb_status read_table(const char *from, struct vb_publication *out, size_t *n_records,
                                 struct vb_error *err)
{
    struct vb_journal_sum sum;
    enum vb_status status = vb_journal_each(from, add, out, &sum, err);
    *n_records = sum.n_records;
    if (status == VB_OK && sum.n_corrupt > 0)
        status = vb_fail(err, VB_E_INPUT, "%s; nothing is published of a journal with such lines",
                         sum.note);
    if (status == VB_OK && out->n_rows == 0)
        status = vb_fail(err, VB_E_INPUT, "%s: has no point that ran or ran out of memory", from);
    out->hash = sum.hash;
    if (status == VB_OK)
        vb_publication_sort(out);
    return status;
}

/* Tables and charts as a sweep leaves them; a journal of a fleet is too long for them. */
static enum vb_status draw(const char *from, const struct vb_publication *table, const char *folder,
                           struct vb_error *err)
{
    char path[4096];
    struct vb_arena arena = { 0 };
    struct vb_rows rows;
    struct vb_results results;
    (void)snprintf(path, sizeof path, "%.4000s/%s", folder, table->slug);
    enum vb_status status = vb_journal_read(from, &arena, &rows, err);
    if (status == VB_OK)
        status = vb_results_write(rows.items, rows.n, path, &results, err);
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status publish(const char *from, const char *folder, bool force,
                              struct vb_error *err)
{
    struct vb_publication table = { 0 };
    size_t n_records = 0;
    enum vb_status status = read_table(from, &table, &n_records, err);
    const bool is_charted = status == VB_OK && n_records <= MOST_CHARTED;
    if (status == VB_OK)
        status = vb_publication_write(&table, folder, is_charted, force, err);
    if (status == VB_OK && is_charted)
        status = draw(from, &table, folder, err);
    if (status == VB_OK)
        status = vb_publication_index(folder, err);
    if (status == VB_OK)
        (void)fprintf(stderr, "%s/%s: %zu points of %s%s\n", folder, table.slug, table.n_rows,
                      table.gpu, is_charted ? "" : ", too many for charts");
    if (status == VB_OK && table.n_failed > 0)
        (void)fprintf(stderr, "%zu points that failed are left out\n", table.n_failed);
    vb_publication_clear(&table);
    return status;
}

int cmd_publish(int argc, char **argv)
{
    const char *out = "results", *force = NULL;
    const struct cli_option options[] = {
        { "out", "DIR", "where the tables of all GPUs are: results", &out, NULL },
        { "force", NULL, "replace the GPU's table of another journal", &force, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench publish RESULTS [options]",
        .summary =
            "Renders the table of a GPU from a sweep's results: README.md, table.csv, table.json "
            "and\n"
            "charts in results/<gpu>/, and its line in results/README.md. Run twice it changes\n"
            "nothing.",
        .examples = "  vrambench publish runs/gpu",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = publish(positional.items[0], out, force != NULL, &err);
    return status == VB_OK ? EXIT_SUCCESS : cli_fail(status, &err);
}
