/* SPDX-License-Identifier: Apache-2.0 */
/* Whole training steps on the cpu: their numbers against a second working out of the same step in
 * naive loops (reference/), and what training must do: lower the loss, and do so again to the last
 * bit. Under AddressSanitizer training is shorter. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/host_run.h"
#include "cpu/reference/reference.h"
#include "device/execute.h"
#include "model/catalogue.h"

#define LIMIT 1e-3

enum { IMGSZ = 128 };
#if defined(__SANITIZE_ADDRESS__)
enum { STEPS = 20 };
#define LEAST_FALL 1.0
#else
enum { STEPS = 200 };
#define LEAST_FALL 0.5
#endif

static struct vb_point point_of(const char *model, uint32_t batch, uint32_t imgsz)
{
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    point.batch = batch;
    point.imgsz = imgsz;
    point.accumulate = 1;
    return point;
}

/* The worst tensor so far, relative to the largest number in it. */
struct worst {
    double apart;
    char name[160];
    size_t n;
};

static void compare(struct worst *worst, const char *kind, const char *name, const float *ours,
                    const double *theirs, size_t n)
{
    double apart = 0, largest = 1e-12;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)ours[i] - theirs[i]);
        apart = difference <= apart ? apart : difference; /* a NaN too */
        largest = fmax(largest, fabs(theirs[i]));
    }
    cr_expect(apart <= LIMIT * largest, "%s of %s: %g apart, the largest is %g", kind, name, apart,
              largest);
    worst->n++;
    if (apart / largest <= worst->apart)
        return;
    worst->apart = apart / largest;
    (void)snprintf(worst->name, sizeof worst->name, "%s", name);
}

static void tell(const char *kind, const struct worst *worst)
{
    printf("%zu %s: worst %.1e (%s)\n", worst->n, kind, worst->apart, worst->name);
}

static void copy(const struct vb_host_run *run, uint32_t tensor, double *to)
{
    cr_assert_neq(tensor, VB_NONE);
    float *numbers = vb_host_run_read(run, tensor);
    size_t n = vb_shape_elements(&run->program.tensors[tensor].shape);
    for (size_t i = 0; i < n; i++)
        to[i] = (double)numbers[i];
    free(numbers);
}

/* Weights and images from the device; then the whole step. Gives the loss. */
static double work_out(struct vb_reference *reference, const struct vb_host_run *run)
{
    const struct vb_targets *targets = &run->targets;
    struct vb_reference_box *boxes = calloc(targets->n + 1, sizeof *boxes);
    vb_reference_open(reference, &run->graph);
    for (uint32_t i = 0; i < run->graph.n_parameters; i++)
        copy(run, vb_host_run_parameter(run, i), reference->parameters[i]);
    copy(run, vb_host_run_images(run), reference->values[0]);
    for (uint32_t i = 0; i < targets->n; i++) {
        const struct vb_target *box = &targets->items[i];
        boxes[i] = (struct vb_reference_box){ box->image,      box->label,     (double)box->cx,
                                              (double)box->cy, (double)box->w, (double)box->h };
    }
    vb_reference_forward(reference);
    double loss = vb_reference_loss_v5(reference, boxes, targets->n);
    vb_reference_backward(reference);
    free(boxes);
    return loss;
}

static void compare_tensor(struct worst *worst, const char *kind, const char *name,
                           const struct vb_host_run *run, uint32_t tensor, const double *theirs)
{
    cr_assert_neq(tensor, VB_NONE, "no %s of %s", kind, name);
    float *ours = vb_host_run_read(run, tensor);
    compare(worst, kind, name, ours, theirs,
            vb_shape_elements(&run->program.tensors[tensor].shape));
    free(ours);
}

/* A running statistic begins as 0 or 1 and moves by 0.03; its variance is not the biased one. */
static void compare_statistics(const struct vb_reference *reference, const struct vb_host_run *run)
{
    const struct vb_graph *graph = &run->graph;
    struct worst worst = { 0 };
    for (uint32_t i = 0; i < graph->n_buffers; i++) {
        uint32_t buffer = graph->n_parameters + i;
        const char *name = graph->parameters[buffer].name;
        size_t length = strlen(name), n = graph->parameters[buffer].elements;
        bool is_mean = length > 13 && strcmp(name + length - 13, ".running_mean") == 0;
        bool is_variance = length > 12 && strcmp(name + length - 12, ".running_var") == 0;
        size_t path = length - (is_mean ? 13 : 12);
        for (uint32_t k = 0; k < graph->n_ops && (is_mean || is_variance); k++) {
            const struct vb_op *op = &graph->ops[k];
            const struct vb_shape *shape = &graph->values[op->outputs[0]].shape;
            double theirs[4096];
            if (op->kind != VB_BATCHNORM || strncmp(op->module, name, path) != 0 ||
                op->module[path] != '\0')
                continue;
            double count = (double)vb_shape_elements(shape) / shape->dims[1];
            for (size_t c = 0; c < n; c++)
                theirs[c] = is_mean
                                ? 0.03 * reference->means[k][c]
                                : 0.97 + 0.03 * reference->variances[k][c] * count / (count - 1);
            compare_tensor(&worst, "statistic", name, run, vb_host_run_parameter(run, buffer),
                           theirs);
        }
    }
    uint32_t n_norms = 0;
    for (uint32_t k = 0; k < graph->n_ops; k++)
        n_norms += graph->ops[k].kind == VB_BATCHNORM;
    cr_assert_eq(worst.n, 2 * n_norms);
    tell("running statistics", &worst);
}

