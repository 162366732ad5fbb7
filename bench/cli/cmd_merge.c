/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of a sweep, which many machines ran, made one. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/sweep_report.h"
#include "sweep/journal.h"
#include "sweep/merge.h"

enum { EXIT_CONFLICTS = 1, MOST_TABLED = 20000 };

static void tell(void *context, const char *text)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", text);
}

/* The tables and charts that a sweep leaves; a journal of a fleet is too long for them. */
static enum vb_status report(const struct vb_merge *merge, const char *formats,
                             struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_rows rows;
    if (merge->n_rows > MOST_TABLED) {
        (void)fprintf(stderr, "no tables of more than %d rows\n", MOST_TABLED);
        return VB_OK;
    }
    enum vb_status status = vb_journal_read(merge->out, &arena, &rows, err);
    if (status == VB_OK)
        status = cli_sweep_report(rows.items, rows.n, formats, merge->out, err);
    vb_arena_clear(&arena);
    return status;
}

int cmd_merge(int argc, char **argv)
{
    const char *out = "runs/merged", *force = NULL, *formats = NULL;
    const struct cli_option options[] = {
        { "out", "DIR", "where the merged results go: runs/merged", &out, NULL },
        { "format", "LIST", "of the table: md, csv, json, jsonl", &formats, NULL },
        { "force", NULL, "replace another journal that is there", &force, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench merge DIR... --out DIR [options]",
        .summary =
            "Makes the results of a sweep's shards one: rows that are the same are folded, points\n"
            "that two results tell differently are named and both kept. Exit status 1 where there\n"
            "are such.",
        .examples = "  vrambench sweep sweeps/v5s.ini --shard 2/4 --out runs/shard-2\n"
                    "  vrambench merge runs/shard-1 runs/shard-2 runs/shard-3 runs/shard-4",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .min_positional = 1,
        .max_positional = 256,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    struct vb_merge merge = { .folders = positional.items,
                              .n_folders = positional.n,
                              .out = out,
                              .force = force != NULL,
                              .tell = tell };
    enum vb_status status = vb_merge_journals(&merge, &err);
    if (status == VB_OK)
        (void)fprintf(stderr,
                      "%zu rows of %zu results: %zu folded, %zu points told differently, %zu lines "
                      "passed over\n",
                      merge.n_rows, merge.n_folders, merge.n_folded, merge.n_conflicts,
                      merge.n_corrupt);
    if (status == VB_OK)
        status = report(&merge, formats, &err);
    if (status != VB_OK)
        return cli_fail(status, &err);
    return merge.n_conflicts > 0 ? EXIT_CONFLICTS : EXIT_SUCCESS;
}
