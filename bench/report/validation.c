/* SPDX-License-Identifier: Apache-2.0 */
#include "report/validation.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "report/validation_parts.h"

enum { N_WORST = 10, LINE_WIDTH = 79, MAX_GROUPS_SHOWN = 40 };

const char *const vb_validation_format_names[3] = { "md", "csv", "json" };

const struct vb_prediction *vb_validation_predictions(const struct vb_validation *validation,
                                                      struct vb_arena *arena)
{
    struct vb_prediction *items = vb_arena_alloc(arena, validation->n_judged + 1, sizeof *items);
    size_t n = 0;
    for (size_t i = 0; i < validation->n && items != NULL; i++) {
        if (validation->rows[i].state == VB_JUDGED)
            items[n++] = validation->rows[i].prediction;
    }
    return items;
}

static double gib(double bytes)
{
    return bytes / 1073741824.0;
}

const char *vb_validation_short_model(const struct vb_judged *row)
{
    const char *slash = strrchr(row->run->model, '/');
    return slash != NULL ? slash + 1 : row->run->model;
}

static void append_row(const struct vb_judged *row, struct vb_text *out)
{
    const struct vb_published *run = row->run;
    char planned[16] = "no fit", error[16] = "", size[24];
    (void)snprintf(size, sizeof size, "%" PRIu32 "@%" PRIu32, run->batch, run->imgsz);
    if (row->state == VB_JUDGED) {
        (void)snprintf(planned, sizeof planned, "%.2f", gib(row->prediction.planned_bytes));
        (void)snprintf(error, sizeof error, "%+.1f %%", vb_prediction_error(&row->prediction));
    }
    vb_text_append(out,
                   "| %5" PRIu32 " | %-1.1s | %-12.12s | %-8.8s | %9.20s"
                   " | %6s | %6.2f | %8s |\n",
                   run->line, run->trust, row->gpu, vb_validation_short_model(row), size, planned,
                   gib(run->bytes), error);
}

static const char row_header[] =
    "|  line | t | GPU          | model    | bat@imgsz | plan   | run    | error    |\n"
    "| ----: | - | :----------- | :------- | --------: | -----: | -----: | -------: |\n";

static void append_rows(const struct vb_validation *validation, struct vb_text *out)
{
    if (validation->n_judged + validation->n_no_fit == 0)
        return;
    vb_text_append(out, "%s", row_header);
    for (size_t i = 0; i < validation->n; i++) {
        enum vb_judged_state state = validation->rows[i].state;
        if (state == VB_JUDGED || state == VB_JUDGED_NO_FIT)
            append_row(&validation->rows[i], out);
    }
    vb_text_append(out, "\nline: of the file; t: trust; GiB: planned after the run's steps, and as "
                        "the run\nprinted it\n");
}

