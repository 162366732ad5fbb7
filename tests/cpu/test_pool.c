/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling, upsampling and resizing against plain loops in fp64. */

#include "layer.h"

struct pool_case {
    char label[48];
    uint32_t n, c, h, w;
    struct vb_window window;
    enum lies x, y, places;
    enum vb_dtype dtype;
    bool has_ties; /* and infinities and NaN */
};

#define WINDOW(kernel, stride, pad, dilation)                                                      \
    {                                                                                              \
        kernel, kernel, stride, pad, dilation                                                      \
    }

static const struct pool_case pools[] = {
    { "SPPF", 2, 16, 10, 10, WINDOW(5, 1, 2, 1), LAST, LAST, LAST, VB_FLOAT32, false },
    { "SPP", 1, 8, 9, 7, WINDOW(13, 1, 6, 1), LAST, LAST, LAST, VB_FLOAT32, false },
    { "ties, infinities and NaN", 2, 16, 10, 10, WINDOW(5, 1, 2, 1), LAST, LAST, LAST, VB_FLOAT32,
      true },
    { "halves the size", 2, 8, 10, 9, WINDOW(2, 2, 0, 1), LAST, LAST, LAST, VB_FLOAT32, true },
    { "as a ResNet begins", 1, 8, 11, 13, WINDOW(3, 2, 1, 1), LAST, LAST, LAST, VB_FLOAT32, true },
    { "dilation", 1, 4, 11, 12, WINDOW(3, 1, 1, 2), LAST, LAST, LAST, VB_FLOAT32, true },
    { "stride and dilation", 1, 4, 12, 11, WINDOW(3, 2, 1, 3), LAST, LAST, LAST, VB_FLOAT32, true },
    { "a stride beyond the kernel", 1, 4, 12, 11, WINDOW(2, 3, 0, 1), LAST, LAST, LAST, VB_FLOAT32,
      false },
    { "more channels than a pass takes", 1, 300, 5, 4, WINDOW(3, 1, 1, 1), LAST, LAST, LAST,
      VB_FLOAT32, true },
    { "in order", 2, 6, 9, 8, WINDOW(3, 2, 1, 1), ORDERED, ORDERED, ORDERED, VB_FLOAT32, true },
    { "slices and gaps", 2, 6, 9, 8, WINDOW(5, 1, 2, 1), SLICED, SPREAD, SPREAD, VB_FLOAT32, true },
    { "fp16, whole packs", 2, 16, 9, 8, WINDOW(5, 1, 2, 1), LAST, LAST, LAST, VB_FLOAT16, true },
    { "bf16, whole packs", 2, 16, 9, 8, WINDOW(5, 1, 2, 1), LAST, LAST, LAST, VB_BFLOAT16, true },
    { "fp16", 2, 6, 9, 8, WINDOW(5, 1, 2, 1), LAST, LAST, LAST, VB_FLOAT16, true },
    { "bf16", 2, 6, 9, 8, WINDOW(5, 1, 2, 1), LAST, SLICED, ORDERED, VB_BFLOAT16, true },
};
enum { MOST = 1 << 14 };

static uint32_t out_size(uint32_t size, const struct vb_window *window)
{
    return (size + 2 * window->pad - window->dilation * (window->kernel_h - 1) - 1) /
               window->stride +
           1;
}

/* Few values, so that most windows have their maximum twice. */
static void make_ties(const struct pool_case *of, struct tensor *x)
{
    for (size_t n = 0; n < of->n; n++)
        for (size_t c = 0; c < of->c; c++)
            for (size_t h = 0; h < of->h; h++)
                for (size_t w = 0; w < of->w; w++) {
                    uint64_t i = index_of(x, n, c, h, w);
                    double value = floor(get_at(x, i) * 3);
                    size_t kind = (n * 31 + c * 7 + h * 3 + w * 5) % 61;
                    put_at(x, i, c == 1 || kind == 1 ? -INFINITY : kind == 0 ? (double)NAN : value);
                }
}

/* PyTorch's rule. Source: aten/src/ATen/native/cpu/MaxPoolKernel.cpp: of the window's places in
 * order the first, then whatever is larger or NaN. */
static void pool_plane(const struct pool_case *of, const struct tensor *x, size_t n, size_t c,
                       const uint32_t *out, double *values, double *places)
{
    const struct vb_window *window = &of->window;
    for (size_t oh = 0; oh < out[2]; oh++)
        for (size_t ow = 0; ow < out[3]; ow++) {
            double best = -INFINITY, place = -1;
            for (size_t i = 0; i < window->kernel_h; i++)
                for (size_t j = 0; j < window->kernel_w; j++) {
                    long h = (long)(oh * window->stride + i * window->dilation) - window->pad;
                    long w = (long)(ow * window->stride + j * window->dilation) - window->pad;
                    if (h < 0 || w < 0 || h >= (long)of->h || w >= (long)of->w)
                        continue;
                    double value = get(x, n, c, (size_t)h, (size_t)w);
                    if (place < 0 || value > best || isnan(value)) {
                        best = value;
                        place = (double)(h * (long)of->w + w);
                    }
                }
            size_t at = ((n * of->c + c) * out[2] + oh) * out[3] + ow;
            values[at] = best;
            places[at] = place;
        }
}

