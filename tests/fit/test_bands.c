/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fit/estimate.h"

enum { MAX_ROWS = 1200, MAX_GROUPS = 200 };
#define GIB 1073741824.0

static const struct vb_traits usual = {
    .architecture = "Turing",
    .family = "yolov8",
    .precision = VB_FP16,
    .workload = VB_WHOLE_RUN,
    .torch = "torch-2.4",
    .boxes = 8,
    .planned_bytes = 4 * GIB,
};

/* splitmix64: between 0 and 1, neither of them. */
static double uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

static const char *group_name(size_t i)
{
    static char names[MAX_GROUPS][32];
    (void)snprintf(names[i], sizeof names[i], "owner/r%zu", i);
    return names[i];
}

static struct vb_residual residual(double log_ratio, size_t group)
{
    struct vb_residual row = { .repository = group_name(group), .traits = usual };
    row.observed_bytes = usual.planned_bytes * exp(log_ratio);
    return row;
}

/* Groups alike but not equal: an error of the group and one of the row, skewed upwards in some. */
static size_t draw(uint64_t *state, size_t n_groups, struct vb_residual *rows)
{
    size_t n = 0;
    for (size_t g = 0; g < n_groups; g++) {
        double middle = 0.03 + 0.08 * normal(state);
        size_t n_of_group = 1 + (size_t)(uniform(state) * uniform(state) * 9);
        if (uniform(state) < 0.1)
            middle += -0.4 * log(uniform(state));
        for (size_t i = 0; i < n_of_group; i++)
            rows[n++] = residual(middle + 0.04 * normal(state), g);
    }
    return n;
}

static struct vb_band find(const struct vb_residual *rows, size_t n,
                           const struct vb_question *question, struct vb_arena *arena)
{
    struct vb_band band;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_band_find(rows, n, question, arena, &band, &err), VB_OK, "%s", err.text);
    return band;
}

struct coverage_case {
    size_t n_groups;
    double least50, most50, least90, most90;
};

/* 19, 39 and 99 are numbers whose ranks are whole: with one row a repository the coverage would be
 * what is asked for; of several rows it is less than a row's weight in 20 above. With fewer
 * repositories 90 % rests on the tail, which is wider than it need be. */