static int by_reason(const void *a, const void *b)
{
    const struct vb_remark *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

struct vb_remark *vb_validation_remarks(const struct vb_validation *validation, bool notes,
                                        struct vb_arena *arena, size_t *n)
{
    struct vb_remark *remarks = vb_arena_alloc(arena, validation->n + 1, sizeof *remarks);
    *n = 0;
    for (size_t i = 0; i < validation->n && remarks != NULL; i++) {
        const struct vb_judged *row = &validation->rows[i];
        const char *text = notes ? row->note : row->reason;
        if (text != NULL && (row->state == VB_SKIPPED) != notes)
            remarks[(*n)++] = (struct vb_remark){ text, row->run->line };
    }
    if (*n > 0)
        qsort(remarks, *n, sizeof *remarks, by_reason);
    return remarks;
}

/* A blank and a word, on the next line where they do not fit. */
static void append_word(const char *word, size_t length, size_t *column, struct vb_text *out)
{
    if (*column + 1 + length > LINE_WIDTH) {
        vb_text_append(out, "\n ");
        *column = 1;
    }
    vb_text_append(out, " %.*s", (int)length, word);
    *column += 1 + length;
}

/* "- 3: the reason (lines 4, 8, 15)", broken at blanks. */
static void append_group(const struct vb_remark *remarks, size_t n, struct vb_text *out)
{
    size_t before = out->length;
    vb_text_append(out, "- %zu:", n);
    size_t column = out->length - before;
    for (const char *word = remarks[0].text; *word != '\0';) {
        size_t length = strcspn(word, " ");
        append_word(word, length, &column, out);
        word += length + strspn(word + length, " ");
    }
    const char *lines = n > 1 ? "(lines" : "(line";
    append_word(lines, strlen(lines), &column, out);
    for (size_t i = 0; i < n; i++) {
        char item[24];
        int width =
            snprintf(item, sizeof item, "%" PRIu32 "%s", remarks[i].line, i + 1 < n ? "," : ")");
        append_word(item, (size_t)width, &column, out);
    }
    vb_text_append(out, "\n");
}

static bool append_remarks(const struct vb_validation *validation, bool notes,
                           struct vb_arena *arena, struct vb_text *out)
{
    size_t n = 0;
    const struct vb_remark *remarks = vb_validation_remarks(validation, notes, arena, &n);
    if (remarks == NULL)
        return false;
    if (n > 0)
        vb_text_append(out, notes ? "\nAssumed for %zu rows:\n\n" : "\nSkipped, %zu rows:\n\n", n);
    for (size_t first = 0, next; first < n; first = next) {
        next = first + 1;
        while (next < n && strcmp(remarks[first].text, remarks[next].text) == 0)
            next++;
        append_group(&remarks[first], next - first, out);
    }
    return true;
}

static void append_accuracy(const char *name, const struct vb_accuracy *a, struct vb_text *out)
{
    vb_text_append(out, "| %-21.21s | %5zu | %6.1f | %6.1f | %6.1f | %+7.1f | %+7.1f |\n", name,
                   a->n, a->median_ape, a->mean_ape, a->p90_ape, a->bias, a->mean_bias);
}

static enum vb_status append_statistics(const struct vb_prediction *items, size_t n,
                                        struct vb_arena *arena, struct vb_text *out,
                                        struct vb_error *err)
{
    struct vb_accuracy all;
    enum vb_status status = vb_accuracy_of(items, n, &all, err);
    if (status != VB_OK || n == 0)
        return status;
    vb_text_append(out,
                   "\nErrors in %%: of their size the median, the mean and the 90th percentile; "
                   "with\ntheir sign the median and the mean.\n\n"
                   "|                       |  rows | median |   mean |  90 %%  |  median |   "
                   " mean |\n"
                   "| :-------------------- | ----: | -----: | -----: | -----: | ------: | "
                   "------: |\n");
    append_accuracy("all", &all, out);
    for (int key = 0; key < VB_N_GROUP_KEYS; key++) {
        struct vb_accuracy_group *groups = NULL;
        size_t n_groups = 0;
        status = vb_accuracy_by(items, n, (enum vb_group_key)key, arena, &groups, &n_groups, err);
        for (size_t i = 0; i < n_groups && i < MAX_GROUPS_SHOWN && status == VB_OK; i++) {
            char name[80];
            (void)snprintf(name, sizeof name, "%s %s", vb_group_key_names[key],
                           groups[i].name[0] != '\0' ? groups[i].name : "not told");
            append_accuracy(name, &groups[i].accuracy, out);
        }
        if (status != VB_OK)
            return status;
    }
    return vb_validation_append_coverage(items, n, arena, out, err);
}

static int by_error(const void *a, const void *b)
{
    double x = fabs(vb_prediction_error(&(*(const struct vb_judged *const *)a)->prediction));
    double y = fabs(vb_prediction_error(&(*(const struct vb_judged *const *)b)->prediction));
    return (x < y) - (x > y);
}

static bool append_worst(const struct vb_validation *validation, struct vb_arena *arena,
                         struct vb_text *out)
{
    const struct vb_judged **rows = vb_arena_alloc(arena, validation->n + 1, sizeof *rows);
    size_t n = 0;
    for (size_t i = 0; i < validation->n && rows != NULL; i++) {
        if (validation->rows[i].state == VB_JUDGED)
            rows[n++] = &validation->rows[i];
    }
    if (rows == NULL || n <= N_WORST)
        return rows != NULL;
    qsort(rows, n, sizeof *rows, by_error);
    vb_text_append(out, "\nThe worst %d:\n\n%s", N_WORST, row_header);
    for (size_t i = 0; i < N_WORST; i++)
        append_row(rows[i], out);
    return true;
}

static enum vb_status append_md(const struct vb_validation *validation, struct vb_arena *arena,
                                struct vb_text *out, struct vb_error *err)
{
    const struct vb_prediction *items = vb_validation_predictions(validation, arena);
    bool has_room = items != NULL;
    append_rows(validation, out);
    vb_validation_append_ran_out(validation, out);
    has_room = has_room && append_remarks(validation, true, arena, out) &&
               append_remarks(validation, false, arena, out);
    if (!has_room)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a table");
    enum vb_status status = append_statistics(items, validation->n_judged, arena, out, err);
    if (status == VB_OK && !append_worst(validation, arena, out))
        status = vb_fail(err, VB_E_SYSTEM, "no host memory left for a table");
    vb_text_append(out, "\n%zu rows judged, %zu skipped, %zu planned not to fit",
                   validation->n_judged, validation->n_skipped, validation->n_no_fit);
    if (validation->n_ran_out > 0)
        vb_text_append(out, ", %zu ran out", validation->n_ran_out);
    if (validation->n_left_out > 0)
        vb_text_append(out, ", %zu left out by filters", validation->n_left_out);
    vb_text_append(out, "\n");
    return status;
}

static void append_csv(const struct vb_validation *validation, struct vb_text *out)
{
    static const char *const states[] = { "judged", "no fit", "ran out", "skipped" };
    vb_text_append(out, "line,state,planned_bytes,published_bytes,error_percent,batch,imgsz,trust,"
                        "gpu,model,family,code_version,torch,repository,reason,note,"
                        "low90_bytes,high90_bytes,probability,verdict\n");
    for (size_t i = 0; i < validation->n; i++) {
        const struct vb_judged *row = &validation->rows[i];
        const struct vb_published *run = row->run;
        vb_text_append(out, "%" PRIu32 ",%s,", run->line, states[row->state]);
        if (row->state == VB_JUDGED)
            vb_text_append(out, "%.0f,%.0f,%.3f", row->prediction.planned_bytes, run->bytes,
                           vb_prediction_error(&row->prediction));
        else if (row->state == VB_JUDGED_NO_FIT)
            vb_text_append(out, ",%.0f,", run->bytes);
        else if (row->state == VB_JUDGED_RAN_OUT)
            vb_text_append(out, "%.0f,,", row->prediction.planned_bytes);
        else
            vb_text_append(out, ",,");
        if (run->batch > 0)
            vb_text_append(out, ",%" PRIu32, run->batch);
        else
            vb_text_append(out, ",");
        if (run->imgsz > 0)
            vb_text_append(out, ",%" PRIu32, run->imgsz);
        else
            vb_text_append(out, ",");
        const char *const cells[] = { run->trust,
                                      row->gpu[0] != '\0' ? row->gpu : run->gpu,
                                      run->model,
                                      run->family,
                                      run->version,
                                      run->torch,
                                      run->repository,
                                      row->reason != NULL ? row->reason : "",
                                      row->note != NULL ? row->note : "" };
        for (size_t c = 0; c < sizeof cells / sizeof *cells; c++) {
            vb_text_append(out, ",");
            vb_csv_append(cells[c], out);
        }
        if (row->widening > 0)
            vb_text_append(out, ",%.0f,%.0f,%.6f,%s\n", row->prediction.interval90.low,
                           row->prediction.interval90.high, row->estimate.probability,
                           vb_verdict_names[row->estimate.verdict]);
        else
            vb_text_append(out, ",,,,\n");
    }
}

enum vb_status vb_validation_append(const struct vb_validation *validation,
                                    enum vb_validation_format format, struct vb_text *out,
                                    struct vb_error *err)
{
    struct vb_arena arena = { 0 };
    enum vb_status status = VB_OK;
    switch (format) {
    case VB_VALIDATION_MD:
        status = append_md(validation, &arena, out, err);
        break;
    case VB_VALIDATION_CSV:
        append_csv(validation, out);
        break;
    case VB_VALIDATION_JSON:
        status = vb_validation_append_json(validation, &arena, out, err);
        break;
    }
    vb_arena_clear(&arena);
    if (status == VB_OK && out->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a table");
    return status;
}
