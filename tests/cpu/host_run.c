/* SPDX-License-Identifier: Apache-2.0 */
#include "host_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/catalogue.h"

enum { ALIGNMENT = 64 };

static void check(enum vb_status status, const struct vb_error *err)
{
    if (status == VB_OK)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(3);
}

static void *allocate(uint64_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, ALIGNMENT, bytes > 0 ? bytes : 1) != 0)
        exit(3);
    memset(memory, 0xff, bytes > 0 ? bytes : 1);
    return memory;
}

static void build(struct vb_host_run *self, const struct vb_point *point, enum vb_layout layout)
{
    struct vb_error err = { 0 };
    struct vb_recipe recipe;
    check(vb_catalogue_expand(point->model, point->batch, point->imgsz, point->classes,
                              &self->arena, &self->graph, &err),
          &err);
    check(vb_recipe_find(point, vb_family_of(&self->graph), &recipe, &err), &err);
    self->targets = vb_targets_even(&self->arena, point);
    check(vb_program_build(&self->graph, point, &recipe, &self->targets, layout, &self->arena,
                           &self->program, &err),
          &err);
    self->memory = calloc(self->program.n_tensors, sizeof *self->memory);
    if (self->memory == NULL)
        exit(3);
}

void vb_host_run_open(struct vb_host_run *self, const struct vb_point *point, uint32_t threads)
{
    struct vb_error err = { 0 };
    *self = (struct vb_host_run){ 0 };
    build(self, point, VB_CHANNELS_LAST);
    check(vb_cpu_open(threads, &self->cpu, &err), &err);
}

void vb_host_run_open_on(struct vb_host_run *self, const struct vb_point *point, const char *device)
{
    struct vb_error err = { 0 };
    *self = (struct vb_host_run){ 0 };
    check(vb_device_open(device, &self->device, &err), &err);
    build(self, point, vb_device_layout(self->device, point->channels_last));
}

/* Memory of the device, or of the host; NULL for a tensor that takes none of the device's. */
static void *take(struct vb_host_run *self, uint64_t bytes)
{
    struct vb_error err = { 0 };
    struct vb_segment segment;
    if (self->device == NULL)
        return allocate(bytes);
    if (bytes == 0)
        return NULL;
    check(vb_device_reserve(self->device, bytes, &segment, &err), &err);
    vb_device_mark(self->device, segment.address, bytes, true);
    return (void *)(uintptr_t)segment.address;
}

static void give(struct vb_host_run *self, void *memory, uint64_t bytes)
{
    if (self->device == NULL)
        free(memory);
    else if (memory != NULL)
        vb_device_release(self->device,
                          (struct vb_segment){ (vb_address)(uintptr_t)memory, bytes });
}

void vb_host_run_close(struct vb_host_run *self)
{
    for (size_t i = 0; i < self->program.n_tensors; i++)
        give(self, self->memory[i], self->program.tensors[i].bytes);
    free(self->memory);
    vb_cpu_close(self->cpu);
    vb_device_close(self->device);
    vb_arena_clear(&self->arena);
}

static void run_on_device(struct vb_host_run *self, const struct vb_call *call,
                          void *const *tensors)
{
    static const struct vb_conv_rules rules = { .deterministic = true, .tf32 = true };
    vb_address addresses[VB_MAX_OPERANDS];
    struct vb_conv_plan plan = { 0 };
    struct vb_error err = { 0 };
    const bool is_conv = vb_operator_is_conv(call->op);
    if (is_conv) {
        const struct vb_conv conv = vb_conv_of_call(call, self->program.layout == VB_CHANNELS_LAST);
        check(vb_device_plan(self->device, &conv, &rules, &plan, &err), &err);
    }
    for (uint32_t i = 0; i < call->n_operands; i++)
        addresses[i] = (vb_address)(uintptr_t)tensors[i];
    void *workspace = take(self, plan.workspace_bytes);
    const struct vb_work work = { .call = call,
                                  .plan = is_conv ? &plan : NULL,
                                  .tensors = addresses,
                                  .workspace = (vb_address)(uintptr_t)workspace,
                                  .update = 1 };
    check(vb_device_run(self->device, &work, &err), &err);
    give(self, workspace, plan.workspace_bytes);
}

