/* SPDX-License-Identifier: Apache-2.0 */
/* The cuda device: a whole first step on it, its loss and all gradients, against the cpu's. Where
 * VRAMBENCH_CUDA_LIBS names libraries that stand in for NVIDIA's, no GPU is needed. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/host_run.h"

#define LIMIT 1e-3

struct worst {
    double apart;
    const char *name;
    size_t n;
};

/* Relative to the largest number of the tensor. */
static void compare(struct worst *worst, const char *name, const struct vb_host_run *cuda,
                    uint32_t ours, const struct vb_host_run *cpu, uint32_t theirs)
{
    cr_assert(ours != VB_NONE && theirs != VB_NONE, "%s is not there", name);
    const size_t n = vb_shape_elements(&cpu->program.tensors[theirs].shape);
    float *a = vb_host_run_read(cuda, ours), *b = vb_host_run_read(cpu, theirs);
    double apart = 0, largest = 1e-12;
    cr_assert_eq(n, vb_shape_elements(&cuda->program.tensors[ours].shape));
    for (size_t i = 0; i < n; i++) {
        const double difference = fabs((double)a[i] - (double)b[i]);
        apart = difference <= apart ? apart : difference; /* a NaN too */
        largest = fmax(largest, fabs((double)b[i]));
    }
    cr_expect(apart <= LIMIT * largest, "%s: %g apart, the largest is %g", name, apart, largest);
    worst->n++;
    if (!(apart / largest <= worst->apart)) {
        worst->apart = apart / largest;
        worst->name = name;
    }
    free(a);
    free(b);
}

static void compare_step(const char *model, bool channels_last)
{
    struct vb_point point = vb_point_default();
    struct vb_host_run cpu, cuda;
    struct worst loss = { 0 }, gradients = { 0 };
    (void)snprintf(point.model, sizeof point.model, "%s", model);
    point.batch = 2;
    point.imgsz = 64;
    point.accumulate = 1;
    point.targets = 4;
    point.channels_last = channels_last;
    vb_host_run_open(&cpu, &point, 0);
    vb_host_run_open_on(&cuda, &point, "cuda:0");
    vb_host_run_until(&cpu, VB_PHASE_BACKWARD);
    vb_host_run_until(&cuda, VB_PHASE_BACKWARD);
    compare(&loss, "the loss", &cuda, vb_host_run_loss(&cuda), &cpu, vb_host_run_loss(&cpu));
    vb_host_run_until(&cpu, VB_PHASE_CLIP);
    vb_host_run_until(&cuda, VB_PHASE_CLIP);
    for (uint32_t i = 0; i < cpu.graph.n_parameters; i++) {
        const uint32_t ours = vb_host_run_gradient(&cuda, i),
                       theirs = vb_host_run_gradient(&cpu, i);
        if (ours != VB_NONE || theirs != VB_NONE) /* one that is not trained has none */
            compare(&gradients, cpu.graph.parameters[i].name, &cuda, ours, &cpu, theirs);
    }
    cr_expect_geq(gradients.n + 1, cpu.graph.n_parameters);
    printf("%s%s: loss %.1e, %zu gradients, worst %.1e (%s)\n", model,
           channels_last ? ", channels last" : "", loss.apart, gradients.n, gradients.apart,
           gradients.name);
    vb_host_run_close(&cuda);
    vb_host_run_close(&cpu);
}

static void skip_without_gpu(void)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    const enum vb_status status = vb_device_open("cuda:0", &device, &err);
    vb_device_close(device);
    if (status != VB_OK)
        cr_skip_test("%s", err.text);
}

Test(cuda, a_step_of_yolov5_is_the_cpus)
{
    skip_without_gpu();
    compare_step("yolov5n", false);
}

Test(cuda, a_step_with_the_channels_last_is_the_cpus)
{
    skip_without_gpu();
    compare_step("yolov5n", true);
}

Test(cuda, a_step_of_yolov8_is_the_cpus)
{
    skip_without_gpu();
    compare_step("yolov8n", false);
}
