/* SPDX-License-Identifier: Apache-2.0 */
/* What two runs are held to: which pairs are regressions, and which runs cannot be compared. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fit/compare.h"

enum { POINTS = 6, STEPS = 40 };

static const struct vb_thresholds usual = { .memory = 0.01, .time = 0.03 };

static struct run {
    struct vb_record records[POINTS];
    uint64_t samples[POINTS][STEPS];
    size_t n;
} base, candidate;

/* Steps of 10 ms and a little more each, in an order that is none. */
static void set_steps(struct run *run, size_t point, size_t n, double factor)
{
    for (size_t i = 0; i < n; i++)
        run->samples[point][i] = (uint64_t)(factor * (1e7 + 1e4 * (double)(i * 7 % n)));
    run->records[point].step_samples_ns = run->samples[point];
    run->records[point].n_step_samples = run->records[point].timed_steps = n;
}

static void make(struct run *run)
{
    run->n = POINTS;
    for (size_t i = 0; i < POINTS; i++) {
        struct vb_record *r = &run->records[i];
        *r = (struct vb_record){ .point = vb_point_default(),
                                 .state = VB_STATE_OK,
                                 .provenance = VB_MEASURED,
                                 .device = "cuda:0",
                                 .gpu = "a GPU",
                                 .capacity_bytes = UINT64_C(24) << 30,
                                 .peak_reserved_bytes = 1000000 * (i + 1),
                                 .peak_device_bytes = 2000000 * (i + 1) };
        (void)snprintf(r->point.model, sizeof r->point.model, "m");
        r->point.batch = (uint32_t)i + 1;
        r->point.imgsz = 640;
        set_steps(run, i, 10, 1);
    }
}

static void make_both(void)
{
    make(&base);
    make(&candidate);
}

static enum vb_status try(struct vb_arena *arena, struct vb_comparison *out, struct vb_error *err)
{
    const struct vb_side was = { "BASE", base.records, base.n };
    const struct vb_side is = { "CANDIDATE", candidate.records, candidate.n };
    return vb_compare(&was, &is, &usual, arena, out, err);
}

static struct vb_comparison compare(struct vb_arena *arena)
{
    struct vb_comparison out;
    struct vb_error err = { 0 };
    cr_assert_eq(try(arena, &out, &err), VB_OK, "%s", err.text);
    return out;
}

Test(compare, the_same_is_no_regression)
{
    struct vb_arena arena = { 0 };
    make_both();
    const struct vb_comparison out = compare(&arena);
    cr_expect_eq(out.outcome, VB_CHANGE_SAME);
    cr_expect_eq(out.n_of[VB_CHANGE_SAME], (size_t)POINTS);
    cr_expect_eq(out.n_timed, (size_t)POINTS);
    cr_expect_float_eq(out.time_ratio, 1, 1e-12);
    vb_arena_clear(&arena);
}

/* The last that passes, the first that does not; and likewise downwards. */
Test(compare, memory_has_a_threshold_and_no_noise)
{
    static const struct {
        uint64_t bytes;
        enum vb_change change;
    } cases[] = { { 1010000, VB_CHANGE_SAME },
                  { 1010001, VB_CHANGE_WORSE },
                  { 990100, VB_CHANGE_SAME },
                  { 990000, VB_CHANGE_BETTER } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        make_both();
        candidate.records[0].peak_reserved_bytes = cases[i].bytes;
        const struct vb_comparison out = compare(&arena);
        cr_expect_eq(out.items[0].reserved.change, cases[i].change, "%zu", i);
        cr_expect_eq(out.items[0].change, cases[i].change, "%zu", i);
        vb_arena_clear(&arena);
    }
}

