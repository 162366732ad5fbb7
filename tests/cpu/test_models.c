/* SPDX-License-Identifier: Apache-2.0 */
/* Whole models' forward and backward passes by the cpu's kernels against naive loops (reference/):
 * those with attention and depthwise convolutions, and with two heads of which one gives its inputs
 * no gradient. What is differentiated is the sum of the predictions, each element times a number.
 */

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/reference/reference.h"
#include "model/catalogue.h"
#include "step/forward.h"
#include "step/math.h"

enum { BATCH = 2, IMGSZ = 64, MAX_PREDICTIONS = 16 };
#define LIMIT 2e-3

struct passes {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
    struct vb_tape tape;
    uint32_t *storages; /* of parameters and buffers */
    struct vb_variable images, predictions[MAX_PREDICTIONS];
    void **memory; /* of each tensor; nothing is freed */
};

static double drawn(uint64_t tensor, uint64_t i)
{
    uint64_t x = (tensor + 1) * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 29;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 32;
    return (double)(float)((double)(x >> 11) / 4503599627370496.0 - 1);
}

/* Weights of a size that keeps activations near 1, also where a batch normalisation follows. */
static double weight(const struct vb_graph *graph, uint32_t parameter, uint64_t i)
{
    const struct vb_parameter *of = &graph->parameters[parameter];
    double fan_in = of->shape.n_dims == 4 ? (double)of->elements / of->shape.dims[0] : 1;
    if (of->role == VB_ROLE_NORM)
        return 1 + 0.25 * drawn(parameter, i);
    return drawn(parameter, i) * (of->role == VB_ROLE_BIAS ? 0.1 : sqrt(3 / fan_in));
}

static struct vb_variable weighted_sum(struct passes *p, uint32_t prediction, float *weights)
{
    struct vb_variable of = p->predictions[prediction];
    struct vb_variable weight =
        vb_make(&p->tape, &(struct vb_call){ .op = VB_OP_UPLOAD, .data = weights }, &of.shape,
                VB_FLOAT32, NULL, 0);
    return vb_sum(&p->tape, vb_binary(&p->tape, VB_OP_MUL, of, weight));
}

static void trace(struct passes *p)
{
    static const struct vb_torch torch = { .sums_in_place = true, .counts_in_place = true };
    struct vb_graph *graph = &p->graph;
    struct vb_error err = { "" };
    uint32_t n = graph->n_parameters + graph->n_buffers;
    p->program = (struct vb_program){ .arena = &p->arena, .layout = VB_CHANNELS_LAST };
    p->tape = (struct vb_tape){
        .program = &p->program, .torch = &torch, .module = "", .n_parameters = graph->n_parameters
    };
    p->tape.gradients = vb_arena_alloc(&p->arena, n, sizeof *p->tape.gradients);
    p->tape.parameter_names = vb_arena_alloc(&p->arena, n, sizeof(char *));
    p->storages = vb_arena_alloc(&p->arena, n, sizeof *p->storages);
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_parameter *of = &graph->parameters[i];
        p->tape.gradients[i] = vb_undefined;
        p->tape.parameter_names[i] = of->name;
        p->storages[i] =
            vb_tape_new_image(&p->tape, of->name, &of->shape, of->is_int64 ? VB_INT64 : VB_FLOAT32)
                .storage;
    }
    p->images = vb_tape_new_image(&p->tape, "images", &graph->values[0].shape, VB_FLOAT32);
    cr_assert_eq(vb_forward(&p->tape, graph, p->storages, p->images, p->predictions, &err), VB_OK,
                 "%s", err.text);
    struct vb_variable loss = vb_undefined;
    for (uint32_t i = 0; i < vb_n_predictions(graph); i++) {
        uint64_t elements = vb_shape_elements(&p->predictions[i].shape);
        float *weights = vb_arena_alloc(&p->arena, elements, sizeof *weights);
        for (uint64_t k = 0; k < elements; k++)
            weights[k] = (float)drawn(10000 + i, k);
        struct vb_variable part = weighted_sum(p, i, weights);
        loss = i == 0 ? part : vb_binary(&p->tape, VB_OP_ADD, loss, part);
    }
    vb_tape_backward(&p->tape, loss);
    cr_assert(!p->program.failed);
}