static void run_on_host(struct vb_host_run *self, const struct vb_call *call, void *const *tensors)
{
    struct vb_error err = { 0 };
    uint64_t bytes = 0;
    check(vb_cpu_workspace(self->cpu, call, &bytes, &err), &err);
    void *workspace = allocate(bytes);
    const struct vb_cpu_work work = { call, tensors, workspace, 1 };
    check(vb_cpu_run(self->cpu, &work, &err), &err);
    free(workspace);
}

static void run_call(struct vb_host_run *self, const struct vb_call *call)
{
    void *tensors[VB_MAX_OPERANDS] = { NULL };
    for (uint32_t i = 0; i < call->n_operands; i++) {
        uint32_t tensor = call->operands[i].tensor;
        tensors[i] = tensor != VB_NONE ? self->memory[tensor] : NULL;
    }
    if (self->device != NULL)
        run_on_device(self, call, tensors);
    else
        run_on_host(self, call, tensors);
}

void vb_host_run_until(struct vb_host_run *self, enum vb_phase phase)
{
    const struct vb_program *program = &self->program;
    for (; self->next < program->loop_start; self->next++) {
        struct vb_instruction instruction = program->instructions[self->next];
        switch (instruction.kind) {
        case VB_ALLOC:
            self->memory[instruction.index] = take(self, program->tensors[instruction.index].bytes);
            break;
        case VB_FREE:
            give(self, self->memory[instruction.index], program->tensors[instruction.index].bytes);
            self->memory[instruction.index] = NULL;
            break;
        case VB_RUN:
            run_call(self, &program->calls[instruction.index]);
            break;
        case VB_PHASE:
            if (instruction.index == phase)
                return;
            break;
        case VB_MARK:
            break;
        }
    }
}

/* The last tensor that is there, of that category and with that name. */
static uint32_t find(const struct vb_host_run *self, enum vb_category category, const char *name)
{
    for (size_t i = self->program.n_tensors; i-- > 0;) {
        const struct vb_tensor *tensor = &self->program.tensors[i];
        if (self->memory[i] != NULL && tensor->category == category &&
            strcmp(tensor->name, name) == 0)
            return (uint32_t)i;
    }
    return VB_NONE;
}

static bool is_same(const struct vb_shape *a, const struct vb_shape *b)
{
    return a->n_dims == b->n_dims && memcmp(a->dims, b->dims, a->n_dims * sizeof *a->dims) == 0;
}

uint32_t vb_host_run_parameter(const struct vb_host_run *self, uint32_t parameter)
{
    return find(self, VB_WEIGHTS, self->graph.parameters[parameter].name);
}

/* All gradients of an operator's parameters have one name; they come in the parameters' order. */
uint32_t vb_host_run_gradient(const struct vb_host_run *self, uint32_t parameter)
{
    const struct vb_parameter *of = &self->graph.parameters[parameter];
    const char *end = strrchr(of->name, '.');
    uint32_t skipped = 0;
    for (uint32_t i = 0; i < parameter; i++)
        skipped += self->graph.parameters[i].op == of->op;
    for (size_t i = 0; i < self->program.n_tensors && of->op != VB_NONE; i++) {
        const struct vb_tensor *tensor = &self->program.tensors[i];
        const char *slash = strchr(tensor->name, '/');
        if (self->memory[i] == NULL || tensor->category != VB_GRADIENTS || slash == NULL ||
            slash - tensor->name != end - of->name ||
            strncmp(tensor->name, of->name, (size_t)(end - of->name)) != 0)
            continue;
        if (skipped-- == 0)
            return (uint32_t)i;
    }
    return VB_NONE;
}

