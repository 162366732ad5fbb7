/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/compare_time.h"

#include <math.h>
#include <stdlib.h>

#include "fit/rank.h"

/* Deviates: of a 95 % interval, and of a chance of nine in ten. */
static const double interval_z = 1.96, power_z = 1.2816;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Logarithms of the steps' seconds, sorted, and their median as seconds. */
static double *take_logs(const struct vb_record *record, double *median)
{
    const size_t n = record->n_step_samples;
    double *logs = malloc((n + 1) * sizeof *logs);
    if (logs == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        logs[i] = log((double)record->step_samples_ns[i] * 1e-9);
    qsort(logs, n, sizeof *logs, by_value);
    *median = 0.5 * (exp(logs[(n - 1) / 2]) + exp(logs[n / 2]));
    return logs;
}

static enum vb_status test(const double *a, const double *b, struct vb_time_change *out,
                           struct vb_error *err)
{
    struct vb_shift shift;
    enum vb_status status = vb_rank_test(a, out->n_base, b, out->n_candidate, &out->p, err);
    if (status == VB_OK)
        status = vb_rank_shift(a, out->n_base, b, out->n_candidate, &shift, err);
    if (status != VB_OK)
        return status;
    out->ratio = exp(shift.middle);
    out->has_interval = shift.has_interval;
    out->low = exp(shift.low);
    out->high = exp(shift.high);
    return VB_OK;
}

enum vb_status vb_compare_time(const struct vb_pair *pair, struct vb_time_change *out,
                               struct vb_error *err)
{
    *out = (struct vb_time_change){ 0 };
    if (pair->base->n_step_samples == 0 || pair->candidate->n_step_samples == 0)
        return VB_OK;
    out->n_base = pair->base->n_step_samples;
    out->n_candidate = pair->candidate->n_step_samples;
    double *a = take_logs(pair->base, &out->base_seconds);
    double *b = take_logs(pair->candidate, &out->candidate_seconds);
    enum vb_status status = a != NULL && b != NULL
                                ? test(a, b, out, err)
                                : vb_fail(err, VB_E_SYSTEM, "no host memory left for steps");
    free(a);
    free(b);
    return status;
}

/* Steps of each run below which no ranks are as unlikely as `risk`: of n and n all apart the chance
 * is 2 to (2n over n). */
static double least_steps(double risk)
{
    double n = 1, ways = 2;
    while (2 / ways > risk) {
        n += 1;
        ways *= (2 * n) * (2 * n - 1) / (n * n);
    }
    return n;
}

/* Errors shrink with the root of the steps. A change seems as large as it does by chance too, so it
 * is taken as one error less: at the threshold the fewest steps are asked for that find it there,
 * and never fewer than would clear a point that did not change. `risk`: what this point's chance
 * has to be below. */
static double reach_needed(double seen, double apart, double error, double risk)
{
    const double clears = (interval_z + power_z) / apart;
    const double found = vb_normal_quantile(risk) + power_z;
    if (seen >= apart)
        return fmax(clears, found / fmax(apart, seen - error));
    return fmax(clears, (interval_z + power_z) / (apart - seen));
}

static uint64_t steps_needed(const struct vb_time_change *time, double threshold, double risk)
{
    const double n = 2 / (1 / (double)time->n_base + 1 / (double)time->n_candidate);
    double needed = least_steps(risk);
    if (time->has_interval) {
        const double error = 0.5 * log(time->high / time->low) / interval_z;
        const double reach = reach_needed(log(time->ratio), log(1 + threshold), error, risk);
        needed = fmax(needed, n * error * error * reach * reach);
    }
    needed = ceil(fmax(needed, n + 1));
    return needed <= VB_MOST_STEP_SAMPLES ? (uint64_t)needed : 0;
}

static enum vb_change judge(const struct vb_time_change *time, double threshold)
{
    const bool is_sure = time->adjusted_p <= VB_COMPARE_RISK;
    if (is_sure && time->ratio >= 1 + threshold)
        return VB_CHANGE_WORSE;
    if (is_sure && time->ratio <= 1 / (1 + threshold))
        return VB_CHANGE_BETTER;
    if (time->has_interval && time->high < 1 + threshold)
        return VB_CHANGE_SAME;
    return VB_CHANGE_UNCLEAR;
}

enum vb_status vb_judge_times(struct vb_compared *items, size_t n, size_t n_timed, double threshold,
                              struct vb_error *err)
{
    size_t at = 0;
    double *p = calloc(n_timed + 1, sizeof *p);
    if (p == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu rank tests", n_timed);
    for (size_t i = 0; i < n; i++) {
        if (items[i].time.n_base > 0)
            p[at++] = items[i].time.p;
    }
    enum vb_status status = vb_holm(p, n_timed, err);
    at = 0;
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        struct vb_time_change *time = &items[i].time;
        if (time->n_base == 0)
            continue;
        time->adjusted_p = p[at++];
        time->change = judge(time, threshold);
        if (time->change == VB_CHANGE_UNCLEAR)
            time->steps_needed = steps_needed(time, threshold, VB_COMPARE_RISK / (double)n_timed);
    }
    free(p);
    return status;
}