/* Where element i, counted in the order of the axes, lies. */
static uint64_t place_of(const struct vb_variable *x, uint64_t i)
{
    uint64_t at = x->offset;
    for (uint32_t axis = x->shape.n_dims; axis-- > 0; i /= x->shape.dims[axis])
        at += i % x->shape.dims[axis] * x->strides[axis];
    return at;
}

static void fill(const struct passes *p, uint32_t i)
{
    const struct vb_parameter *of = &p->graph.parameters[i];
    struct vb_variable x = vb_tape_parameter(&p->tape, i, p->storages[i]);
    const char *dot = strrchr(of->name, '.');
    if (of->is_int64)
        *(int64_t *)p->memory[x.storage] = 0;
    for (uint64_t k = 0; k < of->elements && !of->is_int64; k++)
        ((float *)p->memory[x.storage])[place_of(&x, k)] =
            of->role == VB_ROLE_BUFFER ? (strcmp(dot, ".running_var") == 0 ? 1.0F : 0.0F)
                                       : (float)weight(&p->graph, i, k);
}

static void run_call(struct vb_cpu *cpu, const struct vb_call *call, void **memory)
{
    void *tensors[VB_MAX_OPERANDS];
    struct vb_error err = { "" };
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < call->n_operands; i++)
        tensors[i] = call->operands[i].tensor == VB_NONE ? NULL : memory[call->operands[i].tensor];
    cr_assert_eq(vb_cpu_workspace(cpu, call, &bytes, &err), VB_OK, "%s", err.text);
    void *workspace = aligned_alloc(64, (size_t)(bytes / 64 + 1) * 64);
    const struct vb_cpu_work work = {
        .call = call, .tensors = tensors, .workspace = workspace, .update = 1
    };
    cr_assert_eq(vb_cpu_run(cpu, &work, &err), VB_OK, "%s", err.text);
    free(workspace);
}

/* Tensors stay, whether freed or not, and begin as NaN. */
static void run(struct passes *p)
{
    struct vb_error err = { "" };
    struct vb_cpu *cpu = NULL;
    const struct vb_program *program = &p->program;
    p->memory = calloc(program->n_tensors, sizeof *p->memory);
    cr_assert_eq(vb_cpu_open(2, &cpu, &err), VB_OK, "%s", err.text);
    for (size_t i = 0; i < program->n_tensors; i++) {
        p->memory[i] = malloc((size_t)program->tensors[i].bytes + 1);
        memset(p->memory[i], 0xff, (size_t)program->tensors[i].bytes + 1);
    }
    for (uint32_t i = 0; i < p->graph.n_parameters + p->graph.n_buffers; i++)
        fill(p, i);
    for (uint64_t i = 0; i < vb_shape_elements(&p->images.shape); i++)
        ((float *)p->memory[p->images.storage])[place_of(&p->images, i)] = (float)drawn(9999, i);
    for (size_t i = 0; i < program->n_instructions; i++) {
        if (program->instructions[i].kind == VB_RUN)
            run_call(cpu, &program->calls[program->instructions[i].index], p->memory);
    }
    vb_cpu_close(cpu);
}

/* The value of the graph that is prediction i. */
static uint32_t predicted(const struct vb_graph *graph, uint32_t i)
{
    return i < graph->n_levels ? graph->levels[i].output
                               : graph->levels[i - graph->n_levels].one_to_one;
}