static void compare_gradients(const struct vb_reference *reference, const struct vb_host_run *run)
{
    struct worst worst = { 0 };
    for (uint32_t i = 0; i < run->graph.n_parameters; i++)
        compare_tensor(&worst, "gradient", run->graph.parameters[i].name, run,
                       vb_host_run_gradient(run, i), reference->parameter_gradients[i]);
    tell("gradients", &worst);
}

static void compare_with_loops(const char *model)
{
    struct vb_point point = point_of(model, 2, 64);
    struct vb_host_run run;
    struct vb_reference reference;
    struct worst predictions = { 0 }, loss = { 0 };
    point.targets = 4;
    vb_host_run_open(&run, &point, 0);
    vb_host_run_until(&run, VB_PHASE_FORWARD);
    double theirs = work_out(&reference, &run);

    vb_host_run_until(&run, VB_PHASE_LOSS);
    for (uint32_t i = 0; i < run.graph.n_levels; i++)
        compare_tensor(&predictions, "prediction", (const char *[]){ "0", "1", "2" }[i], &run,
                       vb_host_run_prediction(&run, i),
                       reference.values[run.graph.levels[i].output]);
    tell("predictions", &predictions);
    compare_statistics(&reference, &run);
    vb_host_run_until(&run, VB_PHASE_BACKWARD);
    compare_tensor(&loss, "loss", "the batch", &run, vb_host_run_loss(&run), &theirs);
    tell("loss", &loss);
    vb_host_run_until(&run, VB_PHASE_CLIP);
    compare_gradients(&reference, &run);
    vb_reference_close(&reference);
    vb_host_run_close(&run);
}

Test(step, of_yolov5_is_what_naive_loops_give)
{
    compare_with_loops("yolov5n");
}

Test(step, of_yolov3_tiny_is_what_naive_loops_give)
{
    compare_with_loops("yolov3-tiny");
}

/* A small network of YOLOv9's modules with a head whose loss the loops know. */
Test(step, of_yolov9s_modules_is_what_naive_loops_give)
{
    compare_with_loops(VB_TEST_DATA "/models/gelan.yaml");
}

static void train(const char *model, const char *device_name, uint32_t steps,
                  struct vb_record *record)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program program;
    struct vb_device *device = NULL;
    struct vb_point point = point_of(model, 4, IMGSZ);
    point.targets = 4;
    point.warmup = 0;
    point.steps = steps;
    *record = (struct vb_record){ .point = point };
    cr_assert_eq(vb_catalogue_expand(model, point.batch, point.imgsz, 0, &arena, &graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(&point, vb_family_of(&graph), &recipe, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(vb_device_open(device_name, &device, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_program_build(&graph, &point, &recipe, NULL, vb_device_info(device)->layout,
                                  &arena, &program, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_execute(&program, &point, device, false, &arena, record, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(record->state, VB_STATE_OK, "%s", record->reason);
    vb_device_close(device);
    vb_arena_clear(&arena);
}

static void expect_fall(const char *model)
{
    struct vb_record record;
    train(model, "cpu", STEPS, &record);
    printf("%s, %d steps of 4 x %d px: loss %g to %g\n", model, STEPS, IMGSZ, record.loss_first,
           record.loss_last);
    cr_expect_lt(record.loss_last, LEAST_FALL * record.loss_first);
}

Test(step, of_yolov5_lowers_the_loss)
{
    expect_fall("yolov5n");
}

Test(step, of_yolov8_lowers_the_loss)
{
    expect_fall("yolov8n");
}

Test(step, of_yolov10_lowers_the_loss)
{
    expect_fall("yolov10n");
}

Test(step, of_yolo11_lowers_the_loss)
{
    expect_fall("yolo11n");
}

Test(step, gives_the_same_loss_twice_with_one_thread)
{
    static const char *const models[] = { "yolov5n", "yolov8n" };
    for (size_t m = 0; m < 2; m++) {
        struct vb_record records[2];
        for (size_t i = 0; i < 2; i++)
            train(models[m], "cpu:1", 5, &records[i]);
        cr_expect_eq(memcmp(&records[0].loss_last, &records[1].loss_last, sizeof(double)), 0,
                     "%s: %.17g and %.17g", models[m], records[0].loss_last, records[1].loss_last);
    }
}
