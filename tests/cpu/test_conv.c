/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions in three directions against plain loops in fp64. */

#include "layer.h"

enum { X, WEIGHT, Y };

struct conv_case {
    char label[48];
    struct vb_call_window window;
    enum lies lies[3];
    enum vb_dtype dtype;
};

#define WINDOW(kernel_h, kernel_w, stride, pad, dilation)                                          \
    {                                                                                              \
        kernel_h, kernel_w, stride, pad, dilation                                                  \
    }

static const struct conv_case convs[] = {
    { "a pixel", { 2, 16, 9, 7, 24, WINDOW(1, 1, 1, 0, 1), 1 }, { LAST, LAST, LAST }, VB_FLOAT32 },
    { "3 by 3", { 2, 8, 10, 10, 16, WINDOW(3, 3, 1, 1, 1), 1 }, { LAST, LAST, LAST }, VB_FLOAT32 },
    { "3 by 3 with stride",
      { 2, 16, 11, 9, 8, WINDOW(3, 3, 2, 1, 1), 1 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "even size with stride",
      { 1, 32, 8, 8, 64, WINDOW(3, 3, 2, 1, 1), 1 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "the first layer",
      { 2, 3, 20, 16, 32, WINDOW(6, 6, 2, 2, 1), 1 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "a head of 255",
      { 2, 32, 5, 5, 255, WINDOW(1, 1, 1, 0, 1), 1 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "odd channels",
      { 3, 5, 7, 9, 7, WINDOW(3, 3, 1, 1, 1), 1 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "another height than width",
      { 1, 4, 9, 12, 6, WINDOW(1, 5, 1, 2, 1), 1 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "one channel",
      { 2, 1, 6, 6, 1, WINDOW(3, 3, 1, 1, 1), 1 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "groups", { 2, 16, 9, 9, 32, WINDOW(3, 3, 1, 1, 1), 4 }, { LAST, LAST, LAST }, VB_FLOAT32 },
    { "groups of odd channels",
      { 1, 9, 7, 7, 6, WINDOW(3, 3, 2, 1, 1), 3 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "depthwise",
      { 2, 24, 9, 9, 24, WINDOW(3, 3, 1, 1, 1), 24 },
      { LAST, LAST, LAST },
      VB_FLOAT32 },
    { "dilation", { 2, 8, 12, 12, 8, WINDOW(3, 3, 1, 2, 2), 1 }, { LAST, LAST, LAST }, VB_FLOAT32 },
    { "in order",
      { 2, 16, 9, 9, 8, WINDOW(3, 3, 1, 1, 1), 1 },
      { ORDERED, ORDERED, ORDERED },
      VB_FLOAT32 },
    { "in order, groups",
      { 2, 16, 9, 9, 8, WINDOW(3, 3, 1, 1, 1), 2 },
      { ORDERED, ORDERED, ORDERED },
      VB_FLOAT32 },
    { "slices of wider tensors",
      { 2, 16, 9, 9, 8, WINDOW(3, 3, 1, 1, 1), 1 },
      { SLICED, LAST, SLICED },
      VB_FLOAT32 },
    { "a slice, a pixel",
      { 2, 16, 9, 9, 8, WINDOW(1, 1, 1, 0, 1), 1 },
      { SLICED, LAST, LAST },
      VB_FLOAT32 },
    { "gaps everywhere",
      { 2, 6, 9, 9, 8, WINDOW(3, 3, 2, 1, 1), 1 },
      { SPREAD, SPREAD, SPREAD },
      VB_FLOAT32 },
    { "fp16", { 2, 16, 9, 9, 8, WINDOW(3, 3, 1, 1, 1), 1 }, { LAST, LAST, LAST }, VB_FLOAT16 },
    { "fp16, slices and gaps",
      { 2, 6, 9, 9, 8, WINDOW(3, 3, 2, 1, 1), 2 },
      { SLICED, SPREAD, ORDERED },
      VB_FLOAT16 },
    { "bf16", { 2, 16, 9, 9, 8, WINDOW(3, 3, 1, 1, 1), 1 }, { LAST, LAST, LAST }, VB_BFLOAT16 },
    { "bf16, slices and gaps",
      { 2, 6, 9, 9, 8, WINDOW(3, 3, 2, 1, 1), 2 },
      { SLICED, SPREAD, ORDERED },
      VB_BFLOAT16 },
};

static uint32_t out_size(uint32_t size, uint32_t kernel, const struct vb_window *window)
{
    return (size + 2 * window->pad - window->dilation * (kernel - 1) - 1) / window->stride + 1;
}

static size_t flat(const struct vb_operand *of, size_t n, size_t c, size_t h, size_t w)
{
    const uint32_t *dims = of->shape.dims;
    return ((n * dims[1] + c) * dims[2] + h) * dims[3] + w;
}

/* The products of one pixel of y and one of its channels. */
static void add_products(const struct conv_case *of, const struct tensor *all, uint32_t result,
                         const size_t *at, double *want)
{
    const struct vb_call_window *window = &of->window;
    size_t in_group = window->c / window->groups, out_group = window->k / window->groups;
    for (size_t c = 0; c < in_group; c++)
        for (size_t i = 0; i < window->window.kernel_h; i++)
            for (size_t j = 0; j < window->window.kernel_w; j++) {
                size_t h = at[2] * window->window.stride + i * window->window.dilation;
                size_t w = at[3] * window->window.stride + j * window->window.dilation;
                size_t channel = at[1] / out_group * in_group + c;
                if (h < window->window.pad || h - window->window.pad >= window->h ||
                    w < window->window.pad || w - window->window.pad >= window->w)
                    continue;
                h -= window->window.pad;
                w -= window->window.pad;
                double x = get(&all[X], at[0], channel, h, w);
                double weight = get(&all[WEIGHT], at[1], c, i, j);
                double y = get(&all[Y], at[0], at[1], at[2], at[3]);
                if (result == Y)
                    want[flat(&all[Y].operand, at[0], at[1], at[2], at[3])] += x * weight;
                else if (result == X)
                    want[flat(&all[X].operand, at[0], channel, h, w)] += y * weight;
                else
                    want[flat(&all[WEIGHT].operand, at[1], c, i, j)] += x * y;
            }
}

static double *reference(const struct conv_case *of, const struct tensor *all, uint32_t result)
{
    double *want = calloc((size_t)vb_shape_elements(&all[result].operand.shape), sizeof *want);
    const uint32_t *dims = all[Y].operand.shape.dims;
    size_t at[4];
    for (at[0] = 0; at[0] < dims[0]; at[0]++)
        for (at[1] = 0; at[1] < dims[1]; at[1]++)
            for (at[2] = 0; at[2] < dims[2]; at[2]++)
                for (at[3] = 0; at[3] < dims[3]; at[3]++)
                    add_products(of, all, result, at, want);
    return want;
}

static void make_operands(const struct conv_case *of, struct tensor *all)
{
    const struct vb_call_window *window = &of->window;
    const uint32_t dims[3][4] = {
        { window->n, window->c, window->h, window->w },
        { window->k, window->c / window->groups, window->window.kernel_h, window->window.kernel_w },
        { window->n, window->k, out_size(window->h, window->window.kernel_h, &window->window),
          out_size(window->w, window->window.kernel_w, &window->window) },
    };
    for (uint32_t i = 0; i < 3; i++)
        all[i] = make_tensor(4, dims[i], of->dtype, of->lies[i], i + 1);
}

static void check_direction(struct vb_cpu *cpu, const struct conv_case *of, enum vb_operator op,
                            uint32_t result)
{
    struct tensor all[3];
    struct vb_call call = { .op = op, .dtype = of->dtype, .window = &of->window };
    make_operands(of, all);
    double *want = reference(of, all, result);
    for (int i = 0; i < 2; i++) { /* the second time by the same primitive */
        run_call(cpu, &call, all, 3, 1U << result, of->label);
        compare_tensor(&all[result], want, tolerance_of(of->dtype), of->label,
                       vb_operator_names[op]);
    }
    free(want);
    drop_tensors(all, 3);
}

Test(conv, equals_plain_loops)
{
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        check_direction(cpu, &convs[i], VB_OP_CONV, Y);
        check_direction(cpu, &convs[i], VB_OP_CONV_BACKWARD_DATA, X);
        check_direction(cpu, &convs[i], VB_OP_CONV_BACKWARD_FILTER, WEIGHT);
    }
    vb_cpu_close(cpu);
}

/* A gradient that is the same for all images has a stride of 0. */
Test(conv, takes_what_repeats)
{
    struct vb_cpu *cpu = open_cpu();
    const struct conv_case of = { "a gradient that repeats",
                                  { 3, 8, 6, 6, 8, WINDOW(3, 3, 1, 1, 1), 1 },
                                  { LAST, LAST, REPEATED },
                                  VB_FLOAT32 };
    check_direction(cpu, &of, VB_OP_CONV_BACKWARD_DATA, X);
    check_direction(cpu, &of, VB_OP_CONV_BACKWARD_FILTER, WEIGHT);
    vb_cpu_close(cpu);
}

Test(conv, says_what_does_not_go_together)
{
    struct vb_cpu *cpu = open_cpu();
    struct vb_error err = { "" };
    struct tensor all[3];
    uint64_t bytes;
    make_operands(&convs[0], all);
    all[Y].operand.shape.dims[2]++;
    const struct vb_operand operands[] = { all[X].operand, all[WEIGHT].operand, all[Y].operand };
    const struct vb_call call = {
        .op = VB_OP_CONV, .window = &convs[0].window, .operands = operands, .n_operands = 3
    };
    cr_assert_eq(vb_cpu_workspace(cpu, &call, &bytes, &err), VB_E_DEVICE);
    cr_assert_str_eq(err.text,
                     "oneDNN refuses conv2d with status 2: the operands do not go together");
    drop_tensors(all, 3);
    vb_cpu_close(cpu);
}
