/* SPDX-License-Identifier: Apache-2.0 */
/* What the cpu's convolutions and batch normalisations cost: those of one training step of YOLOv5s,
 * as vb_cpu_run() computes them, with all that lies around the primitive, beside oneDNN's primitive
 * alone with every tensor as it likes it best. Of each the fastest of several runs in turn. Prints;
 * judges nothing. Arguments: batch, image size, threads (4 320 2). With one thread the process's
 * own time is taken, which what else the machine does disturbs less. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/kernel.h"
#include "cpu/onednn.h"
#include "cpu/parallel.h"
#include "model/catalogue.h"
#include "step/build.h"
#include "step/forward.h"

enum { LEAST_RUNS = 5, MOST_RUNS = 100, MAX_SHAPES = 256, COPIED_MIB = 64 };
static const double seconds_each = 0.5;

/* Calls that are alike, and how many of them a step has. */
struct shape {
    const struct vb_call *call;
    size_t n;
    double ours, alone; /* milliseconds of one */
};

struct bench {
    struct vb_arena arena;
    struct vb_cpu *cpu;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct shape shapes[MAX_SHAPES];
    size_t n_shapes;
};

static clockid_t watch = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(watch, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool fails(dnnl_status_t status, const char *what)
{
    if (status != dnnl_success)
        fprintf(stderr, "oneDNN: %s: status %d\n", what, (int)status);
    return status != dnnl_success;
}

/* Numbers between 0 and 1. */
static void *make_floats(size_t bytes)
{
    float *made = aligned_alloc(64, (bytes + 63) / 64 * 64);
    for (size_t i = 0; made != NULL && i < bytes / sizeof *made; i++)
        made[i] = (float)(i * 7919 % 1009) / 1009.0F;
    return made;
}

/* oneDNN's primitive alone. */
struct alone {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[3];
    void *data[3];
};

static bool describe_alone(struct bench *bench, const struct vb_call *call,
                           dnnl_primitive_desc_t *out)
{
    const struct vb_window *window = &call->window->window;
    struct vb_memory_desc descs[3];
    struct vb_conv_descs all = { 0 };
    dnnl_primitive_desc_t forward;
    for (uint32_t i = 0; i < 3; i++) {
        dnnl_dims_t dims;
        for (uint32_t axis = 0; axis < 4; axis++)
            dims[axis] = call->operands[i].shape.dims[axis];
        if (fails(vb_memory_desc_make(&descs[i], 4, dims, dnnl_f32, NULL), "memory"))
            return false;
    }
    all.x = vb_memory_desc_borrow(&descs[0]);
    all.weight = vb_memory_desc_borrow(&descs[1]);
    all.y = vb_memory_desc_borrow(&descs[2]);
    for (int i = 0; i < 2; i++) {
        all.strides[i] = window->stride;
        all.dilates[i] = (dnnl_dim_t)window->dilation - 1;
        all.pad[i] = window->pad;
    }
    bool is_good =
        !fails(vb_conv_primitive_desc(&forward, bench->engine, VB_OP_CONV, &all, NULL, NULL),
               "forward") &&
        !fails(vb_conv_primitive_desc(out, bench->engine, call->op, &all, forward, NULL),
               "convolution");
    for (uint32_t i = 0; i < 3; i++)
        vb_memory_desc_drop(&descs[i]);
    return is_good && !fails(dnnl_primitive_desc_destroy(forward), "forward");
}

static bool make_alone(struct bench *bench, const struct vb_call *call, struct alone *out)
{
    bool is_data = call->op == VB_OP_CONV_BACKWARD_DATA;
    bool is_filter = call->op == VB_OP_CONV_BACKWARD_FILTER, is_forward = call->op == VB_OP_CONV;
    const dnnl_query_t queries[] = {
        is_data ? dnnl_query_diff_src_md : dnnl_query_src_md,
        is_filter ? dnnl_query_diff_weights_md : dnnl_query_weights_md,
        is_forward ? dnnl_query_dst_md : dnnl_query_diff_dst_md,
    };
    const int args[] = {
        is_data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC,
        is_filter ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS,
        is_forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST,
    };
    dnnl_primitive_desc_t desc;
    if (!describe_alone(bench, call, &desc))
        return false;
    for (uint32_t i = 0; i < 3; i++) {
        vb_memory_desc_ref of = dnnl_primitive_desc_query_md(desc, queries[i], 0);
        out->data[i] = make_floats(dnnl_memory_desc_get_size(of));
        out->args[i].arg = args[i];
        if (fails(dnnl_memory_create(&out->args[i].memory, of, bench->engine, out->data[i]),
                  "memory"))
            return false;
    }
    return !fails(dnnl_primitive_create(&out->primitive, desc), "primitive") &&
           !fails(dnnl_primitive_desc_destroy(desc), "description");
}

static bool run_alone(struct bench *bench, const struct alone *alone)
{
    return !fails(dnnl_primitive_execute(alone->primitive, bench->stream, 3, alone->args), "run") &&
           !fails(dnnl_stream_wait(bench->stream), "wait");
}

static void drop_alone(struct alone *alone)
{
    for (uint32_t i = 0; i < 3; i++) {
        (void)dnnl_memory_destroy(alone->args[i].memory);
        free(alone->data[i]);
    }
    (void)dnnl_primitive_destroy(alone->primitive);
}

/* The call with memory of its own. */
static bool make_work(struct bench *bench, const struct vb_call *call, void **tensors,
                      struct vb_operand *operands, void **workspace)
{
    struct vb_error err;
    uint64_t bytes;
    for (uint32_t i = 0; i < call->n_operands; i++) {
        operands[i] = call->operands[i];
        operands[i].offset = 0;
        tensors[i] = make_floats((size_t)vb_shape_elements(&operands[i].shape) * sizeof(float));
    }
    if (vb_cpu_workspace(bench->cpu, call, &bytes, &err) != VB_OK) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    *workspace = make_floats((size_t)bytes);
    return true;
}

static void keep_least(double *least, double start)
{
    double passed = (now() - start) * 1e3;
    if (*least == 0 || passed < *least)
        *least = passed;
}

static bool time_shape(struct bench *bench, struct shape *shape)
{
    struct vb_operand operands[VB_MAX_OPERANDS];
    void *tensors[VB_MAX_OPERANDS] = { 0 };
    struct vb_call call = *shape->call;
    struct vb_cpu_work work = { .call = &call, .tensors = tensors };
    struct vb_error err;
    struct alone alone = { 0 };
    bool is_conv = vb_operator_is_conv(call.op);
    if (!make_work(bench, &call, tensors, operands, &work.workspace) ||
        (is_conv && !make_alone(bench, &call, &alone)))
        return false;
    call.operands = operands;
    double begin = now();
    for (int i = 0; i < LEAST_RUNS || (i < MOST_RUNS && now() - begin < seconds_each); i++) {
        double start = now();
        if (vb_cpu_run(bench->cpu, &work, &err) != VB_OK) {
            fprintf(stderr, "%s\n", err.text);
            return false;
        }
        keep_least(&shape->ours, start);
        start = now();
        if (is_conv && !run_alone(bench, &alone))
            return false;
        keep_least(&shape->alone, start);
    }
    if (is_conv)
        drop_alone(&alone);
    for (uint32_t i = 0; i < call.n_operands; i++)
        free(tensors[i]);
    free(work.workspace);
    return true;
}

static bool is_like(const struct vb_call *a, const struct vb_call *b)
{
    if (a->op != b->op || a->n_operands != b->n_operands)
        return false;
    if (a->window != NULL && memcmp(a->window, b->window, sizeof *a->window) != 0)
        return false;
    for (uint32_t i = 0; i < a->n_operands; i++) {
        const struct vb_operand *x = &a->operands[i], *y = &b->operands[i];
        if (memcmp(&x->shape, &y->shape, sizeof x->shape) != 0 ||
            memcmp(x->strides, y->strides, sizeof x->strides) != 0)
            return false;
    }
    return true;
}

static void count_call(struct bench *bench, const struct vb_call *call)
{
    bool is_norm = call->op == VB_OP_BATCH_NORM || call->op == VB_OP_BATCH_NORM_BACKWARD;
    if (!is_norm && !vb_operator_is_conv(call->op))
        return;
    for (size_t i = 0; i < bench->n_shapes; i++) {
        if (is_like(bench->shapes[i].call, call)) {
            bench->shapes[i].n++;
            return;
        }
    }
    if (bench->n_shapes < MAX_SHAPES)
        bench->shapes[bench->n_shapes++] = (struct shape){ .call = call, .n = 1 };
}

/* The steady step's; the optimizer follows each batch, so that the loop is one. */
static bool collect(struct bench *bench, uint32_t batch, uint32_t imgsz)
{
    struct vb_point point = {
        .model = "yolov5s", .batch = batch, .imgsz = imgsz, .accumulate = 1, .ema = true
    };
    struct vb_error err;
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program *program = vb_arena_alloc(&bench->arena, 1, sizeof *program);
    if (program == NULL ||
        vb_catalogue_expand(point.model, batch, imgsz, 0, &bench->arena, &graph, &err) != VB_OK ||
        vb_recipe_find(&point, vb_family_of(&graph), &recipe, &err) != VB_OK ||
        vb_program_build(&graph, &point, &recipe, NULL, VB_CHANNELS_LAST, &bench->arena, program,
                         &err) != VB_OK) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    for (size_t i = program->loop_start; i < program->loop_end; i++) {
        if (program->instructions[i].kind == VB_RUN)
            count_call(bench, &program->calls[program->instructions[i].index]);
    }
    return true;
}

static void copy_stretch(void *context, size_t begin, size_t end)
{
    float *const *both = context;
    memcpy(both[1] + begin, both[0] + begin, (end - begin) * sizeof **both);
}

/* Bytes read and written a second by a copy that no cache holds. */
static double memory_rate(void)
{
    size_t bytes = (size_t)COPIED_MIB << 20;
    float *both[] = { make_floats(bytes), make_floats(bytes) };
    double least = 0;
    for (int i = 0; i < LEAST_RUNS; i++) {
        double start = now();
        vb_parallel(bytes / sizeof **both, 4096, copy_stretch, both);
        keep_least(&least, start);
    }
    free(both[0]);
    free(both[1]);
    return 2 * (double)bytes / least * 1e3;
}

static void print_conv(const struct shape *shape)
{
    const struct vb_call_window *of = shape->call->window;
    printf("%-22s %2zu times  %4u -> %4u  %3ux%-3u kernel %u stride %u  %8.2f ms  alone %8.2f  "
           "%3.0f %%  %4.0f Gflop/s\n",
           vb_operator_names[shape->call->op], shape->n, of->c, of->k, of->h, of->w,
           of->window.kernel_h, of->window.stride, shape->ours, shape->alone,
           100 * shape->alone / shape->ours, shape->call->flops / shape->ours / 1e6);
}

/* Forward reads x twice and writes y; backward reads two images twice and writes one. */
static void print_norm(const struct shape *shape, double rate)
{
    const struct vb_shape *of = &shape->call->operands[0].shape;
    double passes = shape->call->op == VB_OP_BATCH_NORM ? 3 : 5;
    double bytes = passes * (double)vb_shape_elements(of) * sizeof(float);
    double seconds = shape->ours / 1e3;
    printf("%-22s %2zu times  %4u  %3ux%-3u  %8.2f ms  %5.1f GB/s  %3.0f %% of a copy's\n",
           vb_operator_names[shape->call->op], shape->n, of->dims[1], of->dims[2], of->dims[3],
           shape->ours, bytes / seconds / 1e9, 100 * bytes / seconds / rate);
}

static void print_sum(const struct bench *bench, enum vb_operator op)
{
    double ours = 0, alone = 0;
    for (size_t i = 0; i < bench->n_shapes; i++) {
        const struct shape *shape = &bench->shapes[i];
        ours += shape->call->op == op ? (double)shape->n * shape->ours : 0;
        alone += shape->call->op == op ? (double)shape->n * shape->alone : 0;
    }
    printf("%-22s %8.1f ms a step", vb_operator_names[op], ours);
    if (vb_operator_is_conv(op))
        printf(", oneDNN alone %8.1f ms: %3.0f %%", alone, 100 * alone / ours);
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct vb_error err;
    uint32_t batch = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 4;
    uint32_t imgsz = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 320;
    uint32_t threads = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 2;
    watch = threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    if (vb_cpu_open(threads, &bench.cpu, &err) != VB_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (fails(dnnl_engine_create(&bench.engine, dnnl_cpu, 0), "engine") ||
        fails(dnnl_stream_create(&bench.stream, bench.engine, dnnl_stream_default_flags),
              "stream") ||
        !collect(&bench, batch, imgsz))
        return 1;
    double rate = memory_rate();
    printf("a copy: %.1f GB/s read and written\n", rate / 1e9);
    for (size_t i = 0; i < bench.n_shapes; i++) {
        if (!time_shape(&bench, &bench.shapes[i]))
            return 1;
        if (vb_operator_is_conv(bench.shapes[i].call->op))
            print_conv(&bench.shapes[i]);
        else
            print_norm(&bench.shapes[i], rate);
    }
    print_sum(&bench, VB_OP_CONV);
    print_sum(&bench, VB_OP_CONV_BACKWARD_DATA);
    print_sum(&bench, VB_OP_CONV_BACKWARD_FILTER);
    print_sum(&bench, VB_OP_BATCH_NORM);
    print_sum(&bench, VB_OP_BATCH_NORM_BACKWARD);
    (void)dnnl_stream_destroy(bench.stream);
    (void)dnnl_engine_destroy(bench.engine);
    vb_cpu_close(bench.cpu);
    vb_arena_clear(&bench.arena);
    return 0;
}
