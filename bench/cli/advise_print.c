/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/advise_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum { CHANGE_COLUMNS = 26, LINE_COLUMNS = 80 };
#define GIB 1073741824.0

enum vb_status cli_read_table_format(const char *text, enum vb_table_format *out,
                                     struct vb_error *err)
{
    *out = VB_TABLE_MD;
    for (int i = 0; i < 4 && text != NULL; i++) {
        if (strcmp(vb_table_format_names[i], text) == 0) {
            *out = (enum vb_table_format)i;
            return VB_OK;
        }
    }
    if (text == NULL)
        return VB_OK;
    return vb_fail(err, VB_E_INPUT, "--format is '%s', expected md, csv, json or jsonl", text);
}

const char *cli_probability_text(double probability, char *text, size_t room)
{
    if (probability <= 0)
        return "";
    if (probability < 0.001)
        return "< 0.001";
    if (probability > 0.999)
        return "> 0.999";
    (void)snprintf(text, room, "%.3f", probability);
    return text;
}

/* `end` stands at the end of each line but the last, `head` before the first and, as blanks and
 * `more` of them, before the others. */
static void print_lines(const char *head, const char *text, const char *end, int more)
{
    int column = printf("%s", head);
    const int indent = column + more, last = LINE_COLUMNS - (int)strlen(end);
    bool is_first = true;
    while (*text != '\0') {
        int word = (int)strcspn(text, " ");
        if (!is_first && column + 1 + word > last) {
            printf("%s\n%*s", end, indent, "");
            column = indent;
        } else if (!is_first) {
            column += printf(" ");
        }
        column += printf("%.*s", word, text);
        text += word + (text[word] == ' ');
        is_first = false;
    }
    printf("\n");
}

void cli_print_wrapped(const char *head, const char *text)
{
    print_lines(head, text, "", 0);
}

void cli_print_command(const char *head, const char *command)
{
    print_lines(head, command, " \\", 4);
}

/* As much of the text as fits a cell, broken at a blank; moves `*text` on. */
static int cell(const char **text)
{
    int length = (int)strlen(*text);
    if (length <= CHANGE_COLUMNS)
        return length;
    for (length = CHANGE_COLUMNS; length > 0 && (*text)[length] != ' '; length--)
        ;
    return length > 0 ? length : CHANGE_COLUMNS;
}

/* The allocator's settings say themselves whose they are. */
static const char *shorten(const char *changes, char *text, size_t room)
{
    static const char key[] = "alloc_conf=";
    const char *at = strstr(changes, key);
    if (changes[0] == '\0')
        return "as asked";
    if (at == NULL)
        return changes;
    (void)snprintf(text, room, "%.*s%s", (int)(at - changes), changes, at + strlen(key));
    return text;
}

static void print_row(const struct cli_advice_row *row)
{
    char shortened[sizeof row->changes];
    const char *text = shorten(row->changes, shortened, sizeof shortened);
    char probability[16], rate[16] = "";
    int length = cell(&text);
    if (row->answer.images_per_second > 0)
        (void)snprintf(rate, sizeof rate, "%.*f", row->answer.images_per_second < 10 ? 1 : 0,
                       row->answer.images_per_second);
    printf("| %2" PRIu32 " | %-8s | %-*.*s | %6.2f | %7s | %5s | %4" PRIu32 " |\n", row->rank,
           row->class != NULL ? row->class : "", CHANGE_COLUMNS, length, text,
           row->answer.need_bytes / GIB,
           cli_probability_text(row->answer.probability, probability, sizeof probability), rate,
           row->effective_batch);
    for (text += length; *text != '\0'; text += length) {
        text += *text == ' ';
        length = cell(&text);
        printf("|    |          | %-*.*s |        |         |       |      |\n", CHANGE_COLUMNS,
               length, text);
    }
}

static size_t count(const struct cli_advice_rows *rows, enum cli_row_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++)
        n += rows->items[i].kind == kind;
    return n;
}

static void print_table(const struct cli_advice_rows *rows, enum cli_row_kind kind,
                        const char *heading)
{
    if (count(rows, kind) == 0)
        return;
    printf("\n%s\n\n"
           "|  # | cost     | change                     |    GiB | P(fits) | img/s | eff. |\n"
           "| -: | :------- | :------------------------- | -----: | ------: | ----: | ---: |\n",
           heading);
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->items[i].kind == kind)
            print_row(&rows->items[i]);
    }
}

/* Of a walk the last step's: it has all of them. */
static void print_commands(const struct cli_advice_rows *rows, enum cli_row_kind kind)
{
    if (count(rows, kind) == 0)
        return;
    printf("\nto type:\n");
    for (size_t i = 0; i < rows->n; i++) {
        const struct cli_advice_row *row = &rows->items[i];
        char head[16];
        if (row->kind != kind || (kind == CLI_ROW_STEP && i + 1 < rows->n))
            continue;
        (void)snprintf(head, sizeof head, "%4" PRIu32 "  ", row->rank);
        cli_print_command(head, row->arguments);
        if (row->note[0] != '\0')
            cli_print_wrapped("    # ", row->note);
    }
}

static void print_now(const struct cli_printed_advice *advice)
{
    const struct vb_advise_answer *now = advice->now;
    printf("now: %.2f GiB of %.2f GiB usable", now->need_bytes / GIB, now->usable_bytes / GIB);
    if (now->images_per_second > 0)
        printf(", %.0f images/s", now->images_per_second);
    printf(", effective batch %" PRIu32 "\n",
           vb_effective_batch(&advice->advisor->question->point,
                              advice->advisor->recipe.trainer.nominal_batch));
}

static void print_end(const struct cli_printed_advice *advice)
{
    const struct cli_answer *now = &advice->advisor->now;
    printf("\nimg/s are modelled (a roofline: no GPU is quicker); eff.: images between two\n"
           "steps of the optimizer\n");
    if (now->reason == NULL)
        printf("P(fits) as 'vrambench estimate' has it, risk %g %%\n",
               advice->advisor->question->asked.risk * 100);
    else
        cli_print_wrapped("P(fits) is not known: ", now->reason);
}

static void print_md(const struct cli_printed_advice *advice)
{
    const struct cli_advice_rows *rows = advice->rows;
    if (advice->is_walk) {
        print_table(rows, CLI_ROW_STEP, "step by step, each with those before it:");
        print_commands(rows, CLI_ROW_STEP);
        print_end(advice);
        return;
    }
    cli_answer_print_why(&advice->advisor->question->asked, &advice->advisor->now);
    if (advice->now->fits) {
        printf("\nIt fits as it is: nothing needs to be changed.\n");
        return;
    }
    printf("\n");
    print_now(advice);
    print_table(rows, CLI_ROW_FITS, "what makes it fit, cheapest first:");
    print_table(rows, CLI_ROW_STEP, "the first of them, change by change:");
    print_commands(rows, CLI_ROW_FITS);
    print_table(rows, CLI_ROW_HELPS,
                "not enough alone, at the strongest (others save little or nothing alone):");
    print_table(rows, CLI_ROW_NEAREST, "NOTHING FITS; what comes nearest is all of it at once:");
    print_commands(rows, CLI_ROW_NEAREST);
    print_end(advice);
}

enum vb_status cli_print_advice(const struct cli_printed_advice *advice,
                                enum vb_table_format format, struct vb_error *err)
{
    if (format != VB_TABLE_MD)
        return cli_print_advice_data(advice, format, err);
    print_md(advice);
    return VB_OK;
}