static void work_out(const struct vb_graph *graph, struct vb_reference *reference)
{
    vb_reference_open(reference, graph);
    for (uint32_t i = 0; i < graph->n_parameters; i++)
        for (uint64_t k = 0; k < graph->parameters[i].elements; k++)
            reference->parameters[i][k] = (double)(float)weight(graph, i, k);
    for (uint64_t i = 0; i < vb_shape_elements(&graph->values[0].shape); i++)
        reference->values[0][i] = drawn(9999, i);
    vb_reference_forward(reference);
    for (uint32_t i = 0; i < vb_n_predictions(graph); i++) {
        uint32_t value = predicted(graph, i);
        for (uint64_t k = 0; k < vb_shape_elements(&graph->values[value].shape); k++)
            reference->gradients[value][k] = drawn(10000 + i, k);
    }
    vb_reference_backward(reference);
}

/* Relative to the largest number of the tensor, or to `least`. */
static double compare(const struct passes *p, const char *what, const struct vb_variable *ours,
                      const double *theirs, double least)
{
    double apart = 0, largest = least;
    for (uint64_t i = 0; i < vb_shape_elements(&ours->shape); i++) {
        double number = (double)((float *)p->memory[ours->storage])[place_of(ours, i)];
        double difference = fabs(number - theirs[i]);
        apart = difference <= apart ? apart : difference; /* a NaN too */
        largest = fmax(largest, fabs(theirs[i]));
    }
    cr_expect(apart <= LIMIT * largest, "%s of %s: %g apart, the largest is %g", what,
              p->graph.model, apart, largest);
    return apart / largest;
}

/* A bias that a normalisation takes out again has no gradient but what rounding leaves of a sum of
 * others: those are held to a thousandth of the largest gradient of any parameter. */
static double least_gradient(const struct vb_reference *reference)
{
    const struct vb_graph *graph = reference->graph;
    double largest = 0;
    for (uint32_t i = 0; i < graph->n_parameters; i++)
        for (uint64_t k = 0; k < graph->parameters[i].elements; k++)
            largest = fmax(largest, fabs(reference->parameter_gradients[i][k]));
    return largest / 1000;
}

static void compare_model(const char *model)
{
    struct passes p = { .memory = NULL };
    struct vb_reference reference;
    struct vb_error err = { "" };
    double worst = 0;
    cr_assert_eq(vb_catalogue_expand(model, BATCH, IMGSZ, 0, &p.arena, &p.graph, &err), VB_OK, "%s",
                 err.text);
    trace(&p);
    run(&p);
    work_out(&p.graph, &reference);
    double least = least_gradient(&reference);
    for (uint32_t i = 0; i < vb_n_predictions(&p.graph); i++)
        worst = fmax(worst, compare(&p, "prediction", &p.predictions[i],
                                    reference.values[predicted(&p.graph, i)], 0));
    for (uint32_t i = 0; i < p.graph.n_parameters; i++) {
        const struct vb_parameter *of = &p.graph.parameters[i];
        cr_expect_eq(vb_is_defined(&p.tape.gradients[i]), !of->is_frozen, "%s", of->name);
        if (!of->is_frozen)
            worst = fmax(worst, compare(&p, of->name, &p.tape.gradients[i],
                                        reference.parameter_gradients[i], least));
    }
    printf("%s: predictions and gradients at most %.1e apart\n", model, worst);
    for (size_t i = 0; i < p.program.n_tensors; i++)
        free(p.memory[i]);
    free(p.memory);
    vb_reference_close(&reference);
    vb_arena_clear(&p.arena);
}

Test(models, with_two_heads_and_attention_are_what_naive_loops_give)
{
    compare_model("yolov10n");
}

Test(models, with_blocks_within_blocks_are_what_naive_loops_give)
{
    compare_model("yolo11n");
}

Test(models, with_attention_within_areas_are_what_naive_loops_give)
{
    compare_model("yolo12n");
}

/* YOLO12's larger sizes have numbers that multiply channels. */
Test(models, with_residual_areas_are_what_naive_loops_give)
{
    compare_model(VB_TEST_DATA "/models/areas.yaml");
}

Test(models, with_attention_in_a_block_and_distances_are_what_naive_loops_give)
{
    compare_model("yolo26n");
}
