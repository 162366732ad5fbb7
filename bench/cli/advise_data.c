/* SPDX-License-Identifier: Apache-2.0 */
/* Advice for programs. */

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/csv.h"
#include "cli/advise_print.h"
#include "cli/json_print.h"

static void set_real(json_t *object, const char *key, double value)
{
    if (value > 0)
        (void)json_object_set_new(object, key, json_real(value));
}

static void set_bytes(json_t *object, const char *key, double value)
{
    if (value > 0)
        (void)json_object_set_new(object, key, json_integer((json_int_t)llround(value)));
}

static void set_answer(json_t *object, const struct vb_advise_answer *answer)
{
    (void)json_object_set_new(object, "fits", json_boolean(answer->fits));
    set_bytes(object, "need_bytes", answer->need_bytes);
    set_bytes(object, "usable_bytes", answer->usable_bytes);
    set_real(object, "probability", answer->probability);
    set_real(object, "images_per_second", answer->images_per_second);
    if (answer->images_per_second > 0)
        (void)json_object_set_new(object, "time_is_modelled", json_true());
}

static json_t *row_object(const struct cli_printed_advice *advice, const struct cli_advice_row *row)
{
    json_t *object = json_pack("{s:s,s:i,s:s,s:s,s:s,s:s}", "kind", cli_row_kind_names[row->kind],
                               "rank", (int)row->rank, "changes", row->changes, "gpu", row->gpu,
                               "arguments", row->arguments, "note", row->note);
    if (object == NULL)
        return NULL;
    if (row->class != NULL)
        (void)json_object_set_new(object, "cost", json_string(row->class));
    set_answer(object, &row->answer);
    set_bytes(object, "need_before_bytes", advice->now->need_bytes);
    set_real(object, "images_per_second_before", advice->now->images_per_second);
    (void)json_object_set_new(object, "effective_batch", json_integer(row->effective_batch));
    return object;
}

static bool print_json(const struct cli_printed_advice *advice)
{
    const struct vb_point *point = &advice->advisor->question->point;
    json_t *rows = json_array();
    json_t *root =
        json_pack("{s:s,s:i,s:i,s:s,s:i,s:o}", "model", point->model, "batch", (int)point->batch,
                  "imgsz", (int)point->imgsz, "gpu", cli_advisor_gpu(advice->advisor, VB_ASKED_GPU),
                  "plans", (int)advice->n_plans, "rows", rows);
    if (root == NULL)
        return false;
    set_answer(root, advice->now);
    for (size_t i = 0; i < advice->rows->n; i++)
        (void)json_array_append_new(rows, row_object(advice, &advice->rows->items[i]));
    return cli_print_object(root, JSON_INDENT(2));
}

/* Nothing where it is not known. */
static void print_number(double value, int digits)
{
    if (value > 0)
        printf("%.*f", digits, value);
    printf(",");
}

static void print_text(const char *text, const char *end)
{
    struct vb_text cell = { 0 };
    vb_csv_append(text, &cell);
    printf("%s%s", vb_text_data(&cell), end);
    vb_text_clear(&cell);
}

static void print_csv(const struct cli_printed_advice *advice)
{
    printf("kind,rank,cost,changes,gpu,fits,need_before_bytes,need_bytes,usable_bytes,probability,"
           "images_per_second_before,images_per_second,effective_batch,arguments,note\n");
    for (size_t i = 0; i < advice->rows->n; i++) {
        const struct cli_advice_row *row = &advice->rows->items[i];
        printf("%s,%" PRIu32 ",%s,%s,%s,%s,", cli_row_kind_names[row->kind], row->rank,
               row->class != NULL ? row->class : "", row->changes, row->gpu,
               row->answer.fits ? "true" : "false");
        print_number(advice->now->need_bytes, 0);
        print_number(row->answer.need_bytes, 0);
        print_number(row->answer.usable_bytes, 0);
        print_number(row->answer.probability, 6);
        print_number(advice->now->images_per_second, 3);
        print_number(row->answer.images_per_second, 3);
        printf("%" PRIu32 ",", row->effective_batch);
        print_text(row->arguments, ",");
        print_text(row->note, "\n");
    }
}

enum vb_status cli_print_advice_data(const struct cli_printed_advice *advice,
                                     enum vb_table_format format, struct vb_error *err)
{
    bool is_written = true;
    if (format == VB_TABLE_CSV)
        print_csv(advice);
    else if (format == VB_TABLE_JSON)
        is_written = print_json(advice);
    for (size_t i = 0; format == VB_TABLE_JSONL && is_written && i < advice->rows->n; i++)
        is_written = cli_print_object(row_object(advice, &advice->rows->items[i]), JSON_COMPACT);
    return is_written ? VB_OK : vb_fail(err, VB_E_SYSTEM, "the advice cannot be written");
}
