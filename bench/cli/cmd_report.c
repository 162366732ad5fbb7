/* SPDX-License-Identifier: Apache-2.0 */
/* A results folder as one page: read record by record; only charts need all records at once. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/report_asks.h"
#include "config.h"
#include "sweep/journal.h"
#include "sweep/journal_each.h"

enum { MOST_CHARTED = 5000 }; /* some 100 KiB each while they are drawn */

struct options {
    const char *out, *plans;
};

static enum vb_status add(void *context, const struct vb_record *record, struct vb_error *err)
{
    return vb_page_add(context, record, err);
}

/* The folder that `from` is, or lies in, and the last part of its path. */
static enum vb_status name_folder(const char *from, char *folder, size_t room, struct vb_page *page,
                                  struct vb_error *err)
{
    char path[PATH_MAX], real[PATH_MAX];
    struct stat info;
    time_t written;
    struct tm parts;
    enum vb_status status = vb_journal_source(from, path, sizeof path, err);
    if (status != VB_OK)
        return status;
    if (realpath(path, real) == NULL || stat(path, &info) != 0)
        return vb_fail(err, VB_E_INPUT, "%s: cannot be opened", path);
    written = info.st_mtime;
    *strrchr(real, '/') = '\0';
    (void)snprintf(folder, room, "%s", real[0] != '\0' ? real : "/");
    page->name =
        vb_arena_copy(&page->arena, strrchr(real, '/') != NULL ? strrchr(real, '/') + 1 : "");
    if (page->name == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the page");
    if (gmtime_r(&written, &parts) != NULL)
        (void)strftime(page->date, sizeof page->date, "%Y-%m-%d %H:%M UTC", &parts);
    return VB_OK;
}

static enum vb_status read_page(const char *from, struct vb_page *page, struct vb_error *err)
{
    struct vb_journal_sum sum;
    page->tool = "vrambench " VB_VERSION " " VB_COMMIT;
    enum vb_status status = vb_journal_each(from, add, page, &sum, err);
    if (status != VB_OK)
        return status;
    page->n_records = sum.n_records;
    page->n_corrupt = sum.n_corrupt;
    (void)snprintf(page->hash, sizeof page->hash, "%016" PRIx64, sum.hash);
    if (sum.n_corrupt > 0)
        (void)fprintf(stderr, "%s; %zu such lines are passed over\n", sum.note, sum.n_corrupt);
    if (page->n_rows == 0)
        return vb_fail(err, VB_E_INPUT,
                       "%s: has no record; 'vrambench sweep FILE.ini --out DIR' writes some", from);
    vb_page_sort(page);
    return VB_OK;
}

/* Copies the records of the stack that no later one of the same point replaces. */
static size_t gather(const struct vb_rows *rows, struct vb_record *to,
                     const struct vb_page_stack *stack)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const struct vb_record *record = &rows->items[i];
        if (vb_page_is_of(stack, record) &&
            vb_rows_find(rows, &record->point, record->device) == record)
            to[n++] = *record;
    }
    return n;
}

static enum vb_status draw(const char *from, struct vb_page *page, struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    struct vb_rows rows;
    if (page->n_records > MOST_CHARTED) {
        page->charts.note = "There are no charts: these are too many records for them";
        return VB_OK;
    }
    enum vb_status status = vb_journal_read(from, &arena, &rows, err);
    struct vb_record *own =
        status == VB_OK ? vb_arena_alloc(&arena, rows.n + 1, sizeof *own) : NULL;
    if (status == VB_OK && own == NULL)
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for charts");
    for (uint32_t i = 0; i < page->n_stacks && status == VB_OK; i++) {
        const size_t n = gather(&rows, own, &page->stacks[i]);
        status = vb_page_draw(own, n, i, &page->arena, &page->charts, err);
    }
    vb_arena_clear(&arena);
    return status;
}

static enum vb_status read_plans(const char *text, uint32_t *out, struct vb_error *err)
{
    char *end = NULL;
    *out = CLI_USUAL_PLANS;
    if (text == NULL)
        return VB_OK;
    const unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < 1 || value > CLI_MOST_PLANS)
        return vb_fail(err, VB_E_INPUT, "--plans is '%.40s', expected 1 to %d", text,
                       CLI_MOST_PLANS);
    *out = (uint32_t)value;
    return VB_OK;
}

static enum vb_status report(const char *from, const struct options *options, struct vb_error *err)
{
    struct vb_page page = { 0 };
    struct vb_text text = { 0 };
    char folder[PATH_MAX], path[PATH_MAX + 16];
    uint32_t n_plans = 0;
    enum vb_status status = read_plans(options->plans, &n_plans, err);
    if (status == VB_OK)
        status = name_folder(from, folder, sizeof folder, &page, err);
    if (status == VB_OK)
        status = read_page(from, &page, err);
    if (status == VB_OK)
        status = cli_report_asks(folder, n_plans, &page, err);
    if (status == VB_OK)
        status = draw(from, &page, err);
    if (status == VB_OK)
        status = vb_page_append(&page, &text, err);
    if (options->out != NULL)
        (void)snprintf(path, sizeof path, "%s", options->out);
    else
        (void)snprintf(path, sizeof path, "%s/report.html", folder);
    if (status == VB_OK)
        status = vb_file_write(path, vb_text_data(&text), text.length, err);
    if (status == VB_OK)
        (void)fprintf(stderr, "report: %s, %zu points, %zu that can be asked about\n",
                      options->out != NULL ? path : from, page.n_rows, page.n_asks);
    vb_text_clear(&text);
    vb_page_clear(&page);
    return status;
}

int cmd_report(int argc, char **argv)
{
    struct options options = { 0 };
    const struct cli_option table[] = {
        { "out", "FILE", "or -o: the page; RESULTS/report.html", &options.out, NULL },
        { "plans", "N", "planned for the calculator beside the points themselves; 240",
          &options.plans, NULL },
    };
    const struct cli_command command = {
        .usage = "vrambench report RESULTS [-o FILE]",
        .summary =
            "Renders a results folder as one page for a browser, which asks nobody for\n"
            "anything: charts, tables to sort and to filter, where every figure comes from,\n"
            "and a calculator of what fits that answers as 'vrambench estimate' does, from\n"
            "the calibrations of what was measured or the plans for what was not. The same\n"
            "folder gives the same page.",
        .examples = "  vrambench sweep sweeps/v5s.ini --out runs/v5s\n"
                    "  vrambench report runs/v5s -o report.html",
        .options = table,
        .n_options = sizeof table / sizeof *table,
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    const enum vb_status status = report(positional.items[0], &options, &err);
    return status == VB_OK ? EXIT_SUCCESS : cli_fail(status, &err);
}
