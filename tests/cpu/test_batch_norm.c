/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalisation against the formulas in fp64. */

#include "layer.h"

struct norm_case {
    char label[48];
    uint32_t dims[4];
    enum lies x, y;
    enum vb_dtype dtype;
    double mean; /* about which x lies */
};

static const struct norm_case norms[] = {
    { "an image", { 2, 16, 7, 9 }, LAST, LAST, VB_FLOAT32, 0 },
    { "odd channels", { 3, 5, 4, 3 }, LAST, LAST, VB_FLOAT32, 0.5 },
    { "more pixels than a patch", { 2, 4, 40, 60 }, LAST, LAST, VB_FLOAT32, 1 },
    { "more channels than a pass takes", { 2, 1100, 3, 5 }, LAST, LAST, VB_FLOAT32, 0 },
    { "a mean far from zero", { 4, 8, 16, 16 }, LAST, LAST, VB_FLOAT32, 1000 },
    { "a single pixel each", { 6, 8, 1, 1 }, LAST, LAST, VB_FLOAT32, 0 },
    { "in order", { 2, 6, 8, 8 }, ORDERED, ORDERED, VB_FLOAT32, 0 },
    { "a slice", { 2, 16, 8, 8 }, SLICED, LAST, VB_FLOAT32, 0 },
    { "gaps", { 2, 6, 8, 8 }, SPREAD, SLICED, VB_FLOAT32, 0 },
    { "fp16", { 2, 16, 9, 9 }, LAST, LAST, VB_FLOAT16, 0 },
    { "fp16, gaps", { 2, 6, 9, 9 }, SPREAD, ORDERED, VB_FLOAT16, 0 },
    { "fp16, in order", { 2, 6, 8, 8 }, ORDERED, ORDERED, VB_FLOAT16, 0 },
    { "bf16", { 2, 16, 9, 9 }, LAST, LAST, VB_BFLOAT16, 0 },
    { "bf16, in order", { 2, 6, 8, 8 }, ORDERED, ORDERED, VB_BFLOAT16, 0 },
    { "one channel", { 3, 1, 8, 9 }, ORDERED, LAST, VB_FLOAT32, 0.5 },
};

enum { MOST_OPERANDS = 8 };
static const double momentum = 0.03, epsilon = 1e-3;

/* Room for the largest of the cases. */
static double wants[MOST_OPERANDS][1100], wanted_y[2 * 1100 * 3 * 5];

static struct tensor make_vector(uint32_t channels, uint64_t seed, bool is_positive)
{
    struct tensor made = make_tensor(1, &channels, VB_FLOAT32, ORDERED, seed);
    for (uint32_t c = 0; c < channels; c++)
        put_at(&made, c, is_positive ? fabs(get_at(&made, c)) + 0.1 : get_at(&made, c));
    return made;
}

static struct tensor make_image(const struct norm_case *of, enum lies lies, uint64_t seed)
{
    struct tensor made = make_tensor(4, of->dims, of->dtype, lies, seed);
    for (size_t n = 0; n < of->dims[0]; n++)
        for (size_t c = 0; c < of->dims[1]; c++)
            for (size_t h = 0; h < of->dims[2]; h++)
                for (size_t w = 0; w < of->dims[3]; w++)
                    put_at(&made, index_of(&made, n, c, h, w), get(&made, n, c, h, w) + of->mean);
    return made;
}

static double pixels_of(const struct norm_case *of)
{
    return (double)of->dims[0] * of->dims[2] * of->dims[3];
}

/* Mean over a channel of (x - about) ** power times z, or 1 where z is NULL. */
static double mean_of(const struct norm_case *of, const struct tensor *x, size_t c, double about,
                      int power, const struct tensor *z)
{
    double sum = 0;
    for (size_t n = 0; n < of->dims[0]; n++)
        for (size_t h = 0; h < of->dims[2]; h++)
            for (size_t w = 0; w < of->dims[3]; w++)
                sum +=
                    pow(get(x, n, c, h, w) - about, power) * (z != NULL ? get(z, n, c, h, w) : 1);
    return sum / pixels_of(of);
}

/* (x - mean) * scale + shift of each channel, where g is given scale (g - slope (x - mean)) +
 * shift. */
static void turn(const struct norm_case *of, const struct tensor *x, const struct tensor *g,
                 size_t c, double mean, double scale, double shift, double slope)
{
    const uint32_t *dims = of->dims;
    for (size_t n = 0; n < dims[0]; n++)
        for (size_t h = 0; h < dims[2]; h++)
            for (size_t w = 0; w < dims[3]; w++) {
                size_t at = ((n * dims[1] + c) * dims[2] + h) * dims[3] + w;
                double d = get(x, n, c, h, w) - mean;
                double turned = g != NULL ? get(g, n, c, h, w) - slope * d : d;
                wanted_y[at] = scale * turned + shift;
            }
}

