/* SPDX-License-Identifier: Apache-2.0 */
/* What 'vrambench schedule' says of a phase, against every batch there is. */

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

struct schedule_case {
    const char *label, *model, *gpu, *precision, *mosaic, *phases, *more;
    uint32_t imgsz[3], epochs[3]; /* as is expected */
    const char *mosaics[3];
    size_t n;
    uint32_t effective;
};

static json_t *ask(const struct schedule_case *c)
{
    char command[1024];
    json_error_t error;
    (void)snprintf(command, sizeof command,
                   "%s schedule --format json --model %s --gpu %s --precision %s --mosaic %s "
                   "--phases %s %s",
                   VB_PROGRAM, c->model, c->gpu, c->precision, c->mosaic, c->phases, c->more);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    json_t *root = json_loadf(pipe, 0, &error);
    (void)pclose(pipe);
    cr_assert_not_null(root, "%s: %s", command, error.text);
    return root;
}

static uint32_t number(const json_t *object, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(object, key));
}

/* The largest of all batches up to three times as many as the answer. */
static uint32_t largest(struct vb_point point, struct vb_device *device, uint32_t answer)
{
    uint32_t found = 0;
    for (point.batch = 1; point.batch <= 3 * answer + 3; point.batch++)
        found = judge(&point, device) ? point.batch : found;
    return found;
}

static void check_phase(const struct schedule_case *c, size_t i, const json_t *phase,
                        struct vb_device *device)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", c->model);
    point.workload = VB_WHOLE_RUN;
    point.imgsz = c->imgsz[i];
    point.precision = strcmp(c->precision, "fp16") == 0 ? VB_FP16 : VB_FP32;
    point.mosaic = strcmp(c->mosaics[i], "off") == 0  ? VB_MOSAIC_OFF
                   : strcmp(c->mosaics[i], "on") == 0 ? VB_MOSAIC_ON
                                                      : VB_MOSAIC_CPU;
    point.multiscale = strstr(c->more, "--multi-scale") != NULL;
    uint32_t said = number(phase, "largest_batch"), batch = number(phase, "batch");
    cr_expect_eq(number(phase, "imgsz"), c->imgsz[i], "%s: phase %zu", c->label, i + 1);
    cr_expect_eq(number(phase, "epochs"), c->epochs[i], "%s: phase %zu", c->label, i + 1);
    cr_expect_str_eq(json_string_value(json_object_get(phase, "mosaic")), c->mosaics[i],
                     "%s: phase %zu", c->label, i + 1);
    cr_expect_eq(said, largest(point, device, said), "%s: phase %zu: %u is not the largest",
                 c->label, i + 1, said);
    cr_expect(batch <= said && batch * number(phase, "accumulate") == c->effective,
              "%s: phase %zu: batch %u", c->label, i + 1, batch);
}

Test(schedule, largest_batch_is_the_largest_of_all)
{
    static const struct schedule_case cases[] = {
        { "sizes that grow",
          "yolov5n",
          "gtx1050",
          "fp16",
          "cpu",
          "320:100,512:50",
          "",
          { 320, 512 },
          { 100, 50 },
          { "cpu", "cpu" },
          2,
          64 },
        { "mosaic closed within the last phase",
          "yolov8n",
          "gtx1050",
          "fp32",
          "cpu",
          "320:5,640:20",
          "--close-mosaic 10",
          { 320, 640, 640 },
          { 5, 10, 10 },
          { "cpu", "cpu", "off" },
          3,
          64 },
        { "mosaic closed across phases",
          "yolov5n",
          "gtx1050",
          "fp32",
          "on",
          "320:5,640:2",
          "--close-mosaic 4",
          { 320, 320, 640 },
          { 3, 2, 2 },
          { "on", "off", "off" },
          3,
          64 },
        { "sizes that are drawn",
          "yolov5n",
          "gtx1050",
          "fp16",
          "cpu",
          "640:1",
          "--multi-scale",
          { 640 },
          { 1 },
          { "cpu" },
          1,
          64 },
        { "an effective batch of one's own",
          "yolov5s",
          "t4",
          "fp32",
          "cpu",
          "640:1",
          "--effective-batch 48",
          { 640 },
          { 1 },
          { "cpu" },
          1,
          48 },
    };
    struct vb_arena arena = { 0 };
    judge_set_up(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct schedule_case *c = &cases[i];
        struct vb_device *device = NULL;
        struct vb_error err;
        char name[64];
        (void)snprintf(name, sizeof name, "virtual:%s", c->gpu);
        cr_assert_eq(vb_device_open(name, &device, &err), VB_OK, "%s", err.text);
        json_t *root = ask(c);
        const json_t *phases = json_object_get(root, "phases");
        cr_assert_eq(json_array_size(phases), c->n, "%s", c->label);
        for (size_t k = 0; k < c->n; k++)
            check_phase(c, k, json_array_get(phases, k), device);
        json_decref(root);
        vb_device_close(device);
    }
    vb_arena_clear(&arena);
}
