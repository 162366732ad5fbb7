/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/compare.h"

enum { EXIT_REGRESSION = 1, EXIT_INCONCLUSIVE = 4 };

void cli_add_compare_options(struct cli_compare *compare, struct cli_option *table, size_t *n)
{
    const struct cli_option options[CLI_N_COMPARE_OPTIONS] = {
        { "memory", "1%", "more memory than that is a regression; 1%", &compare->memory, NULL },
        { "time", "3%", "a step slower than that is; 3%", &compare->time, NULL },
        { "all", NULL, "list points that are the same too", &compare->all, NULL },
        { "json", NULL, "one JSON object", &compare->json, NULL },
        { "markdown", NULL, "for a pull request", &compare->markdown, NULL },
        { "junit", "FILE", "write a test case a point, as XML", &compare->junit, NULL },
    };
    memcpy(&table[*n], options, sizeof options);
    *n += CLI_N_COMPARE_OPTIONS;
}

static enum vb_status read_threshold(const char *name, const char *text, double *out,
                                     struct vb_error *err)
{
    char *end = NULL;
    if (text == NULL)
        return VB_OK;
    const double percent = strtod(text, &end);
    if (end == text || strcmp(end, "%") != 0 || !(percent >= 0 && percent <= 1000))
        return vb_fail(err, VB_E_INPUT, "--%s is '%.40s', expected a percentage as 1%%", name,
                       text);
    *out = percent / 100;
    return VB_OK;
}

static enum vb_status read_thresholds(const struct cli_compare *compare, struct vb_thresholds *out,
                                      struct vb_error *err)
{
    *out = (struct vb_thresholds){ .memory = 0.01, .time = 0.03 };
    enum vb_status status = read_threshold("memory", compare->memory, &out->memory, err);
    return status == VB_OK ? read_threshold("time", compare->time, &out->time, err) : status;
}

enum vb_status cli_check_compare(const struct cli_compare *compare, struct vb_error *err)
{
    struct vb_thresholds thresholds;
    if (compare->json != NULL && compare->markdown != NULL)
        return vb_fail(err, VB_E_INPUT, "--json and --markdown: stdout is for one of them");
    return read_thresholds(compare, &thresholds, err);
}

enum vb_status cli_read_run(const char *path, struct vb_arena *arena, struct vb_rows *rows,
                            struct vb_error *err)
{
    enum vb_status status = vb_journal_read(path, arena, rows, err);
    if (status != VB_OK)
        return status;
    if (rows->n_corrupt > 0)
        return vb_fail(err, VB_E_INPUT, "%.450s: run that sweep again with --resume", rows->note);
    if (rows->n == 0)
        return vb_fail(err, VB_E_INPUT,
                       "%.300s: no records there: expected a sweep's folder, or its rows.jsonl",
                       path);
    return VB_OK;
}

static enum vb_status write_junit(const struct vb_comparison *comparison,
                                  const struct vb_compare_texts *texts, const char *path,
                                  struct vb_error *err)
{
    struct vb_text text = { 0 };
    enum vb_status status = vb_compare_append(comparison, texts, VB_COMPARE_JUNIT, &text, err);
    if (status == VB_OK)
        status = vb_file_write(path, vb_text_data(&text), text.length, err);
    vb_text_clear(&text);
    return status;
}

static enum vb_status print(const struct cli_compare *compare,
                            const struct vb_comparison *comparison,
                            const struct vb_compare_texts *texts, struct vb_error *err)
{
    const enum vb_compare_format format = compare->json != NULL       ? VB_COMPARE_JSON
                                          : compare->markdown != NULL ? VB_COMPARE_MARKDOWN
                                                                      : VB_COMPARE_TEXT;
    struct vb_text text = { 0 };
    enum vb_status status = VB_OK;
    if (compare->junit != NULL)
        status = write_junit(comparison, texts, compare->junit, err);
    if (status == VB_OK)
        status = vb_compare_append(comparison, texts, format, &text, err);
    if (status == VB_OK)
        (void)fputs(vb_text_data(&text), stdout);
    vb_text_clear(&text);
    return status;
}

enum vb_status cli_compare_runs(const struct cli_compare *compare, const char *base,
                                const char *candidate, int *exit_status, struct vb_error *err)
{
    const struct vb_compare_texts texts = { base, candidate, compare->all != NULL };
    struct vb_thresholds thresholds;
    struct vb_comparison comparison;
    struct vb_arena arena = { 0 };
    struct vb_rows was = { 0 }, is = { 0 };
    enum vb_status status = read_thresholds(compare, &thresholds, err);
    if (status == VB_OK)
        status = cli_read_run(base, &arena, &was, err);
    if (status == VB_OK)
        status = cli_read_run(candidate, &arena, &is, err);
    const struct vb_side base_side = { base, was.items, was.n };
    const struct vb_side candidate_side = { candidate, is.items, is.n };
    if (status == VB_OK)
        status = vb_compare(&base_side, &candidate_side, &thresholds, &arena, &comparison, err);
    if (status == VB_OK)
        status = print(compare, &comparison, &texts, err);
    if (status == VB_OK)
        *exit_status = comparison.outcome == VB_CHANGE_WORSE     ? EXIT_REGRESSION
                       : comparison.outcome == VB_CHANGE_UNCLEAR ? EXIT_INCONCLUSIVE
                                                                 : EXIT_SUCCESS;
    vb_arena_clear(&arena);
    return status;
}