/* The last that is there of a shape and type. */
static uint32_t find_shaped(const struct vb_host_run *self, const struct vb_shape *shape,
                            enum vb_category category)
{
    for (size_t i = self->program.n_tensors; i-- > 0;) {
        const struct vb_tensor *tensor = &self->program.tensors[i];
        if (self->memory[i] != NULL && tensor->dtype == VB_FLOAT32 &&
            tensor->category == category && is_same(&tensor->shape, shape))
            return (uint32_t)i;
    }
    return VB_NONE;
}

uint32_t vb_host_run_images(const struct vb_host_run *self)
{
    return find_shaped(self, &self->graph.values[0].shape, VB_INPUT);
}

uint32_t vb_host_run_prediction(const struct vb_host_run *self, uint32_t level)
{
    uint32_t value = self->graph.levels[level].output;
    return find_shaped(self, &self->graph.values[value].shape, VB_ACTIVATIONS);
}

/* Where the program's own first loss is a second step's, the last number that the loss made. */
uint32_t vb_host_run_loss(const struct vb_host_run *self)
{
    uint32_t loss = self->program.first_loss;
    for (size_t i = self->program.n_tensors; i-- > 0 && self->memory[loss] == NULL;) {
        const struct vb_tensor *tensor = &self->program.tensors[i];
        if (self->memory[i] != NULL && tensor->dtype == VB_FLOAT32 && tensor->category == VB_LOSS &&
            vb_shape_elements(&tensor->shape) == 1)
            loss = (uint32_t)i;
    }
    return loss;
}

/* All of `whole`, or a stretch along one axis. */
static bool is_stretch(const struct vb_shape *part, const struct vb_shape *whole)
{
    uint32_t n_shorter = 0;
    for (uint32_t i = 0; i < whole->n_dims && i < part->n_dims; i++) {
        n_shorter += part->dims[i] != whole->dims[i];
        if (part->dims[i] > whole->dims[i])
            return false;
    }
    return part->n_dims == whole->n_dims && n_shorter <= 1;
}

/* As the first call that takes the tensor, or a stretch of it, has it; in order where there is
 * none. */
static void strides_of(const struct vb_host_run *self, uint32_t tensor, uint64_t *strides)
{
    const struct vb_shape *shape = &self->program.tensors[tensor].shape;
    uint64_t stride = 1;
    for (uint32_t d = shape->n_dims; d-- > 0;) {
        strides[d] = stride;
        stride *= shape->dims[d];
    }
    for (size_t i = 0; i < self->program.n_calls; i++) {
        const struct vb_call *call = &self->program.calls[i];
        for (uint32_t k = 0; k < call->n_operands; k++) {
            const struct vb_operand *operand = &call->operands[k];
            if (operand->tensor != tensor || !is_stretch(&operand->shape, shape))
                continue;
            for (uint32_t d = 0; d < shape->n_dims; d++)
                strides[d] = operand->strides[d];
            return;
        }
    }
}

float *vb_host_run_read(const struct vb_host_run *self, uint32_t tensor)
{
    const struct vb_shape *shape = &self->program.tensors[tensor].shape;
    const uint64_t bytes = self->program.tensors[tensor].bytes;
    struct vb_error err = { 0 };
    uint64_t strides[VB_MAX_DIMS] = { 0 };
    size_t n = vb_shape_elements(shape);
    float *to = calloc(n + 1, sizeof *to), *from = malloc(bytes + 1);
    if (to == NULL || from == NULL || self->memory[tensor] == NULL)
        exit(3);
    if (self->device != NULL)
        check(vb_device_read(self->device, (vb_address)(uintptr_t)self->memory[tensor], from, bytes,
                             &err),
              &err);
    else
        memcpy(from, self->memory[tensor], bytes);
    strides_of(self, tensor, strides);
    for (size_t i = 0; i < n; i++) {
        size_t rest = i, at = 0;
        for (uint32_t d = shape->n_dims; d-- > 0;) {
            at += rest % shape->dims[d] * strides[d];
            rest /= shape->dims[d];
        }
        to[i] = from[at];
    }
    free(from);
    return to;
}
