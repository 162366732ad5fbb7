/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of both forms, and what two of them have otherwise. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/plan_diff.h"
#include "device/plan_rows.h"

#define HEADER "# cuDNN 91002, t4 (identity 00000000000000aa, compute capability 750)\n"
#define NEWER "# cuDNN 91900, t4 (identity 00000000000000aa, compute capability 750)\n"
#define OTHER_GPU "# cuDNN 91900, l4 (identity 00000000000000bb, compute capability 890)\n"
#define ROWS VB_PLAN_ROWS_COLUMNS "\n"
#define PACKED "n,c,h,w,k,kernel_h,kernel_w,stride,pad,dilation,groups,channels_last,fp32_forward\n"
#define SHAPE "2,3,8,8,4,3,3,1,1,1,1"
#define FORWARD "t4,forward,fp16,nchw," SHAPE
#define FILTER "t4,backward-filter,fp16,nchw," SHAPE

struct parse_case {
    char label[64];
    char text[700];
    unsigned status, damaged, n; /* answers that are read all the same */
};

ParameterizedTestParameters(plan_table, parses)
{
    static struct parse_case cases[] = {
        { "rows", HEADER ROWS FORWARD ",1,28,100,0,200,library\n" FILTER ",0,1,0,0,0,table\n",
          VB_OK, 0, 2 },
        { "a packed cell is an answer a rule", HEADER PACKED SHAPE ",0,5:10,,,,,,,,\n", VB_OK, 0,
          2 },
        { "comments and empty lines are no answers",
          HEADER "# made by: x\n\n" ROWS "\n# more\n" FORWARD ",1,28,1,1,1,library", VB_OK, 0, 1 },
        { "no columns, so no line is read", HEADER FORWARD ",1,28,1,1,1,library\n", VB_OK, 2, 0 },
        { "an empty file", "", VB_E_INPUT, 0, 0 },
        { "another file's first line", "gpu,engine\n", VB_E_INPUT, 0, 0 },
        { "a second table in one file", HEADER ROWS HEADER, VB_OK, 3, 0 },
        { "a line cut short", HEADER ROWS FORWARD ",1,28,100\n", VB_OK, 3, 0 },
        { "a cell too many", HEADER ROWS FORWARD ",1,28,1,1,1,library,x\n", VB_OK, 3, 0 },
        { "no such direction", HEADER ROWS "t4,sideways,fp16,nchw," SHAPE ",1,2,3,3,3,table\n",
          VB_OK, 3, 0 },
        { "no such source", HEADER ROWS FORWARD ",1,28,1,1,1,guess\n", VB_OK, 3, 0 },
        { "a workspace below 0", HEADER ROWS FORWARD ",1,28,-1,1,1,library\n", VB_OK, 3, 0 },
        { "a workspace beyond 63 bits",
          HEADER ROWS FORWARD ",1,28,9223372036854775808,1,1,library\n", VB_OK, 3, 0 },
        { "a rule that is no rule", HEADER ROWS FORWARD ",2,28,1,1,1,library\n", VB_OK, 3, 0 },
        { "no groups", HEADER ROWS "t4,forward,fp16,nchw,2,3,8,8,4,3,3,1,1,1,0,1,2,3,3,3,table\n",
          VB_OK, 3, 0 },
        { "what follows the damage is read",
          HEADER ROWS "rubbish\n" FORWARD ",1,28,1,1,1,library\n", VB_OK, 3, 1 },
        { "a packed line without its last cells", HEADER PACKED SHAPE ",0,5:10\n", VB_OK, 3, 2 },
        { "a packed cell without its workspace", HEADER PACKED SHAPE ",0,5,,,,,,,,\n", VB_OK, 3,
          0 },
        { "a packed cell too many", HEADER PACKED SHAPE ",0,,,,,,,,,,7:1\n", VB_OK, 3, 0 },
    };
    return cr_make_param_array(struct parse_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct parse_case *c, plan_table, parses)
{
    struct vb_plan_table table;
    struct vb_error err = { 0 };
    size_t damaged = 0;
    char text[700];
    memcpy(text, c->text, sizeof text);
    cr_expect(eq(uint, vb_plan_table_parse("a.csv", text, &table, &damaged, &err), c->status),
              "%s: %s", c->label, err.text);
    cr_expect(eq(sz, damaged, c->damaged), "%s", c->label);
    cr_expect(eq(sz, table.map.n, c->n), "%s", c->label);
    vb_plan_table_clear(&table);
}

Test(plan_table, a_damaged_file_is_refused_with_its_line)
{
    char path[] = "/tmp/vrambench-test-XXXXXX";
    struct vb_plan_table table;
    struct vb_error err = { 0 };
    FILE *file = fdopen(mkstemp(path), "w");
    cr_assert(file != NULL);
    (void)fputs(HEADER ROWS FORWARD ",1,28,1,1,1,library\nrubbish\n", file);
    (void)fclose(file);
    cr_expect(eq(int, (int)vb_plan_table_read(path, &table, &err), VB_E_INPUT));
    cr_expect(strstr(err.text, ":4: ") != NULL, "%s", err.text);
    (void)unlink(path);
}

Test(plan_table, a_row_written_is_the_row_read)
{
    const struct vb_plan_entry entry = { { VB_CONV_BACKWARD_DATA, VB_CONV_BF16, 1, 1, 64, 3, 5, 7,
                                           3, 1, 2, 0, 2, 32, 1, 1 },
                                         { 45, 10, 5, 20 } };
    struct vb_plan_entry read;
    struct vb_text text = { 0 };
    vb_plan_row_write(&text, "t4", &entry.key, &entry.answer, VB_CONV_FITTED);
    text.data[text.length - 1] = '\0';
    cr_assert(vb_plan_row_read(text.data, &read), "%s", text.data);
    cr_expect(eq(int, memcmp(&read, &entry, sizeof entry), 0));
    vb_text_clear(&text);
}

struct diff_case {
    char label[64];
    char was[500], is[500];
    unsigned status, n, n_engine, n_workspace, n_common, n_only_was, n_only_is;
};

ParameterizedTestParameters(plan_diff, compares)
{
    static struct diff_case cases[] = {
        { "the same", HEADER ROWS FORWARD ",1,28,100,0,200,library\n",
          NEWER ROWS FORWARD ",1,28,100,0,200,table\n", VB_OK, 0, 0, 0, 1, 0, 0 },
        { "another engine of the same workspace", HEADER ROWS FORWARD ",1,28,100,0,200,library\n",
          NEWER ROWS FORWARD ",1,29,100,0,200,library\n", VB_OK, 1, 1, 0, 1, 0, 0 },
        { "another workspace of the same engine", HEADER ROWS FORWARD ",1,28,100,0,200,library\n",
          NEWER ROWS FORWARD ",1,28,101,0,200,library\n", VB_OK, 1, 0, 1, 1, 0, 0 },
        { "a range is not compared", HEADER ROWS FORWARD ",1,28,100,0,200,library\n",
          NEWER ROWS FORWARD ",1,28,100,5,201,library\n", VB_OK, 0, 0, 0, 1, 0, 0 },
        { "rows that one has alone are counted",
          HEADER ROWS FORWARD ",1,28,1,1,1,library\n" FORWARD ",0,28,1,1,1,library\n",
          NEWER ROWS FORWARD ",1,28,1,1,1,library\n" FILTER ",1,28,1,1,1,library\n", VB_OK, 0, 0, 0,
          1, 1, 1 },
        { "rows against a packed table", HEADER ROWS FORWARD ",1,5,11,0,200,library\n",
          NEWER PACKED SHAPE ",0,,,,5:10,,,,,\n", VB_OK, 1, 0, 1, 1, 0, 1 },
        { "another GPU", HEADER ROWS FORWARD ",1,28,1,1,1,library\n",
          OTHER_GPU ROWS FORWARD ",1,28,1,1,1,library\n", VB_E_INPUT, 0, 0, 0, 0, 0, 0 },
        { "other rules", HEADER ROWS FORWARD ",1,28,1,1,1,library\n",
          NEWER ROWS FORWARD ",0,28,1,1,1,library\n", VB_E_INPUT, 0, 0, 0, 0, 0, 0 },
    };
    return cr_make_param_array(struct diff_case, cases, sizeof cases / sizeof *cases);
}

static void parse(const char *text, struct vb_plan_table *out)
{
    char copy[500];
    size_t damaged = 0;
    (void)snprintf(copy, sizeof copy, "%s", text);
    cr_assert(eq(int, (int)vb_plan_table_parse("a.csv", copy, out, &damaged, NULL), VB_OK));
    cr_assert(eq(sz, damaged, 0));
}

ParameterizedTest(struct diff_case *c, plan_diff, compares)
{
    struct vb_plan_table was, is;
    struct vb_plan_diff diff = { 0 };
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    parse(c->was, &was);
    parse(c->is, &is);
    cr_expect(eq(uint, vb_plan_diff(&was, &is, &arena, &diff, &err), c->status), "%s: %s", c->label,
              err.text);
    cr_expect(eq(sz, diff.n, c->n), "%s", c->label);
    cr_expect(eq(sz, diff.n_engine, c->n_engine), "%s", c->label);
    cr_expect(eq(sz, diff.n_workspace, c->n_workspace), "%s", c->label);
    cr_expect(eq(sz, diff.n_common, c->n_common), "%s", c->label);
    cr_expect(eq(sz, diff.n_only_was, c->n_only_was), "%s", c->label);
    cr_expect(eq(sz, diff.n_only_is, c->n_only_is), "%s", c->label);
    vb_arena_clear(&arena);
    vb_plan_table_clear(&was);
    vb_plan_table_clear(&is);
}

Test(plan_diff, the_largest_change_first_and_totals_by_direction)
{
    struct vb_plan_table was, is;
    struct vb_plan_diff diff = { 0 };
    struct vb_arena arena = { 0 };
    parse(HEADER ROWS FORWARD ",1,28,100,0,0,library\n" FILTER ",1,28,500,0,0,library\n", &was);
    parse(NEWER ROWS FORWARD ",1,28,110,0,0,library\n" FILTER ",1,28,300,0,0,library\n", &is);
    cr_assert(eq(int, (int)vb_plan_diff(&was, &is, &arena, &diff, NULL), VB_OK));
    cr_assert(eq(sz, diff.n, 2));
    cr_expect(eq(uint, diff.changes[0].key.direction, VB_CONV_BACKWARD_FILTER));
    cr_expect(eq(u64, diff.totals[1][VB_CONV_FORWARD].sum_is_bytes, 110));
    cr_expect(eq(u64, diff.totals[1][VB_CONV_BACKWARD_FILTER].largest_was_bytes, 500));
    cr_expect(eq(sz, diff.totals[0][VB_CONV_FORWARD].n, 0));
    vb_arena_clear(&arena);
    vb_plan_table_clear(&was);
    vb_plan_table_clear(&is);
}

struct support_case {
    char label[64];
    uint64_t version;
    uint32_t capability, is_supported;
};

ParameterizedTestParameters(conv_plan, knows_what_is_supported)
{
    static struct support_case cases[] = {
        { "the last cuDNN for Volta", 91002, 700, 1 },
        { "the first without it", 91100, 700, 0 },
        { "Pascal goes with it", 91100, 610, 0 },
        { "Turing stays", 91100, 750, 1 },
        { "Turing stays in what follows", 92000, 750, 1 },
    };
    return cr_make_param_array(struct support_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct support_case *c, conv_plan, knows_what_is_supported)
{
    cr_expect(eq(uint, vb_conv_is_supported(c->version, c->capability), c->is_supported), "%s",
              c->label);
}

struct serving_case {
    char label[64];
    uint64_t identity;
    uint32_t capability, version; /* 0: no table */
};

ParameterizedTestParameters(plan_table, serves_a_generation_before_turing)
{
    static struct serving_case cases[] = {
        { "any GPU of 6.0", 1, 600, 91002 },
        { "one of 6.1 has no table of its own", 1, 610, 91002 },
        { "any GPU of 7.0", 1, 700, 91002 },
        { "Maxwell has none", 1, 520, 0 },
        { "from Turing on a table is one GPU's", 1, 750, 0 },
    };
    return cr_make_param_array(struct serving_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct serving_case *c, plan_table, serves_a_generation_before_turing)
{
    const struct vb_gpu_spec gpu = { .identity = c->identity, .compute_capability = c->capability };
    cr_expect(eq(u64, vb_plan_table_version(&gpu), c->version), "%s", c->label);
}