Test(batch_norm, normalises_and_keeps_statistics)
{
    enum { X, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VARIANCE, MEAN, DEVIATION, Y };
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        const struct norm_case *of = &norms[i];
        double pixels = pixels_of(of);
        struct tensor all[Y + 1] = {
            [X] = make_image(of, of->x, 1), [Y] = make_tensor(4, of->dims, of->dtype, of->y, 2)
        };
        for (uint32_t k = WEIGHT; k < Y; k++)
            all[k] = make_vector(of->dims[1], k + 2, k == RUNNING_VARIANCE);
        for (size_t c = 0; c < of->dims[1]; c++) {
            double mean = mean_of(of, &all[X], c, 0, 1, NULL);
            double variance = mean_of(of, &all[X], c, mean, 2, NULL);
            double deviation = 1 / sqrt(variance + epsilon);
            wants[MEAN][c] = mean;
            wants[DEVIATION][c] = deviation;
            wants[RUNNING_MEAN][c] =
                (1 - momentum) * get_at(&all[RUNNING_MEAN], c) + momentum * mean;
            wants[RUNNING_VARIANCE][c] = (1 - momentum) * get_at(&all[RUNNING_VARIANCE], c) +
                                         momentum * variance * pixels / (pixels - 1);
            turn(of, &all[X], NULL, c, mean, deviation * get_at(&all[WEIGHT], c),
                 get_at(&all[BIAS], c), 0);
        }
        struct vb_call call = { .op = VB_OP_BATCH_NORM, .a = momentum, .b = epsilon };
        run_call(cpu, &call, all, Y + 1, 0xf8, of->label);
        for (uint32_t k = RUNNING_MEAN; k < Y; k++)
            compare_tensor(&all[k], wants[k], 1e-5, of->label, "a statistic");
        /* y's error is the mean's rounding, where that is large */
        compare_tensor(&all[Y], wanted_y, fmax(tolerance_of(of->dtype), of->mean * 1e-6), of->label,
                       "y");
        drop_tensors(all, Y + 1);
    }
    vb_cpu_close(cpu);
}

Test(batch_norm, gradients_are_the_derivatives)
{
    enum { G, X, WEIGHT, MEAN, DEVIATION, G_X, G_WEIGHT, G_BIAS };
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        const struct norm_case *of = &norms[i];
        struct tensor all[G_BIAS + 1] = { [G] = make_tensor(4, of->dims, of->dtype, of->x, 1),
                                          [X] = make_image(of, of->x, 2),
                                          [G_X] = make_tensor(4, of->dims, of->dtype, of->y, 3) };
        for (uint32_t k = 0; k <= G_BIAS; k++) {
            if (k != G && k != X && k != G_X)
                all[k] = make_vector(of->dims[1], k + 3, k == DEVIATION);
        }
        for (size_t c = 0; c < of->dims[1]; c++) {
            put_at(&all[MEAN], c, mean_of(of, &all[X], c, 0, 1, NULL));
            double mean = get_at(&all[MEAN], c), deviation = get_at(&all[DEVIATION], c);
            double of_g = mean_of(of, &all[G], c, 0, 1, NULL);
            double product = mean_of(of, &all[X], c, mean, 1, &all[G]);
            double scale = deviation * get_at(&all[WEIGHT], c);
            wants[G_WEIGHT][c] = product * deviation * pixels_of(of);
            wants[G_BIAS][c] = of_g * pixels_of(of);
            turn(of, &all[X], &all[G], c, mean, scale, -scale * of_g,
                 product * deviation * deviation);
        }
        struct vb_call call = { .op = VB_OP_BATCH_NORM_BACKWARD };
        run_call(cpu, &call, all, G_BIAS + 1, 0xe0, of->label);
        compare_tensor(&all[G_WEIGHT], wants[G_WEIGHT], 1e-5, of->label, "weight's gradient");
        compare_tensor(&all[G_BIAS], wants[G_BIAS], 1e-5, of->label, "bias's gradient");
        compare_tensor(&all[G_X], wanted_y, tolerance_of(of->dtype), of->label, "x's gradient");
        drop_tensors(all, G_BIAS + 1);
    }
    vb_cpu_close(cpu);
}

Test(batch_norm, evaluates_with_the_running_statistics)
{
    enum { X, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VARIANCE, Y };
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        const struct norm_case *of = &norms[i];
        struct tensor all[Y + 1] = {
            [X] = make_image(of, of->x, 1), [Y] = make_tensor(4, of->dims, of->dtype, of->y, 2)
        };
        for (uint32_t k = WEIGHT; k < Y; k++)
            all[k] = make_vector(of->dims[1], k + 2, k == RUNNING_VARIANCE);
        for (size_t c = 0; c < of->dims[1]; c++)
            turn(of, &all[X], NULL, c, get_at(&all[RUNNING_MEAN], c),
                 get_at(&all[WEIGHT], c) / sqrt(get_at(&all[RUNNING_VARIANCE], c) + epsilon),
                 get_at(&all[BIAS], c), 0);
        struct vb_call call = { .op = VB_OP_BATCH_NORM_EVAL, .b = epsilon };
        run_call(cpu, &call, all, Y + 1, 0x20, of->label);
        compare_tensor(&all[Y], wanted_y, tolerance_of(of->dtype), of->label, "y");
        drop_tensors(all, Y + 1);
    }
    vb_cpu_close(cpu);
}
