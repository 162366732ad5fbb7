/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#include "fit/published.h"

static const char own[] = "model,batch,imgsz,gpu,gpu_mem,family,code_version,optimizer,amp,"
                          "num_classes,instances_last_batch,unit\n";
static const char logs[] = "source,gpu,torch_version,repo_family,model,params,imgsz,batch,amp,"
                           "optimizer,num_classes,multi_gpu,gpu_mem_gb,note\n";
static const char autobatch[] = "source,gpu,gpu_total_gb,torch_version,repo_family,model,params,"
                                "imgsz,amp,batch,gflops,gpu_mem_gb,fwd_ms,bwd_ms\n";

struct row_case {
    char label[40];
    int form; /* 0 own, 1 logs, 2 autobatch */
    char row[240];
    char expected[120]; /* "MODEL BATCH IMGSZ GIB NOTE", or "!REASON" */
};

ParameterizedTestParameters(published, rows_are_judged_by_what_they_tell)
{
    static struct row_case cases[] = {
        { "a user's own", 0, "YOLOv8n.pt,16,640,Tesla T4,2.12,ultralytics,8.3.176,AdamW,1,1,5,",
          "yolov8n 16 640 2.12 " },
        { "1e9 up to 8.3.75", 0, "yolov8n,16,640,t4,2.147483648,,8.3.75,SGD,,,,",
          "yolov8n 16 640 2.00 " },
        { "2^30 from 8.3.76", 0, "yolov8n,16,640,t4,2,,8.3.76,SGD,,,,", "yolov8n 16 640 2.00 " },
        { "YOLOv5 prints 1e9", 0, "yolov5s,16,640.0,t4,3.221225472,,,SGD,,,,",
          "yolov5s 16 640 3.00 " },
        { "the unit that is given", 0, "yolov8n,16,640,t4,1024,,,SGD,,,,MiB",
          "yolov8n 16 640 1.00 " },
        { "what is assumed is told", 0, "yolov5s,16,640,t4,2,,,,,,,GiB",
          "yolov5s 16 640 2.00 optimizer not given: SGD" },
        { "no unit, no version", 0, "yolov8n,16,640,t4,2,,,SGD,,,,",
          "!the memory's unit is not known: give unit (GiB or GB), or the trainer's code_version" },
        { "batch by AutoBatch", 0, "yolov8n,auto,640,t4,2,,8.3.76,,,,,",
          "!batch is 'auto', no number of images" },
        { "batch -1", 0, "yolov8n,-1,640,t4,2,,8.3.76,,,,,",
          "!batch is '-1', no number of images" },
        { "batch 0", 0, "yolov8n,0,640,t4,2,,8.3.76,,,,,", "!batch is '0', no number of images" },
        { "batch missing", 0, "yolov8n,,640,t4,2,,8.3.76,,,,,", "!batch is not given" },
        { "size missing", 0, "yolov8n,16,,t4,2,,8.3.76,,,,,", "!image size is not given" },
        { "size of two sides", 0, "yolov8n,16,640x480,t4,2,,8.3.76,,,,,",
          "!image size is '640x480', no number of pixels" },
        { "GPU missing", 0, "yolov8n,16,640,,2,,8.3.76,,,,,", "!the GPU is not given" },
        { "model missing", 0, ",16,640,t4,2,,8.3.76,,,,,", "!the model is not given" },
        { "negative memory", 0, "yolov8n,16,640,t4,-2,,8.3.76,,,,,",
          "!the memory is '-2', expected a number above 0" },
        { "memory nan", 0, "yolov8n,16,640,t4,nan,,8.3.76,,,,,",
          "!the memory is 'nan', expected a number above 0" },
        { "no such unit", 0, "yolov8n,16,640,t4,2,,8.3.76,,,,,Gib/s",
          "!unit is 'Gib/s', expected GiB, GB, MiB or MB" },
        { "another optimizer", 0, "yolov8n,16,640,t4,2,,8.3.76,MuSGD,,,,",
          "!optimizer 'MuSGD': not modelled" },
        { "segmentation", 0, "yolov8n-seg,16,640,t4,2,,8.3.76,SGD,,,,",
          "yolov8n-seg 16 640 2.00 " },
        { "YOLOv5's segmentation", 0, "yolov5n-seg,16,640,t4,2,,7.0,,,,,",
          "!YOLOv5's model for segmentation: not modelled yet" },
        { "Ultralytics' YOLOv5", 0, "yolov5n,16,640,t4,2,ultralytics,8.3.76,SGD,,,,",
          "yolov5nu 16 640 2.00 " },
        { "too few columns", 0, "yolov8n,16", "!2 columns, the header has 12" },
        { "a log", 1,
          "github.com/a/b@c:d,Tesla T4,2.6.0+cu124,ultralytics,yolov8n.pt,3011043,640,16,1,AdamW,1,"
          "0,2.12,trust=B; code_version=8.3.221; epoch 1/50 last value; task=detect",
          "yolov8n 16 640 2.12 " },
        { "the architecture that was printed", 1,
          "x,Tesla T4,,ultralytics,last.pt,,640,16,1,SGD,1,0,2,trust=C; code_version=8.3.221; "
          "epoch "
          "1/50 last value; summary_name=YOLOv8s",
          "yolov8s 16 640 2.00 " },
        { "resumed", 1, "x,Tesla T4,,yolov5,yolov5s.pt,,416,16,1,SGD,,0,1.59,resume=/a/last.pt",
          "!resumed" },
        { "a later epoch", 1,
          "x,Tesla T4,,yolov5,yolov5s.pt,,416,16,1,SGD,,0,1.59,epoch 77/99 last value",
          "!not a first epoch" },
        { "YOLOv5 counts from 0", 1,
          "x,Tesla T4,,yolov5,yolov5s.pt,,416,16,1,SGD,,0,1.073741824,epoch 0/99 last value",
          "yolov5s 16 416 1.00 " },
        { "two GPUs", 1, "x,Tesla T4,,yolov5,yolov5s.pt,,416,16,1,SGD,,1,1.59,",
          "!2 GPUs or more" },
        { "perhaps two", 1, "x,Tesla T4,,yolov5,yolov5s.pt,,416,16,1,SGD,,?,1.59,",
          "!it is not told whether one GPU was used or more" },
        { "other code", 1, "x,Tesla T4,,other,yolov7.pt,,640,8,1,SGD,,0,7.35,",
          "!rows of other code (family 'other'): not modelled" },
        { "MMYOLO", 1, "x,Tesla T4,,other,yolov8n,,640,8,1,SGD,,0,7.35,trust=M",
          "!rows of other code: MMYOLO" },
        { "a profile", 2, "x,Tesla T4,14.75,,yolov5,yolov5s,7235389,640,1,2,3,1.073741824,4,5",
          "yolov5s 2 640 1.00 " },
        { "a profile cut short", 2, "x,Tesla T4,14.75,,yolov5,yolov5s,1,640,1,2,3,1,4,nan",
          "!its backward pass failed: no profile of a step" },
    };
    return cr_make_param_array(struct row_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct row_case *c, published, rows_are_judged_by_what_they_tell)
{
    const char *const headers[] = { own, logs, autobatch };
    struct vb_arena arena = { 0 };
    struct vb_published_file file;
    struct vb_error err = { 0 };
    char text[640], shown[256];
    (void)snprintf(text, sizeof text, "%s%s\n", headers[c->form], c->row);
    cr_assert_eq(vb_published_parse("a.csv", text, strlen(text), &arena, &file, &err), VB_OK,
                 "%s: %s", c->label, err.text);
    cr_assert_eq(file.n, 1, "%s", c->label);
    const struct vb_published *row = &file.rows[0];
    if (row->reason != NULL)
        (void)snprintf(shown, sizeof shown, "!%s", row->reason);
    else
        (void)snprintf(shown, sizeof shown, "%s %u %u %.2f %s", row->model, row->batch, row->imgsz,
                       row->bytes / 1073741824.0, row->note != NULL ? row->note : "");
    cr_expect_str_eq(shown, c->expected, "%s: %s", c->label, shown);
    vb_arena_clear(&arena);
}

struct header_case {
    char label[40], text[64], error[64];
};

ParameterizedTestParameters(published, other_headers_are_refused)
{
    static struct header_case cases[] = {
        { "no header", "yolov8n,16,640,t4,2\n", "a.csv:1: 'yolov8n' is no header of runs" },
        { "a column missing", "model,imgsz,gpu,gpu_mem\n", "a.csv:1: column batch is missing" },
        { "a column misspelt", "model,bach,imgsz,gpu,gpu_mem\n",
          "a.csv:1: column batch is missing; it may be bach" },
        { "memory missing", "model,batch,imgsz,gpu\n", "a.csv:1: column gpu_mem is missing;" },
    };
    return cr_make_param_array(struct header_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct header_case *c, published, other_headers_are_refused)
{
    struct vb_arena arena = { 0 };
    struct vb_published_file file;
    struct vb_error err = { 0 };
    cr_expect_eq(vb_published_parse("a.csv", c->text, strlen(c->text), &arena, &file, &err),
                 VB_E_INPUT, "%s", c->label);
    cr_expect_eq(strncmp(err.text, c->error, strlen(c->error)), 0, "%s: %s", c->label, err.text);
    vb_arena_clear(&arena);
}

Test(published, repositories_and_trainers_have_names)
{
    struct vb_arena arena = { 0 };
    struct vb_published_file file;
    struct vb_error err = { 0 };
    char trainer[64];
    char text[] = "model,batch,imgsz,gpu,gpu_mem,source,family,code_version\n"
                  "yolov5s,1,640,t4,1,github.com/a/b@c:d.ipynb#cell1,yolov5,v6.2-203-g6371de8\n"
                  "yolov5s,1,640,t4,1,https://github.com/a/b/issues/9 (x),yolov5,v7.0\n"
                  "yolov8s,1,640,t4,1,a diary,ultralytics,8.3.176\n"
                  "yolov5s,1,640,t4,1,,yolov5,2022-11-4\n";
    const char *const expected[][2] = { { "a/b", "yolov5-6.2-203" },
                                        { "a/b", "yolov5-7.0" },
                                        { "a diary", "ultralytics-8.3.176" },
                                        { "", "yolov5-2022-11-4" } };
    cr_assert_eq(vb_published_parse("a.csv", text, strlen(text), &arena, &file, &err), VB_OK, "%s",
                 err.text);
    for (size_t i = 0; i < 4; i++) {
        vb_published_trainer(&file.rows[i], trainer, sizeof trainer);
        cr_expect_str_eq(file.rows[i].repository, expected[i][0]);
        cr_expect_str_eq(trainer, expected[i][1]);
    }
    vb_arena_clear(&arena);
}