ParameterizedTestParameters(bands, runs_of_a_new_repository_lie_inside_as_often_as_told)
{
    static struct coverage_case cases[] = {
        { 99, 47, 53, 87, 93 },
        { 39, 47, 53, 87, 93 },
        { 19, 47, 57, 87, 93 },
        { 12, 45, 58, 85, 97 },
    };
    return cr_make_param_array(struct coverage_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct coverage_case *c, bands,
                  runs_of_a_new_repository_lie_inside_as_often_as_told)
{
    static struct vb_residual rows[MAX_ROWS];
    size_t n50 = 0, n90 = 0, n_seeds = 1000;
    for (uint64_t seed = 0; seed < n_seeds; seed++) {
        struct vb_arena arena = { 0 };
        uint64_t state = seed * 7919 + 1;
        size_t n = draw(&state, c->n_groups + 1, rows);
        /* The last group is the new one: one run of it is asked for, its own rows are left out. */
        const struct vb_residual *asked = &rows[n - 1];
        const struct vb_question question = { usual, false, asked->repository };
        struct vb_band band = find(rows, n, &question, &arena);
        struct vb_interval half = vb_band_interval(&band, usual.planned_bytes, 0.5);
        struct vb_interval most = vb_band_interval(&band, usual.planned_bytes, 0.9);
        cr_assert_eq(band.n_repositories, c->n_groups);
        n50 += asked->observed_bytes >= half.low && asked->observed_bytes <= half.high;
        n90 += asked->observed_bytes >= most.low && asked->observed_bytes <= most.high;
        vb_arena_clear(&arena);
    }
    double share50 = 100.0 * (double)n50 / (double)n_seeds;
    double share90 = 100.0 * (double)n90 / (double)n_seeds;
    cr_expect(share50 >= c->least50 && share50 <= c->most50, "%zu groups: 50 %% cover %.1f",
              c->n_groups, share50);
    cr_expect(share90 >= c->least90 && share90 <= c->most90, "%zu groups: 90 %% cover %.1f",
              c->n_groups, share90);
}

/* Of "fits at 5 %", at most 5 % do not. */
Test(bands, who_fits_at_a_risk_fails_no_more_often)
{
    static struct vb_residual rows[MAX_ROWS];
    size_t n_wrong = 0, n_seeds = 2000;
    for (uint64_t seed = 0; seed < n_seeds; seed++) {
        struct vb_arena arena = { 0 };
        uint64_t state = seed * 104729 + 3;
        size_t n = draw(&state, 41, rows);
        const struct vb_question question = { usual, false, rows[n - 1].repository };
        struct vb_band band = find(rows, n, &question, &arena);
        double usable = GIB; /* the least room that fits */
        while (vb_estimate_judge(usual.planned_bytes, usable, &band, 0.05).verdict != VB_FITS)
            usable *= 1.002;
        n_wrong += rows[n - 1].observed_bytes > usable;
        vb_arena_clear(&arena);
    }
    cr_expect_leq((double)n_wrong / (double)n_seeds, 0.06);
    cr_expect_geq((double)n_wrong / (double)n_seeds, 0.03);
}

Test(bands, more_room_never_fits_less_and_nothing_is_certain)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    uint64_t state = 5;
    size_t n = draw(&state, 15, rows);
    struct vb_question question = { usual, false, NULL };
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            question.traits.architecture = "Hopper";
        if (round == 2) {
            question.is_shared = true;
            for (size_t i = 0; i < n; i++)
                rows[i].is_shared = true;
        }
        struct vb_band band = find(rows, n, &question, &arena);
        double before = 0;
        for (double usable = 1; usable < 1e13; usable *= 1.003) {
            double fits = vb_band_fits(&band, usual.planned_bytes, usable);
            cr_assert_geq(fits, before, "%g B", usable);
            cr_assert(fits > 0 && fits < 1);
            before = fits;
        }
        cr_expect_gt(before, 0.99);
    }
    vb_arena_clear(&arena);
}

Test(bands, bounds_and_probabilities_agree)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    for (size_t n_groups = 9; n_groups < 60; n_groups += 5) {
        uint64_t state = n_groups;
        size_t n = draw(&state, n_groups, rows);
        const struct vb_question question = { usual, false, NULL };
        struct vb_band band = find(rows, n, &question, &arena);
        struct vb_interval in = vb_band_interval(&band, usual.planned_bytes, 0.9);
        cr_expect_geq(vb_band_fits(&band, usual.planned_bytes, in.high * 1.0001), 0.95 - 1e-6);
        cr_expect_lt(vb_band_fits(&band, usual.planned_bytes, in.high * 0.9999), 0.95);
        cr_expect_leq(vb_band_fits(&band, usual.planned_bytes, in.low * 0.9999), 0.05);
    }
    vb_arena_clear(&arena);
}

Test(bands, a_repository_with_many_rows_is_one_repository)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    size_t n = 0;
    for (size_t g = 0; g < 40; g++)
        rows[n++] = residual(0.001 * (double)g, g);
    for (int i = 0; i < 500; i++)
        rows[n++] = residual(1, 40);
    const struct vb_question all = { usual, false, NULL };
    const struct vb_question without = { usual, false, group_name(40) };
    struct vb_band band = find(rows, n, &all, &arena);
    cr_expect_eq(band.n_repositories, 41);
    cr_expect_eq(band.n_rows, 540);
    cr_expect_lt(band.middle, 0.03);
    cr_expect_lt(vb_band_interval(&band, GIB, 0.9).high, 1.05 * GIB);
    band = find(rows, n, &without, &arena);
    cr_expect_eq(band.n_rows, 40);
    vb_arena_clear(&arena);
}