Test(max_pool, equals_pytorchs_rule)
{
    static double values[MOST], places[MOST];
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        const struct pool_case *of = &pools[i];
        const uint32_t in[] = { of->n, of->c, of->h, of->w };
        const uint32_t out[] = { of->n, of->c, out_size(of->h, &of->window),
                                 out_size(of->w, &of->window) };
        struct tensor all[] = { make_tensor(4, in, of->dtype, of->x, 1),
                                make_tensor(4, out, of->dtype, of->y, 2),
                                make_tensor(4, out, VB_INT64, of->places, 3) };
        if (of->has_ties)
            make_ties(of, &all[0]);
        for (size_t n = 0; n < of->n; n++)
            for (size_t c = 0; c < of->c; c++)
                pool_plane(of, &all[0], n, c, out, values, places);
        const struct vb_call_window window = {
            of->n, of->c, of->h, of->w, of->c, of->window, of->c
        };
        struct vb_call call = { .op = VB_OP_MAX_POOL, .window = &window };
        run_call(cpu, &call, all, 3, 6, of->label);
        compare_tensor(&all[1], values, 0, of->label, "maximum");
        compare_tensor(&all[2], places, 0, of->label, "place");
        drop_tensors(all, 3);
    }
    vb_cpu_close(cpu);
}

Test(max_pool, gradient_goes_to_the_places)
{
    static double values[MOST], places[MOST], want[MOST];
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        const struct pool_case *of = &pools[i];
        const uint32_t in[] = { of->n, of->c, of->h, of->w };
        const uint32_t out[] = { of->n, of->c, out_size(of->h, &of->window),
                                 out_size(of->w, &of->window) };
        struct tensor x = make_tensor(4, in, of->dtype, of->x, 1);
        struct tensor all[] = { make_tensor(4, out, of->dtype, of->y, 2),
                                make_tensor(4, out, VB_INT64, of->places, 3),
                                make_tensor(4, in, of->dtype, of->x, 4) };
        memset(want, 0, sizeof want);
        for (size_t n = 0, at = 0; n < of->n; n++)
            for (size_t c = 0; c < of->c; c++) {
                pool_plane(of, &x, n, c, out, values, places);
                for (size_t h = 0; h < out[2]; h++)
                    for (size_t w = 0; w < out[3]; w++, at++) {
                        put_at(&all[1], index_of(&all[1], n, c, h, w), places[at]);
                        want[(n * of->c + c) * of->h * of->w + (size_t)places[at]] +=
                            get(&all[0], n, c, h, w);
                    }
            }
        const struct vb_call_window window = {
            of->n, of->c, of->h, of->w, of->c, of->window, of->c
        };
        struct vb_call call = { .op = VB_OP_MAX_POOL_BACKWARD, .window = &window };
        run_call(cpu, &call, all, 3, 4, of->label);
        compare_tensor(&all[2], want, tolerance_of(of->dtype), of->label, "gradient");
        drop_tensors(all, 3);
        drop_tensors(&x, 1);
    }
    vb_cpu_close(cpu);
}

struct resample_case {
    char label[48];
    enum vb_operator op;
    uint32_t in[4], out[4];
    uint32_t out_dims;
    enum lies x, y;
    enum vb_dtype dtype;
};

