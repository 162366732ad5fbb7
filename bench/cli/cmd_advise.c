/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/advise_print.h"
#include "cli/advise_search.h"
#include "cli/commands.h"
#include "sweep/keys.h"

enum { MOST_STEPS = 63 };

struct options {
    struct cli_question_options question;
    const char *keep, *walk, *format;
};

static enum vb_status add_row(struct cli_advice_rows *rows, const struct cli_advice_row *row,
                              struct vb_error *err)
{
    struct cli_advice_row *items =
        vb_arena_grow(rows->arena, rows->items, rows->n, &rows->room, sizeof *items);
    if (items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the advice");
    rows->items = items;
    rows->items[rows->n++] = *row;
    return VB_OK;
}

static enum vb_status add_suggestions(const struct cli_advisor *advisor,
                                      const struct vb_suggestion *items, size_t n,
                                      enum cli_row_kind kind, struct cli_advice_rows *rows,
                                      struct vb_error *err)
{
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        struct cli_advice_row row;
        cli_advice_row(advisor, &items[i].candidate, &items[i].answer, &row);
        row.kind = kind;
        row.rank = (uint32_t)i + 1;
        row.class = vb_cost_class_names[items[i].class];
        if (kind == CLI_ROW_STEP && i > 0)
            cli_changes_text(advisor, &items[i - 1].candidate, &items[i].candidate, row.changes,
                             sizeof row.changes);
        status = add_row(rows, &row, err);
    }
    return status;
}

/* What the search found, as rows. */
static enum vb_status look(struct cli_advisor *advisor, struct vb_advice *advice,
                           struct cli_advice_rows *rows, struct vb_error *err)
{
    enum vb_status status = cli_advisor_search(advisor, rows->arena, advice, err);
    if (status != VB_OK || advice->now.fits)
        return status;
    status = add_suggestions(advisor, advice->items, advice->n, CLI_ROW_FITS, rows, err);
    if (status == VB_OK && advice->n_steps > 1)
        status = add_suggestions(advisor, advice->steps, advice->n_steps, CLI_ROW_STEP, rows, err);
    if (status == VB_OK)
        status = add_suggestions(advisor, advice->helps, advice->n_helps, CLI_ROW_HELPS, rows, err);
    if (status == VB_OK && advice->n == 0)
        status = add_suggestions(advisor, &advice->nearest, 1, CLI_ROW_NEAREST, rows, err);
    return status;
}

