/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "base/csv.h"
#include "base/text.h"

/* Everything read, as "LINE[cell|cell]" and "LINE!fault", to be compared at once. */
static void show(const struct vb_csv *csv, struct vb_text *out)
{
    for (size_t r = 0; r < csv->n_rows; r++) {
        vb_text_append(out, "%u", csv->rows[r].line);
        if (csv->rows[r].fault != NULL) {
            vb_text_append(out, "!%s", csv->rows[r].fault);
            continue;
        }
        for (size_t c = 0; c < csv->n_columns; c++)
            vb_text_append(out, "%s%s", c == 0 ? "[" : "|", csv->rows[r].cells[c]);
        vb_text_append(out, "]");
    }
}

struct text_case {
    char label[48], text[96], shown[96];
};

ParameterizedTestParameters(csv, rows_are_read)
{
    static struct text_case cases[] = {
        { "plain", "a,b\n1,2\n3,4\n", "2[1|2]3[3|4]" },
        { "no newline at the end", "a,b\n1,2", "2[1|2]" },
        { "CRLF", "a,b\r\n1,2\r\n", "2[1|2]" },
        { "a lone CR is text", "a,b\n1\r,2\n", "2[1\r|2]" },
        { "byte-order mark",
          "\xef\xbb\xbf"
          "a,b\n1,2\n",
          "2[1|2]" },
        { "empty lines", "\n\na,b\n\n1,2\n\r\n\n3,4\n\n", "5[1|2]8[3|4]" },
        { "empty cells", "a,b,c\n,,\n", "2[||]" },
        { "quotes", "a,b\n\"1,5\",\"x\"\n", "2[1,5|x]" },
        { "doubled quotes", "a,b\n\"say \"\"hi\"\"\",\"\"\"\"\n", "2[say \"hi\"|\"]" },
        { "an empty quoted cell", "a,b\n\"\",2\n", "2[|2]" },
        { "newlines in quotes count", "a,b\n\"1\n2\",3\n4,5\n", "2[1\n2|3]4[4|5]" },
        { "a quote inside is text", "a,b\n15\" screen,2\n", "2[15\" screen|2]" },
        { "blanks are kept", "a,b\n 1 ,2\n", "2[ 1 |2]" },
        { "a quoted header", "\"a\",\" b \"\n1,2\n", "2[1|2]" },
        { "too few columns", "a,b\n1\n3,4\n", "2!1 columns, the header has 23[3|4]" },
        { "too many columns", "a,b\n1,2,3\n", "2!3 columns, the header has 2" },
        { "a quote never closed", "a,b\n\"1,2\n3,4\n",
          "2!a quote is opened and never closed3[3|4]" },
        { "text behind a quote", "a,b\n\"1\"x,2\n3,4\n",
          "2!text between a closing quote and the next comma3[3|4]" },
        { "no rows", "a,b\n", "" },
    };
    return cr_make_param_array(struct text_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct text_case *c, csv, rows_are_read)
{
    struct vb_arena arena = { 0 };
    struct vb_csv csv;
    struct vb_error err = { 0 };
    struct vb_text shown = { 0 };
    char *text = strdup(c->text);
    enum vb_status status = vb_csv_parse("a.csv", text, strlen(text), &arena, &csv, &err);
    cr_assert_eq(status, VB_OK, "%s: %s", c->label, err.text);
    show(&csv, &shown);
    cr_expect_str_eq(vb_text_data(&shown), c->shown, "%s: %s", c->label, vb_text_data(&shown));
    vb_text_clear(&shown);
    vb_arena_clear(&arena);
    free(text);
}

struct refused_case {
    char label[40], text[32];
    int bytes;
    char error[64];
};

ParameterizedTestParameters(csv, files_are_refused)
{
    static struct refused_case cases[] = {
        { "nothing", "", 0, "a.csv: empty" },
        { "only newlines", "\n\n", 2, "a.csv: empty" },
        { "only a mark", "\xef\xbb\xbf", 3, "a.csv: empty" },
        { "a 0 byte", "a,b\n1,\0", 7, "a.csv:2: a 0 byte" },
        { "two of a name", "\na,b, a\n", 8, "a.csv:2: two columns are called 'a'" },
        { "a column without a name", "a,,b\n", 5, "a.csv:1: column 2 has no name" },
        { "an open quote", "a,\"b\n", 5, "a.csv:1: the header: a quote is opened" },
    };
    return cr_make_param_array(struct refused_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct refused_case *c, csv, files_are_refused)
{
    struct vb_arena arena = { 0 };
    struct vb_csv csv;
    struct vb_error err = { 0 };
    char text[40] = { 0 };
    memcpy(text, c->text, sizeof c->text);
    cr_expect_eq(vb_csv_parse("a.csv", text, (size_t)c->bytes, &arena, &csv, &err), VB_E_INPUT,
                 "%s", c->label);
    cr_expect_eq(strncmp(err.text, c->error, strlen(c->error)), 0, "%s: %s", c->label, err.text);
    vb_arena_clear(&arena);
}

/* `head`, `n` times `body`, `tail`. */
static char *repeat(const char *head, const char *body, size_t n, const char *tail)
{
    size_t bytes = strlen(body);
    char *text = malloc(strlen(head) + n * bytes + strlen(tail) + 1);
    char *at = stpcpy(text, head);
    for (size_t i = 0; i < n; i++, at += bytes)
        memcpy(at, body, bytes);
    (void)strcpy(at, tail);
    return text;
}

struct long_case {
    char label[48], head[16], body[16];
    int n;
    char tail[16];
    int n_rows, n_faults; /* n_rows 0: not counted */
};

ParameterizedTestParameters(csv, long_texts_cost_their_length)
{
    static struct long_case cases[] = {
        { "the longest row", "a,b\n1,", "x", (64 << 10) - 2, "\n3,4\n", 2, 0 },
        { "one byte more", "a,b\n1,", "x", (64 << 10) - 1, "\n3,4\n", 2, 1 },
        { "10 MB on one line", "a,b\n1,", "x", 10000000, "\n3,4\n", 2, 1 },
        { "10 MB of commas", "a,b\n1,", ",", 10000000, "\n3,4\n", 2, 1 },
        { "10 MB in a quote", "a,b\n\"", "x", 10000000, "\",2\n3,4\n", 2, 1 },
        { "10 MB of quotes", "a,b\n\"", "\"\"", 5000000, "\n3,4\n", 2, 1 },
        { "a quote a line", "a,b\n", "\"\n", 3000000, "", 0, 0 },
        { "three quotes a line", "a,b\n", "\"\"\"\n", 2500001, "", 0, 0 },
        { "an open quote, then lines", "a,b\n\"", "1,2\n", 2000000, "", 2000000, 1 },
    };
    return cr_make_param_array(struct long_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct long_case *c, csv, long_texts_cost_their_length, .timeout = 60)
{
    struct vb_arena arena = { 0 };
    struct vb_csv csv;
    struct vb_error err = { 0 };
    char *text = repeat(c->head, c->body, (size_t)c->n, c->tail);
    int n_faults = 0;
    cr_assert_eq(vb_csv_parse("a.csv", text, strlen(text), &arena, &csv, &err), VB_OK, "%s: %s",
                 c->label, err.text);
    for (size_t i = 0; i < csv.n_rows; i++)
        n_faults += csv.rows[i].fault != NULL;
    if (c->n_rows > 0) {
        cr_expect_eq(csv.n_rows, (size_t)c->n_rows, "%s: %zu rows", c->label, csv.n_rows);
        cr_expect_eq(n_faults, c->n_faults, "%s: %d faults", c->label, n_faults);
        cr_expect_null(csv.rows[csv.n_rows - 1].fault, "%s: the last row", c->label);
    }
    vb_arena_clear(&arena);
    free(text);
}

Test(csv, columns_are_found_by_name)
{
    struct vb_arena arena = { 0 };
    struct vb_csv csv;
    struct vb_error err = { 0 };
    char text[] = "model, batch\nyolov5s,16\n";
    cr_assert_eq(vb_csv_parse("a.csv", text, strlen(text), &arena, &csv, &err), VB_OK);
    cr_expect_eq(vb_csv_column(&csv, "batch"), 1);
    cr_expect_eq(vb_csv_column(&csv, "Batch"), csv.n_columns);
    vb_arena_clear(&arena);
}
