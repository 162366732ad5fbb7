/* SPDX-License-Identifier: Apache-2.0 */
/* Upgrades whose truth is known, compared as a user would, at the default thresholds: how often
 * nothing is called a regression, how often a regression is missed, and whether the steps that an
 * inconclusive answer asks for settle it. Fails where one of the limits beside them does not hold.
 *
 *     simulate_upgrades [UPGRADES]        1,000 of each kind, a quarter of those that ask for steps
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fit/compare.h"

enum { POINTS = 196, MOST_STEPS = 256 };

static const struct vb_thresholds usual = { .memory = 0.01, .time = 0.03 };

enum noise { NORMAL, SPIKES, TICKS };

struct scenario {
    const char *name;
    enum noise noise;
    double spread; /* of a step, of its mean */
    size_t steps;
    double slower, larger; /* what one point of the candidate truly is: 0.05 */
    size_t most_alarms;    /* in 1,000: where nothing changed */
    size_t least_found;    /* in 1,000: of what did */
    size_t least_settled;  /* in 1,000 inconclusive: by the steps asked for */
};

static const struct scenario scenarios[] = {
    { "no change, 1 % noise", NORMAL, 0.01, 10, 0, 0, 10, 0, 0 },
    { "no change, 10 % noise", NORMAL, 0.10, 10, 0, 0, 10, 0, 0 },
    { "no change, a tenth of the steps half as long again", SPIKES, 0.01, 10, 0, 0, 10, 0, 0 },
    { "no change, a clock of few ticks", TICKS, 0.01, 10, 0, 0, 10, 0, 0 },
    { "one point 2 % larger", NORMAL, 0.01, 10, 0, 0.02, 1000, 990, 0 },
    { "one point 5 % slower, 1 % noise", NORMAL, 0.01, 10, 0.05, 0, 1000, 990, 0 },
    { "the same with a clock of few ticks", TICKS, 0.01, 10, 0.05, 0, 1000, 990, 0 },
    { "one point 5 % slower, 4 % noise", NORMAL, 0.04, 10, 0.05, 0, 1000, 0, 900 },
    { "no change, 4 % noise", NORMAL, 0.04, 10, 0, 0, 10, 0, 900 },
};

struct counts {
    size_t n_alarms, n_found, n_unclear, n_missed, n_asked, n_settled;
};

static struct run {
    struct vb_record records[POINTS];
    uint64_t samples[POINTS][MOST_STEPS];
} base, candidate;

static uint64_t random_state = 1;

/* xorshift64*, then Box and Muller. */
static double draw(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return ((double)((random_state * UINT64_C(2685821657736338717)) >> 11) + 0.5) /
           9007199254740992.0;
}

static double draw_normal(void)
{
    return sqrt(-2 * log(draw())) * cos(6.283185307179586 * draw());
}

static uint64_t draw_step(const struct scenario *scenario, double mean_ns)
{
    double step = mean_ns * exp(scenario->spread * draw_normal());
    if (scenario->noise == SPIKES && draw() < 0.1)
        step *= 1.5;
    if (scenario->noise == TICKS)
        step = mean_ns / 500 * fmax(1, round(step / mean_ns * 500));
    return (uint64_t)fmax(1, step);
}

static void draw_steps(const struct scenario *scenario, struct run *run, size_t point, double mean,
                       size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        run->samples[point][i] = draw_step(scenario, mean);
    run->records[point].step_samples_ns = run->samples[point];
    run->records[point].n_step_samples = run->records[point].timed_steps = steps;
}

static double mean_ns(size_t point)
{
    return 5e6 * (double)(1 + point);
}

static void make_points(struct run *run)
{
    for (size_t i = 0; i < POINTS; i++) {
        struct vb_record *r = &run->records[i];
        *r = (struct vb_record){ .point = vb_point_default(),
                                 .state = VB_STATE_OK,
                                 .provenance = VB_MEASURED,
                                 .device = "cuda:0",
                                 .gpu = "simulated" };
        r->point.batch = (uint32_t)i + 1;
        r->point.imgsz = 640;
        r->peak_reserved_bytes = (uint64_t)(i + 1) << 27;
        r->peak_device_bytes = r->peak_reserved_bytes + (UINT64_C(300) << 20);
    }
}