/* Of a lower bound only what it already exceeds is known. */
Test(compare, a_lower_bound_says_what_it_can)
{
    static const struct {
        enum vb_state base, candidate;
        uint64_t bytes;
        enum vb_change change;
    } cases[] = {
        { VB_STATE_OK, VB_STATE_LOWER_BOUND, 2100000, VB_CHANGE_WORSE },
        { VB_STATE_OK, VB_STATE_LOWER_BOUND, 2000000, VB_CHANGE_UNCLEAR },
        { VB_STATE_LOWER_BOUND, VB_STATE_OK, 2100000, VB_CHANGE_UNCLEAR },
        { VB_STATE_LOWER_BOUND, VB_STATE_OK, 2000000, VB_CHANGE_SAME },
        { VB_STATE_OK, VB_STATE_OK, 0, VB_CHANGE_NONE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        make_both();
        base.records[0].state = cases[i].base;
        candidate.records[0].state = cases[i].candidate;
        candidate.records[0].peak_device_bytes = cases[i].bytes;
        cr_expect_eq(compare(&arena).items[0].device.change, cases[i].change, "%zu", i);
        vb_arena_clear(&arena);
    }
}

Test(compare, slower_steps_are_a_regression_quicker_ones_are_better)
{
    struct vb_arena arena = { 0 };
    make_both();
    set_steps(&candidate, 1, 10, 1.05);
    set_steps(&candidate, 2, 10, 1 / 1.05);
    set_steps(&candidate, 3, 10, 1.02); /* surely slower, by less than matters */
    const struct vb_comparison out = compare(&arena);
    cr_expect_eq(out.items[1].time.change, VB_CHANGE_WORSE);
    cr_expect_eq(out.items[2].time.change, VB_CHANGE_BETTER);
    cr_expect_eq(out.items[3].time.change, VB_CHANGE_SAME);
    cr_expect_leq(out.items[3].time.adjusted_p, VB_COMPARE_RISK);
    cr_expect_float_eq(out.items[1].time.ratio, 1.05, 1e-6);
    cr_expect_eq(out.outcome, VB_CHANGE_WORSE);
    vb_arena_clear(&arena);
}

/* Three steps beside three are as far apart as they can be one time in ten: that is said, with the
 * fewest that could tell at one of six points. */
Test(compare, too_few_steps_are_inconclusive)
{
    struct vb_arena arena = { 0 };
    make_both();
    set_steps(&base, 1, 3, 1);
    set_steps(&candidate, 1, 3, 2);
    const struct vb_comparison out = compare(&arena);
    const struct vb_time_change *time = &out.items[1].time;
    cr_expect_eq(time->change, VB_CHANGE_UNCLEAR);
    cr_expect_not(time->has_interval);
    cr_expect_float_eq(time->p, 0.1, 1e-12);
    cr_expect_eq(time->steps_needed, 7u); /* 2 of 3432 is less than 0.01 / 6, 2 of 924 is not */
    cr_expect_eq(out.steps_needed, 7u);
    cr_expect_eq(out.outcome, VB_CHANGE_UNCLEAR);
    vb_arena_clear(&arena);
}

/* Noise as wide as this hides 3 %: it is said how many steps would not. */
Test(compare, noise_is_inconclusive_with_the_steps_that_settle_it)
{
    struct vb_arena arena = { 0 };
    make_both();
    for (size_t i = 0; i < 10; i++) {
        base.samples[0][i] = 10000000 + 600000 * (i * 3 % 10);
        candidate.samples[0][i] = 10000000 + 600000 * (i * 7 % 10);
    }
    const struct vb_comparison out = compare(&arena);
    cr_expect_eq(out.items[0].time.change, VB_CHANGE_UNCLEAR);
    cr_expect_gt(out.items[0].time.steps_needed, 10u);
    cr_expect_eq(out.n_unsettled, 0u);
    vb_arena_clear(&arena);
}

Test(compare, points_that_no_longer_run_are_regressions)
{
    static const struct {
        enum vb_state base, candidate;
        enum vb_change change;
    } cases[] = {
        { VB_STATE_OK, VB_STATE_OOM, VB_CHANGE_WORSE },
        { VB_STATE_OK, VB_STATE_BACKSTOP, VB_CHANGE_WORSE },
        { VB_STATE_OK, VB_STATE_ERROR, VB_CHANGE_WORSE },
        { VB_STATE_LOWER_BOUND, VB_STATE_TIMEOUT, VB_CHANGE_WORSE },
        { VB_STATE_OOM, VB_STATE_OOM, VB_CHANGE_SAME },
        { VB_STATE_OOM, VB_STATE_BACKSTOP, VB_CHANGE_SAME },
        { VB_STATE_OOM, VB_STATE_OK, VB_CHANGE_BETTER },
        { VB_STATE_ERROR, VB_STATE_OK, VB_CHANGE_BETTER },
        { VB_STATE_ERROR, VB_STATE_OOM, VB_CHANGE_NONE },
        { VB_STATE_OOM, VB_STATE_ERROR, VB_CHANGE_NONE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        make_both();
        base.records[2].state = cases[i].base;
        candidate.records[2].state = cases[i].candidate;
        cr_expect_eq(compare(&arena).items[2].change, cases[i].change, "%zu", i);
        vb_arena_clear(&arena);
    }
}

Test(compare, vanished_points_are_regressions_new_ones_are_not)
{
    struct vb_arena arena = { 0 };
    make_both();
    candidate.n = POINTS - 1;
    struct vb_comparison out = compare(&arena);
    cr_expect_eq(out.items[POINTS - 1].change, VB_CHANGE_WORSE);
    cr_expect_eq(out.n_of[VB_CHANGE_WORSE], 1u);
    candidate.n = POINTS;
    base.n = POINTS - 1;
    out = compare(&arena);
    cr_expect_eq(out.outcome, VB_CHANGE_SAME);
    cr_expect_eq(out.items[POINTS - 1].change, VB_CHANGE_NONE);
    cr_expect_eq(out.n_common, (size_t)POINTS - 1);
    vb_arena_clear(&arena);
}

/* The number of the GPU does not tell points apart; of several rows of one the last counts. */
Test(compare, pairs_by_the_point_and_takes_its_last_row)
{
    struct vb_arena arena = { 0 };
    make_both();
    for (size_t i = 0; i < POINTS; i++)
        (void)snprintf(candidate.records[i].device, sizeof candidate.records[i].device, "cuda:3");
    candidate.records[POINTS - 1] = candidate.records[0];
    candidate.records[0].peak_reserved_bytes *= 2; /* was run again since */
    base.n = POINTS - 1;
    const struct vb_comparison out = compare(&arena);
    cr_expect_eq(out.n, (size_t)POINTS - 1);
    cr_expect_eq(out.outcome, VB_CHANGE_SAME);
    vb_arena_clear(&arena);
}

struct refusal {
    char label[48];
    char text[64];
};

static void spoil(const char *label)
{
    struct vb_record *r = &candidate.records[3];
    static uint64_t absurd[] = { UINT64_C(1) << 60 };
    if (strcmp(label, "another GPU") == 0) {
        for (size_t i = 0; i < POINTS; i++)
            (void)snprintf(candidate.records[i].gpu, sizeof r->gpu, "another");
    } else if (strcmp(label, "two GPUs") == 0) {
        (void)snprintf(r->gpu, sizeof r->gpu, "another");
    } else if (strcmp(label, "another model") == 0) {
        for (size_t i = 0; i < POINTS; i++)
            (void)snprintf(candidate.records[i].point.model, sizeof r->point.model, "n");
    } else if (strcmp(label, "other points") == 0) {
        for (size_t i = 0; i < POINTS; i++)
            candidate.records[i].point.imgsz = 320;
    } else if (strcmp(label, "planned") == 0) {
        for (size_t i = 0; i < POINTS; i++)
            candidate.records[i].provenance = VB_PLANNED;
    } else if (strcmp(label, "planned and measured") == 0) {
        r->provenance = VB_PLANNED;
    } else if (strcmp(label, "half the memory") == 0) {
        for (size_t i = 0; i < POINTS; i++)
            candidate.records[i].capacity_bytes /= 2;
    } else if (strcmp(label, "other threads") == 0) {
        for (size_t i = 0; i < POINTS; i++)
            candidate.records[i].threads = 2;
    } else if (strcmp(label, "no peak") == 0) {
        r->peak_reserved_bytes = 0;
    } else if (strcmp(label, "a peak above the capacity") == 0) {
        r->peak_reserved_bytes = r->capacity_bytes + 1;
    } else if (strcmp(label, "an absurd peak") == 0) {
        r->capacity_bytes = 0;
        r->peak_device_bytes = UINT64_MAX;
    } else if (strcmp(label, "an absurd step") == 0) {
        r->step_samples_ns = absurd;
        r->n_step_samples = r->timed_steps = 1;
    } else if (strcmp(label, "another number of steps") == 0) {
        r->timed_steps = 11;
    } else if (strcmp(label, "no records") == 0) {
        candidate.n = 0;
    } else {
        for (size_t i = 0; i < POINTS; i++)
            base.records[i].state = VB_STATE_ERROR;
    }
}

Test(compare, refuses_what_cannot_be_compared)
{
    static const struct refusal cases[] = {
        { "another GPU", "BASE is of a GPU, CANDIDATE of another" },
        { "two GPUs", "CANDIDATE: holds records of two devices" },
        { "another model", "BASE is of m, CANDIDATE of another model, n" },
        { "other points", "no point in common: BASE and CANDIDATE differ" },
        { "planned", "BASE is measured, CANDIDATE planned" },
        { "planned and measured", "CANDIDATE: holds planned and measured" },
        { "half the memory", "take the same --memory" },
        { "other threads", "BASE ran on 0 threads, CANDIDATE on 2" },
        { "no peak", "batch 4, imgsz 640: \"peak_reserved_bytes\" is missing" },
        { "a peak above the capacity", "is above \"capacity_bytes\"" },
        { "an absurd peak", "above 1024 TiB" },
        { "an absurd step", "a step of over 1,000,000 s" },
        { "another number of steps", "does not count" },
        { "no records", "CANDIDATE: there are no records" },
        { "nothing ran", "BASE: no point ran" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_comparison out;
        struct vb_error err = { 0 };
        make_both();
        spoil(cases[i].label);
        cr_expect_eq(try(&arena, &out, &err), VB_E_INPUT, "%s", cases[i].label);
        cr_expect(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].label, err.text);
        vb_arena_clear(&arena);
    }
}

/* A run in which every point failed does not say on what. */
Test(compare, a_candidate_that_runs_nothing_is_a_regression)
{
    struct vb_arena arena = { 0 };
    make_both();
    for (size_t i = 0; i < POINTS; i++) {
        struct vb_record *r = &candidate.records[i];
        *r = (struct vb_record){ .point = r->point, .state = VB_STATE_ERROR, .device = "cuda:0" };
    }
    cr_expect_eq(compare(&arena).n_of[VB_CHANGE_WORSE], (size_t)POINTS);
    vb_arena_clear(&arena);
}

/* A point that failed before the driver was asked says nothing of it. */
Test(compare, what_a_failed_point_does_not_tell_is_not_another_driver)
{
    struct vb_arena arena = { 0 };
    struct vb_comparison out;
    struct vb_error err = { 0 };
    make_both();
    for (size_t i = 1; i < POINTS; i++)
        (void)snprintf(candidate.records[i].on_gpu.driver, 8, "580");
    candidate.records[0].state = VB_STATE_ERROR;
    cr_expect_eq(try(&arena, &out, &err), VB_OK, "%s", err.text);
    (void)snprintf(candidate.records[POINTS - 1].on_gpu.driver, 8, "590");
    cr_expect_eq(try(&arena, &out, &err), VB_E_INPUT);
    cr_expect(strstr(err.text, "two drivers, 580 and 590") != NULL, "%s", err.text);
    vb_arena_clear(&arena);
}

/* Planned times are a model's: memory alone is compared. */
Test(compare, of_plans_memory_alone)
{
    struct vb_arena arena = { 0 };
    make_both();
    for (size_t i = 0; i < POINTS; i++) {
        base.records[i].provenance = candidate.records[i].provenance = VB_PLANNED;
        base.records[i].n_step_samples = candidate.records[i].n_step_samples = 0;
        candidate.records[i].step_seconds = 5;
    }
    const struct vb_comparison out = compare(&arena);
    cr_expect_eq(out.n_timed, 0u);
    cr_expect_eq(out.outcome, VB_CHANGE_SAME);
    vb_arena_clear(&arena);
}