Test(bands, what_another_model_left_is_bytes)
{
    struct vb_residual rows[20];
    struct vb_arena arena = { 0 };
    struct vb_question question = { usual, true, NULL };
    for (size_t i = 0; i < 20; i++) {
        rows[i] = residual(log(i < 10 ? 0.9 : 2), i); /* of 4 GiB: 10 % less, or 4 GiB more */
        rows[i].is_shared = true;
    }
    question.traits.planned_bytes = 40 * GIB;
    struct vb_band band = find(rows, 20, &question, &arena);
    band.widening = 1;
    struct vb_interval in = vb_band_interval(&band, 40 * GIB, 0.5);
    cr_expect_float_eq(in.low, 36 * GIB, 1);
    cr_expect_float_eq(in.high, 44 * GIB, 1);
    vb_arena_clear(&arena);
}

/* Unlike the rows in one thing. */
static struct vb_traits unlike_in(enum vb_unlike what)
{
    struct vb_traits traits = usual;
    switch (what) {
    case VB_UNLIKE_ARCHITECTURE:
        traits.architecture = "Hopper";
        break;
    case VB_UNLIKE_FAMILY:
        traits.family = "yolov5"; /* seen in notebooks' kernels */
        break;
    case VB_UNLIKE_PRECISION:
        traits.precision = VB_FP32;
        break;
    case VB_UNLIKE_WORKLOAD:
        traits.workload = VB_AUTOBATCH;
        break;
    case VB_UNLIKE_SIZE:
        traits.planned_bytes = 8.01 * GIB;
        break;
    case VB_UNLIKE_BOXES:
        traits.boxes = 41;
        break;
    case VB_UNLIKE_TORCH:
        traits.torch = "torch-9";
        break;
    case VB_UNLIKE_WORKSPACES:
        traits.has_fitted_workspaces = true;
        break;
    case VB_UNLIKE_MODEL:
        traits.is_own_model = true;
        break;
    case VB_UNLIKE_SETTINGS:
        traits.has_rare_settings = true;
        break;
    }
    return traits;
}

/* The last is unlike in nothing. */
ParameterizedTestParameters(bands, widening_never_narrows)
{
    static uint32_t cases[VB_N_UNLIKE + 1];
    for (uint32_t i = 0; i <= VB_N_UNLIKE; i++)
        cases[i] = i;
    return cr_make_param_array(uint32_t, cases, VB_N_UNLIKE + 1);
}

ParameterizedTest(uint32_t *c, bands, widening_never_narrows)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    uint64_t state = 11;
    size_t n = draw(&state, 30, rows);
    bool is_unlike = *c < VB_N_UNLIKE;
    const char *label = is_unlike ? vb_unlike_names[*c] : "nothing";
    const struct vb_question question = { is_unlike ? unlike_in((enum vb_unlike) * c) : usual,
                                          false, NULL };
    rows[0].traits.boxes = 40;
    rows[1].traits.planned_bytes = 2 * GIB;
    rows[2].traits.planned_bytes = 8 * GIB;
    rows[n] = rows[0];
    rows[n].is_shared = true;
    rows[n++].traits.family = "yolov5";
    struct vb_band band = find(rows, n, &question, &arena), plain = band;
    cr_expect_eq(band.unlike, is_unlike ? 1u << *c : 0, "%s: %x", label, band.unlike);
    cr_expect_eq(band.widening > 1, is_unlike, "%s", label);
    cr_expect_eq(band.is_larger, is_unlike && *c == VB_UNLIKE_SIZE, "%s", label);
    plain.widening = 1;
    for (double share = 0.05; share < 1; share += 0.05) {
        struct vb_interval wide = vb_band_interval(&band, GIB, share);
        struct vb_interval narrow = vb_band_interval(&plain, GIB, share);
        cr_expect_leq(wide.low, narrow.low, "%s at %g", label, share);
        cr_expect_geq(wide.high, narrow.high, "%s at %g", label, share);
    }
    double room = exp(band.middle);
    cr_expect_leq(vb_band_fits(&band, GIB, 1.2 * room * GIB),
                  vb_band_fits(&plain, GIB, 1.2 * room * GIB), "%s", label);
    vb_arena_clear(&arena);
}

