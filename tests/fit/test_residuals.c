/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#include "fit/residuals.h"

Test(residuals, what_is_written_is_read)
{
    struct vb_residual rows[2] = {
        { .repository = "a/b, \"c\"",
          .traits = { .architecture = "Turing",
                      .family = "yolov8",
                      .precision = VB_FP16,
                      .torch = "torch-2.4",
                      .boxes = 8,
                      .planned_bytes = 1e9 },
          .observed_bytes = 2e9 },
        { .repository = "d/e",
          .is_shared = true,
          .traits = { .architecture = "Ada",
                      .family = "yolov5",
                      .precision = VB_FP32,
                      .torch = "torch-1.8",
                      .boxes = 1,
                      .planned_bytes = 3e9,
                      .has_fitted_workspaces = true },
          .observed_bytes = 4e9 },
    };
    const struct vb_residual_origin origins[2] = {
        { 2, 16, 640, "A", "t4", "yolov8n", "2.6.0", "library", "9.19.0", "x-1 torch-2.4" },
        { 3, 8, 320, "B", "l4", "yolov5s", "", "mixed", "", "y-2 torch-1.8" },
    };
    const struct vb_residuals written = { rows, 2 };
    struct vb_residuals read;
    struct vb_text text = { 0 };
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    vb_text_append(&text, "# a heading\n# of two lines\n");
    vb_residuals_append(&written, origins, &text);
    cr_assert_eq(vb_residuals_parse("r.csv", text.data, text.length, &arena, &read, &err), VB_OK,
                 "%s", err.text);
    cr_assert_eq(read.n, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct vb_traits *a = &rows[i].traits, *b = &read.rows[i].traits;
        cr_expect_str_eq(read.rows[i].repository, rows[i].repository);
        cr_expect_eq(read.rows[i].is_shared, rows[i].is_shared);
        cr_expect_str_eq(b->architecture, a->architecture);
        cr_expect_str_eq(b->family, a->family);
        cr_expect_str_eq(b->torch, a->torch);
        cr_expect_eq(b->precision, a->precision);
        cr_expect_eq(b->boxes, a->boxes);
        cr_expect_eq(b->has_fitted_workspaces, a->has_fitted_workspaces);
        cr_expect_float_eq(b->planned_bytes, a->planned_bytes, 0.5);
        cr_expect_float_eq(read.rows[i].observed_bytes, rows[i].observed_bytes, 0.5);
    }
    vb_arena_clear(&arena);
    vb_text_clear(&text);
}

#define HEADER                                                                                     \
    "repository,trust,line,gpu,architecture,family,model,batch,imgsz,amp,torch,boxes,workspaces,"  \
    "cudnn_version,recipe,planned_bytes,observed_bytes\n"

struct fault_case {
    char label[32], text[400], error[80];
};

ParameterizedTestParameters(residuals, faults_are_told_with_their_line)
{
    static struct fault_case cases[] = {
        { "empty", "", "r.csv: empty" },
        { "a heading alone", "# a\n# b\n", "r.csv: empty" },
        { "no newline", "# a", "r.csv: column repository is missing" },
        { "another file", "# a\nmodel,batch\n", "r.csv: column repository is missing" },
        { "no number",
          "# a\n" HEADER "a/b,A,2,t4,Turing,yolov8,n,1,640,1,2.6,8,library,9,x,abc,2\n",
          "r.csv:3: planned_bytes is 'abc', expected a number" },
        { "nothing observed", HEADER "a/b,A,2,t4,Turing,yolov8,n,1,640,1,2.6,8,library,9,x,5,0\n",
          "r.csv:2: observed_bytes is '0', expected a number" },
        { "infinite", HEADER "a/b,A,2,t4,Turing,yolov8,n,1,640,1,2.6,8,library,9,x,inf,1\n",
          "r.csv:2: planned_bytes is 'inf', expected a number" },
        { "cut", HEADER "a/b,A,2\n", "r.csv:2: 3 columns, the header has 17" },
    };
    return cr_make_param_array(struct fault_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct fault_case *c, residuals, faults_are_told_with_their_line)
{
    struct vb_residuals out;
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    cr_expect_eq(vb_residuals_parse("r.csv", c->text, strlen(c->text), &arena, &out, &err),
                 VB_E_INPUT, "%s", c->label);
    cr_expect_eq(strncmp(err.text, c->error, strlen(c->error)), 0, "%s: %s", c->label, err.text);
    vb_arena_clear(&arena);
}
