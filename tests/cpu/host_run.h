/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TEST_HOST_RUN_H
#define VB_TEST_HOST_RUN_H

/* Executes a program's first step without a pool, on the host or on a device: each tensor is an
 * allocation of its own, filled with NaN, so that AddressSanitizer sees who writes beside one and a
 * comparison who reads before writing. What a step made can be looked at between its phases.
 */

#include "cpu/cpu.h"
#include "device/device.h"
#include "step/build.h"

struct vb_host_run {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_targets targets;
    struct vb_program program;
    struct vb_cpu *cpu;       /* on the host; else NULL */
    struct vb_device *device; /* on a device; else NULL */
    void **memory;            /* of each tensor; NULL while it is not there */
    size_t next;              /* instruction */
};

/* Builds the point's program for `cpu`, one thread if 1. Errors end the program with their text:
 * these are tests. The caller closes it. */
void vb_host_run_open(struct vb_host_run *self, const struct vb_point *point, uint32_t threads);
/* The same on the device of that name, whose addresses `memory` then holds. */
void vb_host_run_open_on(struct vb_host_run *self, const struct vb_point *point,
                         const char *device);
void vb_host_run_close(struct vb_host_run *self);

/* Executes up to where the phase begins. */
void vb_host_run_until(struct vb_host_run *self, enum vb_phase phase);

/* The tensors of the step that is executed, once they are there: of a parameter or buffer of the
 * graph, its gradient (VB_NONE: it gets none), the images, the predictions of a level, the loss
 * when the backward phase begins. */
uint32_t vb_host_run_parameter(const struct vb_host_run *self, uint32_t parameter);
uint32_t vb_host_run_gradient(const struct vb_host_run *self, uint32_t parameter);
uint32_t vb_host_run_images(const struct vb_host_run *self);
uint32_t vb_host_run_prediction(const struct vb_host_run *self, uint32_t level);
uint32_t vb_host_run_loss(const struct vb_host_run *self);

/* An fp32 tensor's elements in the order of its axes; the caller frees them. */
float *vb_host_run_read(const struct vb_host_run *self, uint32_t tensor);

#endif