static enum vb_status advise(struct cli_advisor *advisor, enum vb_table_format format,
                             int *exit_status, struct vb_error *err)
{
    struct vb_advice *advice = vb_arena_alloc(&advisor->question->arena, 1, sizeof *advice);
    struct cli_advice_rows rows = { .arena = &advisor->question->arena };
    if (advice == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to look for advice");
    enum vb_status status = look(advisor, advice, &rows, err);
    const struct cli_printed_advice printed = { advisor, &advice->now, &rows, advice->n_plans,
                                                false };
    if (status == VB_OK)
        status = cli_print_advice(&printed, format, err);
    *exit_status = advice->now.fits || advice->n > 0 ? 0 : CLI_DOES_NOT_FIT;
    return status;
}

/* Sets "key=value"; "amp" is fp16, as the training commands name it. */
static enum vb_status set_step(char *step, struct vb_point *point, struct vb_error *err)
{
    char *value = strchr(step, '=');
    if (value == NULL)
        return vb_fail(err, VB_E_INPUT, "--walk has '%s', expected key=value", step);
    *value++ = '\0';
    const struct vb_option *key = vb_key_find(step);
    if (key == NULL) {
        const char *near = vb_option_nearest(vb_keys, vb_key_count, step);
        return vb_fail(err, VB_E_INPUT,
                       "--walk has no key '%s'%s%s; 'vrambench help keys' lists them", step,
                       near != NULL ? "; did you mean " : "", near != NULL ? near : "");
    }
    if (strcmp(step, "precision") == 0 && strcmp(value, "amp") == 0)
        value = "fp16";
    return vb_option_set(key, value, point, err);
}

/* The point as it is and after each step of the text. */
static enum vb_status read_steps(const struct cli_advisor *advisor, char *rest,
                                 struct vb_foreseen *steps, size_t *n, struct vb_error *err)
{
    enum vb_status status = VB_OK;
    steps[0] = (struct vb_foreseen){ { advisor->question->point, VB_ASKED_GPU }, true };
    *n = 1;
    for (char *step = strsep(&rest, ","); step != NULL && status == VB_OK;
         step = strsep(&rest, ",")) {
        if (*n > MOST_STEPS)
            return vb_fail(err, VB_E_INPUT, "--walk has more than %d steps", MOST_STEPS);
        steps[*n] = steps[*n - 1];
        status = set_step(step, &steps[*n].candidate.point, err);
        ++*n;
    }
    return status;
}

/* The row of a step; its text is what it changes of the step before. */
static enum vb_status add_step(struct cli_advisor *advisor, const struct vb_foreseen *steps,
                               size_t at, size_t n, struct cli_advice_rows *rows,
                               struct vb_error *err)
{
    const struct vb_candidate *candidate = &steps[at].candidate;
    struct vb_advise_answer answer;
    struct cli_advice_row row;
    cli_advisor_expect(advisor, &steps[at + 1], n - at - 1);
    enum vb_status status = cli_advisor_plan(advisor, candidate, true, &answer, err);
    if (status != VB_OK)
        return status;
    cli_advice_row(advisor, candidate, &answer, &row);
    cli_changes_text(advisor, &steps[at > 0 ? at - 1 : 0].candidate, candidate, row.changes,
                     sizeof row.changes);
    row.kind = CLI_ROW_STEP;
    row.rank = (uint32_t)at;
    return add_row(rows, &row, err);
}

static enum vb_status walk(struct cli_advisor *advisor, const char *text,
                           enum vb_table_format format, int *exit_status, struct vb_error *err)
{
    struct cli_advice_rows rows = { .arena = &advisor->question->arena };
    struct vb_foreseen *steps = vb_arena_alloc(rows.arena, MOST_STEPS + 1, sizeof *steps);
    char *copy = vb_arena_copy(rows.arena, text);
    size_t n = 0;
    if (steps == NULL || copy == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the walk");
    enum vb_status status = read_steps(advisor, copy, steps, &n, err);
    for (size_t i = 0; i < n && status == VB_OK; i++)
        status = add_step(advisor, steps, i, n, &rows, err);
    if (status != VB_OK)
        return status;
    const struct vb_advise_answer *last = &rows.items[rows.n - 1].answer;
    const struct cli_printed_advice printed = { advisor, &rows.items[0].answer, &rows, rows.n,
                                                true };
    *exit_status = last->fits ? 0 : CLI_DOES_NOT_FIT;
    return cli_print_advice(&printed, format, err);
}

static enum vb_status run(const struct options *options, int *exit_status, struct vb_error *err)
{
    struct cli_question question;
    struct cli_advisor *advisor = NULL;
    enum vb_table_format format;
    enum vb_status status = cli_question_open(&options->question, &question, err);
    if (status == VB_OK)
        status = cli_read_table_format(options->format, &format, err);
    if (status == VB_OK) {
        advisor = vb_arena_alloc(&question.arena, 1, sizeof *advisor);
        status = advisor == NULL
                     ? vb_fail(err, VB_E_SYSTEM, "no host memory left to look for advice")
                     : cli_advisor_open(&question, options->question.calibration, options->keep,
                                        advisor, err);
    }
    if (status == VB_OK)
        status = options->walk != NULL ? walk(advisor, options->walk, format, exit_status, err)
                                       : advise(advisor, format, exit_status, err);
    (void)fflush(stdout); /* to close waits for what was planned ahead */
    if (advisor != NULL)
        cli_advisor_close(advisor);
    cli_question_close(&question);
    return status;
}

static const char *summary(struct vb_text *text)
{
    vb_text_append(
        text, "Says why a training does not fit, and what to change so that it does, with the\n"
              "arguments to type. Cheapest first: a change of a dearer class comes after any\n"
              "number of cheaper ones, within a class the smaller number does, a chain's are\n"
              "added up:\n");
    for (size_t i = 0; i < vb_cost_table_size; i++)
        vb_text_append(text, "  %s\n", vb_cost_table[i]);
    vb_text_append(
        text, "Fits is what 'vrambench estimate' calls so; where no published run tells, that\n"
              "the plan does. Exit status: 0 something fits, or it does as it is; 1 nothing.");
    return vb_text_data(text);
}

int cmd_advise(int argc, char **argv)
{
    struct options options = { 0 };
    struct cli_option table[CLI_MAX_POINT_OPTIONS + CLI_N_QUESTION_OPTIONS + 3];
    struct vb_text text = { 0 };
    size_t n = 0;
    int exit_status = 0;
    cli_add_question_options(&options.question, table, &n);
    const struct cli_option own[] = {
        { "keep", "LIST", "what must stay: batch,imgsz", &options.keep, NULL },
        { "walk", "LIST", "no advice, but what these come to one after the other: key=value,...",
          &options.walk, NULL },
        { "format", "NAME", "md, csv, json or jsonl", &options.format, NULL },
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        table[n++] = own[i];
    const struct cli_command command = {
        .usage = "vrambench advise --model NAME --batch N --imgsz N --gpu NAME [options]",
        .summary = summary(&text),
        .examples =
            "  vrambench advise --model yolov5x --batch 32 --imgsz 1280 --precision fp32 \\\n"
            "      --mosaic on --mixup on --gpu rtx3090\n"
            "  vrambench advise --model yolov5x --batch 32 --imgsz 1280 --gpu rtx3090 \\\n"
            "      --walk precision=amp,batch=16,imgsz=640",
        .options = table,
        .n_options = n,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    bool goes_on = cli_begin(&command, argc, argv, &positional, &exit_status);
    vb_text_clear(&text);
    if (!goes_on)
        return exit_status;
    enum vb_status status = run(&options, &exit_status, &err);
    return status == VB_OK ? exit_status : cli_fail(status, &err);
}