static const struct resample_case resamples[] = {
    { "by two", VB_OP_UPSAMPLE, { 2, 7, 3, 5 }, { 2, 7, 6, 10 }, 4, LAST, LAST, VB_FLOAT32 },
    { "by three and one",
      VB_OP_UPSAMPLE,
      { 1, 600, 2, 2 },
      { 1, 600, 6, 2 },
      4,
      LAST,
      SLICED,
      VB_FLOAT32 },
    { "fp16 by two", VB_OP_UPSAMPLE, { 2, 7, 3, 5 }, { 2, 7, 6, 10 }, 4, LAST, SPREAD, VB_FLOAT16 },
    { "by two back",
      VB_OP_UPSAMPLE_BACKWARD,
      { 2, 7, 6, 10 },
      { 2, 7, 3, 5 },
      4,
      LAST,
      LAST,
      VB_FLOAT32 },
    { "by three back",
      VB_OP_UPSAMPLE_BACKWARD,
      { 1, 600, 6, 3 },
      { 1, 600, 2, 1 },
      4,
      SLICED,
      ORDERED,
      VB_FLOAT32 },
    { "bf16 by two back",
      VB_OP_UPSAMPLE_BACKWARD,
      { 2, 7, 6, 10 },
      { 2, 7, 3, 5 },
      4,
      SPREAD,
      LAST,
      VB_BFLOAT16 },
    { "smaller", VB_OP_RESIZE, { 2, 3, 16, 12 }, { 2, 3, 11, 7 }, 4, LAST, LAST, VB_FLOAT32 },
    { "larger", VB_OP_RESIZE, { 2, 3, 8, 5 }, { 2, 3, 11, 9 }, 4, ORDERED, SPREAD, VB_FLOAT32 },
    { "fp16 larger", VB_OP_RESIZE, { 2, 3, 8, 5 }, { 2, 3, 11, 9 }, 4, LAST, SPREAD, VB_FLOAT16 },
    { "sixteen channels by two",
      VB_OP_UPSAMPLE,
      { 2, 16, 3, 5 },
      { 2, 16, 6, 10 },
      4,
      LAST,
      LAST,
      VB_FLOAT16 },
    { "sixteen channels by two back",
      VB_OP_UPSAMPLE_BACKWARD,
      { 2, 16, 6, 10 },
      { 2, 16, 3, 5 },
      4,
      LAST,
      LAST,
      VB_BFLOAT16 },
    { "sixteen channels larger",
      VB_OP_RESIZE,
      { 1, 16, 8, 5 },
      { 1, 16, 11, 9 },
      4,
      LAST,
      LAST,
      VB_FLOAT32 },
    { "a plane's average",
      VB_OP_AVERAGE_POOL,
      { 2, 9, 7, 5 },
      { 2, 9, 1, 1 },
      4,
      LAST,
      LAST,
      VB_FLOAT32 },
    { "without its axes",
      VB_OP_AVERAGE_POOL,
      { 3, 600, 4, 4 },
      { 3, 600, 1, 1 },
      2,
      LAST,
      ORDERED,
      VB_FLOAT32 },
    { "in order",
      VB_OP_AVERAGE_POOL,
      { 2, 9, 7, 5 },
      { 2, 9, 1, 1 },
      4,
      ORDERED,
      ORDERED,
      VB_FLOAT32 },
    { "of fp16",
      VB_OP_AVERAGE_POOL,
      { 2, 9, 7, 5 },
      { 2, 9, 1, 1 },
      2,
      SPREAD,
      ORDERED,
      VB_FLOAT16 },
};

/* How much of x's pixel goes into y's along one axis of so many. */
static double share_of(enum vb_operator op, size_t from, size_t to, size_t in, size_t out)
{
    if (op == VB_OP_AVERAGE_POOL)
        return 1.0 / (double)in;
    if (op == VB_OP_UPSAMPLE)
        return to / (out / in) == from;
    if (op == VB_OP_UPSAMPLE_BACKWARD)
        return from / (in / out) == to;
    double place = fmax(((double)to + 0.5) * (double)in / (double)out - 0.5, 0);
    return fmax(1 - fabs(fmin(place, (double)(in - 1)) - (double)from), 0);
}

static double sum_shares(const struct resample_case *of, const struct tensor *x, const size_t *at)
{
    double sum = 0;
    for (size_t h = 0; h < of->in[2]; h++)
        for (size_t w = 0; w < of->in[3]; w++)
            sum += get(x, at[0], at[1], h, w) * share_of(of->op, h, at[2], of->in[2], of->out[2]) *
                   share_of(of->op, w, at[3], of->in[3], of->out[3]);
    return sum;
}

Test(resample, equals_plain_loops)
{
    static double want[MOST];
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof resamples / sizeof *resamples; i++) {
        const struct resample_case *of = &resamples[i];
        struct tensor all[] = { make_tensor(4, of->in, of->dtype, of->x, 1),
                                make_tensor(of->out_dims, of->out, of->dtype, of->y, 2) };
        size_t at[4], n = 0;
        for (at[0] = 0; at[0] < of->out[0]; at[0]++)
            for (at[1] = 0; at[1] < of->out[1]; at[1]++)
                for (at[2] = 0; at[2] < of->out[2]; at[2]++)
                    for (at[3] = 0; at[3] < of->out[3]; at[3]++)
                        want[n++] = sum_shares(of, &all[0], at);
        struct vb_call call = { .op = of->op };
        run_call(cpu, &call, all, 2, 2, of->label);
        compare_tensor(&all[1], want, tolerance_of(of->dtype), of->label, "y");
        drop_tensors(all, 2);
    }
    vb_cpu_close(cpu);
}

Test(resample, refuses_what_is_no_whole_number)
{
    struct vb_cpu *cpu = open_cpu();
    struct vb_error err = { "" };
    const struct vb_operand operands[] = {
        { .dtype = VB_FLOAT32, .shape = { 4, { 1, 1, 4, 4 } }, .strides = { 16, 16, 4, 1 } },
        { .dtype = VB_FLOAT32, .shape = { 4, { 1, 1, 6, 8 } }, .strides = { 48, 48, 8, 1 } },
    };
    float data[48];
    void *tensors[] = { data, data };
    struct vb_call call = {
        .op = VB_OP_UPSAMPLE, .module = "model.11", .operands = operands, .n_operands = 2
    };
    const struct vb_cpu_work work = { .call = &call, .tensors = tensors };
    cr_assert_eq(vb_cpu_run(cpu, &work, &err), VB_E_DEVICE);
    cr_assert_not_null(strstr(err.text, "does not enlarge by a whole number"), "%s", err.text);
    vb_cpu_close(cpu);
}
