/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels do with operands larger than those of a test's call. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "host_grid.h"
#include "kernels/list.h"
#include "step/program.h"

/* A block far on in 2^33 elements, which are broadcast of a few. */
Test(reach, elements_beyond_4_g_lie_where_they_should)
{
    enum { INNER = 1 << 20, OUTER = 1 << 13, BLOCKS = 1 << 25, BEGIN = 5 * VB_BLOCK };
    float *x = calloc(INNER, sizeof *x), *z = calloc(OUTER, sizeof *z),
          *y = calloc(INNER, sizeof *y);
    for (uint32_t i = 0; i < INNER; i++)
        x[i] = (float)i;
    for (uint32_t i = 0; i < OUTER; i++)
        z[i] = (float)i / OUTER;
    const struct vb_elementwise arguments = {
        .axes = { (uint64_t)INNER * OUTER, 2, { INNER, OUTER } },
        .operands = { { x, VB_FLOAT32, { 1, 0 } },
                      { z, VB_FLOAT32, { 0, 1 } },
                      { y, VB_FLOAT32, { 1, 0 } } },
        .op = VB_OP_ADD,
        .n_operands = 3,
        .in_floats = 1,
    };
    const uint32_t far = (uint32_t)(((uint64_t)1 << 32) / VB_BLOCK) + BEGIN / VB_BLOCK;
    cr_assert(vb_host_launch_block("elementwise", far, BLOCKS, VB_BLOCK, &arguments));
    for (uint32_t i = 0; i < INNER; i++) {
        const bool is_reached = i >= BEGIN && i < BEGIN + VB_BLOCK;
        cr_assert_eq(y[i], is_reached ? x[i] + 0.5F : 0, "%u", i);
    }
    free(x);
    free(z);
    free(y);
}

/* Sums of so many pixels that each thread empties its own several times. */
static const struct sums_case {
    char kernel[24];
    uint32_t channels, in_thread; /* pixels a thread has at once */
    bool has_gradient;
} sums_cases[] = { { "norm_sums", 1, 1, false },          { "norm_sums", 1, 1, true },
                   { "norm_sums_channels", 8, 1, false }, { "norm_sums_channels", 8, 1, true },
                   { "norm_sums_pixels", 1, 8, false },   { "norm_sums_pixels", 1, 8, true } };

/* Of equal numbers, which all round the same way when they are summed. */
Test(reach, long_sums_lose_nothing)
{
    enum { PIXELS = 256000, CHANNELS = 8 };
    float *x = aligned_alloc(16, sizeof *x * PIXELS * CHANNELS);
    float *g = aligned_alloc(16, sizeof *g * PIXELS * CHANNELS);
    float about[CHANNELS];
    double sums[CHANNELS][2];
    for (uint32_t i = 0; i < PIXELS * CHANNELS; i++) {
        x[i] = 0.35F;
        g[i] = 0.3F;
    }
    for (uint32_t c = 0; c < CHANNELS; c++)
        about[c] = 0.25F;
    for (size_t k = 0; k < sizeof sums_cases / sizeof *sums_cases; k++) {
        const struct sums_case *of = &sums_cases[k];
        const uint32_t n = PIXELS / of->in_thread, stride = of->channels * of->in_thread;
        const double d = (double)x[0] - (double)about[0], f = of->has_gradient ? (double)g[0] : d;
        const struct vb_norm_sums arguments = {
            .plan = { .pixels = { n, 1, { n } }, .channels = of->channels, .lanes = 1, .parts = 1 },
            .x = { { x, VB_FLOAT32, { stride } }, 1 },
            .g = { { g, VB_FLOAT32, { stride } }, 1 },
            .about = { about, VB_FLOAT32, 1 },
            .sums = &sums[0][0],
            .has_gradient = of->has_gradient,
        };
        cr_assert(vb_host_launch(of->kernel, 1, 1, VB_BLOCK, &arguments));
        for (uint32_t c = 0; c < of->channels; c++) {
            cr_assert_float_eq(sums[c][0], f * PIXELS, f * PIXELS * 1e-6, "%s: %u", of->kernel, c);
            cr_assert_float_eq(sums[c][1], f * d * PIXELS, f * d * PIXELS * 1e-6, "%s: %u",
                               of->kernel, c);
        }
    }
    free(x);
    free(g);
}