static struct vb_comparison compare(struct vb_arena *arena)
{
    const struct vb_side was = { "base", base.records, POINTS };
    const struct vb_side is = { "candidate", candidate.records, POINTS };
    struct vb_comparison out;
    struct vb_error err = { 0 };
    if (vb_compare(&was, &is, &usual, arena, &out, &err) != VB_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return out;
}

/* The very same truth again, with as many steps as were asked for. */
static void ask_again(const struct scenario *scenario, size_t changed, size_t steps,
                      struct counts *counts)
{
    struct vb_arena arena = { 0 };
    for (size_t i = 0; i < POINTS; i++) {
        draw_steps(scenario, &base, i, mean_ns(i), steps);
        draw_steps(scenario, &candidate, i, mean_ns(i) * (i == changed ? 1 + scenario->slower : 1),
                   steps);
    }
    counts->n_asked++;
    counts->n_settled += compare(&arena).items[changed].change != VB_CHANGE_UNCLEAR;
    vb_arena_clear(&arena);
}

static void upgrade(const struct scenario *scenario, struct counts *counts)
{
    struct vb_arena arena = { 0 };
    const bool has_changed = scenario->slower > 0 || scenario->larger > 0;
    const size_t changed = (size_t)(draw() * POINTS);
    for (size_t i = 0; i < POINTS; i++) {
        const double slower = i == changed ? 1 + scenario->slower : 1;
        const double larger = i == changed ? 1 + scenario->larger : 1;
        struct vb_record *r = &candidate.records[i];
        r->peak_reserved_bytes = (uint64_t)((double)base.records[i].peak_reserved_bytes * larger);
        r->peak_device_bytes = r->peak_reserved_bytes + (UINT64_C(300) << 20);
        draw_steps(scenario, &base, i, mean_ns(i), scenario->steps);
        draw_steps(scenario, &candidate, i, mean_ns(i) * slower, scenario->steps);
    }
    const struct vb_comparison out = compare(&arena);
    const struct vb_compared *item = &out.items[changed];
    const size_t n_worse = out.n_of[VB_CHANGE_WORSE];
    const uint64_t steps = item->time.steps_needed;
    const enum vb_change found = item->change;
    counts->n_alarms += n_worse > (found == VB_CHANGE_WORSE && has_changed);
    counts->n_found += has_changed && found == VB_CHANGE_WORSE;
    counts->n_missed += has_changed && found != VB_CHANGE_WORSE && found != VB_CHANGE_UNCLEAR;
    counts->n_unclear += out.outcome == VB_CHANGE_UNCLEAR;
    vb_arena_clear(&arena);
    if (scenario->least_settled > 0 && found == VB_CHANGE_UNCLEAR && steps > 0 &&
        steps <= MOST_STEPS)
        ask_again(scenario, changed, steps, counts);
}

/* Whether the limits hold, which are of 1,000: of fewer upgrades one alarm at least is let pass. */
static bool hold(const struct scenario *scenario, size_t n, const struct counts *counts)
{
    const bool is_changed = scenario->slower > 0 || scenario->larger > 0;
    return counts->n_alarms <= (scenario->most_alarms * n + 999) / 1000 &&
           (!is_changed || counts->n_found * 1000 >= scenario->least_found * n) &&
           /* a point of 5 % may not be called the same more often than intervals miss */
           counts->n_missed * 1000 <= 25 * n &&
           counts->n_settled * 1000 >= scenario->least_settled * counts->n_asked;
}

int main(int argc, char **argv)
{
    const size_t n_upgrades = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    bool all_hold = n_upgrades > 0;
    make_points(&base);
    make_points(&candidate);
    printf("Upgrades of %d points, 10 steps each; thresholds: memory 1 %%, time 3 %%\n\n"
           "    n | alarms | found | same | inconclusive | settled by the steps asked for\n",
           POINTS);
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        const struct scenario *scenario = &scenarios[i];
        struct counts counts = { 0 };
        const size_t n = scenario->least_settled > 0 ? (n_upgrades + 3) / 4 : n_upgrades;
        for (size_t k = 0; k < n; k++)
            upgrade(scenario, &counts);
        const bool holds = hold(scenario, n, &counts);
        printf("%5zu | %6zu | %5zu | %4zu | %12zu | %3zu of %3zu | %s%s\n", n, counts.n_alarms,
               counts.n_found, counts.n_missed, counts.n_unclear, counts.n_settled, counts.n_asked,
               scenario->name, holds ? "" : ": DOES NOT HOLD");
        (void)fflush(stdout);
        all_hold = all_hold && holds;
    }
    return all_hold ? EXIT_SUCCESS : EXIT_FAILURE;
}