Test(bands, a_small_plan_is_unlike_in_size_but_not_larger)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    uint64_t state = 2;
    size_t n = draw(&state, 30, rows);
    struct vb_question question = { usual, false, NULL };
    question.traits.planned_bytes = 1;
    struct vb_band band = find(rows, n, &question, &arena);
    cr_expect(band.unlike >> VB_UNLIKE_SIZE & 1);
    cr_expect_not(band.is_larger);
    vb_arena_clear(&arena);
}

Test(bands, two_things_unlike_widen_more_than_one)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    uint64_t state = 2;
    size_t n = draw(&state, 30, rows);
    struct vb_question question = { usual, false, NULL };
    question.traits.architecture = "Hopper";
    double one = find(rows, n, &question, &arena).widening;
    question.traits.precision = VB_FP32;
    cr_expect_gt(find(rows, n, &question, &arena).widening, one);
    vb_arena_clear(&arena);
}

Test(bands, what_was_never_seen_cannot_be_told)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    struct vb_band band;
    struct vb_error err = { 0 };
    uint64_t state = 4;
    size_t n = draw(&state, 30, rows);
    struct vb_question question = { usual, false, NULL };
    question.traits.family = "resnet";
    cr_expect_eq(vb_band_find(rows, n, &question, &arena, &band, &err), VB_E_UNSUPPORTED);
    cr_expect_str_eq(err.text, "no published run of a model like 'resnet'");
    question = (struct vb_question){ usual, true, NULL };
    cr_expect_eq(vb_band_find(rows, n, &question, &arena, &band, &err), VB_E_UNSUPPORTED);
    question.is_shared = false;
    for (size_t least = VB_LEAST_REPOSITORIES; least >= VB_LEAST_REPOSITORIES - 1; least--) {
        n = draw(&state, least, rows);
        cr_expect_eq(vb_band_find(rows, n, &question, &arena, &band, &err),
                     least < VB_LEAST_REPOSITORIES ? VB_E_UNSUPPORTED : VB_OK);
    }
    struct vb_estimate estimate = vb_estimate_judge(1, 2, NULL, 0.05);
    cr_expect_eq(estimate.verdict, VB_CANNOT_TELL);
    vb_arena_clear(&arena);
}

Test(bands, a_smaller_risk_asks_for_more_room)
{
    static struct vb_residual rows[MAX_ROWS];
    struct vb_arena arena = { 0 };
    uint64_t state = 8;
    size_t n = draw(&state, 30, rows);
    const struct vb_question question = { usual, false, NULL };
    struct vb_band band = find(rows, n, &question, &arena);
    double at5 = vb_band_interval(&band, GIB, 0.9).high; /* a 20th lies above */
    cr_expect_eq(vb_estimate_judge(GIB, at5 * 1.0001, &band, 0.05).verdict, VB_FITS);
    cr_expect_eq(vb_estimate_judge(GIB, at5 * 0.9999, &band, 0.05).verdict, VB_TIGHT);
    cr_expect_eq(vb_estimate_judge(GIB, at5 * 1.0001, &band, 0.01).verdict, VB_TIGHT);
    cr_expect_eq(vb_estimate_judge(GIB, exp(band.middle) * 0.99 * GIB, &band, 0.05).verdict,
                 VB_DOES_NOT_FIT);
    vb_arena_clear(&arena);
}

struct name_case {
    char model[40], family[24];
};

ParameterizedTestParameters(bands, models_have_families)
{
    static struct name_case cases[] = {
        { "yolov8n", "yolov8" },
        { "yolov5s6", "yolov5" },
        { "yolov5su", "yolov5u" },
        { "yolo11m", "yolo11" },
        { "yolo11n-seg", "yolo11-seg" },
        { "yolov9e", "yolov9" },
        { "resnet50", "resnet" },
        { "/a/yolov8x.yaml", "yolov8" },
        { "./mine.yml", "mine" },
        { "yolo", "yolo" },
        { "", "" },
    };
    return cr_make_param_array(struct name_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct name_case *c, bands, models_have_families)
{
    char text[64];
    vb_band_family(c->model, text, sizeof text);
    cr_expect_str_eq(text, c->family, "%s: %s", c->model, text);
}
