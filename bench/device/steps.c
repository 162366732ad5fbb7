/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured of steps that a device executes. */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "device/host.h"
#include "device/walk.h"

/* A loss in another type than fp32 is not read. */
static enum vb_status read_loss(struct vb_walk *walk, uint32_t tensor, struct vb_error *err)
{
    float loss = 0;
    if (tensor >= walk->program->n_tensors || walk->blocks[tensor] == NULL ||
        walk->program->tensors[tensor].dtype != VB_FLOAT32)
        return VB_OK;
    enum vb_status status = vb_device_read(walk->device, vb_block_address(walk->blocks[tensor]),
                                           &loss, sizeof loss, err);
    if (status != VB_OK)
        return status;
    if (!isfinite(loss))
        return vb_fail(err, VB_E_DEVICE, "step %" PRIu32 ": the loss is %f", walk->step + 1,
                       (double)loss);
    if (walk->step == 0)
        walk->record->loss_first = (double)loss;
    walk->record->loss_last = (double)loss;
    return VB_OK;
}

enum vb_status vb_walk_end_step(struct vb_walk *walk, uint32_t loss, double seconds,
                                struct vb_error *err)
{
    if (vb_device_info(walk->device)->layout == VB_ONLY_PLANNED)
        return VB_OK;
    if (walk->step > 0 && walk->step >= walk->point->warmup &&
        walk->n_samples < walk->samples_room) {
        walk->samples[walk->n_samples++] = seconds / walk->program->loop_batches;
        walk->timed_seconds += seconds;
    }
    return read_loss(walk, loss, err);
}

static int by_seconds(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two samples that are nearest. */
static double quantile(const double *sorted, size_t n, double share)
{
    const double place = share * (double)(n - 1);
    const size_t below = (size_t)place;
    const size_t above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

double vb_median(double *seconds, size_t n)
{
    qsort(seconds, n, sizeof *seconds, by_seconds);
    return quantile(seconds, n, 0.5);
}

/* Where the median of what the samples are drawn from lies with 95 % probability: between the
 * samples whose ranks a binomial distribution leaves so seldom, by its normal approximation. False:
 * they are too few to say. */
static bool median_interval(const double *sorted, size_t n, double *low, double *high)
{
    const double reach = 1.96 * 0.5 * sqrt((double)n);
    const double middle = 0.5 * (double)n;
    if (n < VB_LEAST_STEPS)
        return false;
    *low = sorted[(size_t)fmax(0, floor(middle - reach))];
    *high = sorted[(size_t)fmin((double)n - 1, ceil(middle + reach))];
    return true;
}

static const double *sort_samples(struct vb_walk *walk)
{
    memcpy(walk->sorted, walk->samples, walk->n_samples * sizeof *walk->sorted);
    qsort(walk->sorted, walk->n_samples, sizeof *walk->sorted, by_seconds);
    return walk->sorted;
}

bool vb_walk_has_settled(struct vb_walk *walk)
{
    const size_t n = walk->n_samples;
    const uint32_t n_steps = walk->point->warmup + walk->point->steps;
    double low, high;
    if (walk->step < n_steps)
        return false;
    if (!vb_device_info(walk->device)->settles || walk->point->steps < VB_LEAST_STEPS ||
        n == walk->samples_room || walk->timed_seconds > VB_TIME_LIMIT_SECONDS)
        return true;
    const double *sorted = sort_samples(walk);
    return median_interval(sorted, n, &low, &high) && high - low <= 0.01 * quantile(sorted, n, 0.5);
}

static double loop_flops(const struct vb_program *program)
{
    double flops = 0;
    for (size_t i = program->loop_start; i < program->loop_end; i++) {
        if (program->instructions[i].kind == VB_RUN)
            flops += program->calls[program->instructions[i].index].flops;
    }
    return flops;
}

/* Steps that the clock cannot tell from nothing are not kept: they have no ratio to others. */
static void tell_samples(struct vb_walk *walk)
{
    const size_t n = walk->n_samples;
    const size_t n_kept = n < VB_MOST_STEP_SAMPLES ? n : VB_MOST_STEP_SAMPLES;
    for (size_t i = 0; i < n_kept; i++) {
        walk->samples_ns[i] = (uint64_t)llround(walk->samples[i * n / n_kept] * 1e9);
        if (walk->samples_ns[i] == 0)
            return;
    }
    walk->record->step_samples_ns = walk->samples_ns;
    walk->record->n_step_samples = n_kept;
}

void vb_walk_tell_measured(struct vb_walk *walk)
{
    struct vb_record *record = walk->record;
    if (record->provenance != VB_MEASURED)
        return;
    record->step_seconds = 0;
    record->peak_rss_bytes = vb_host_peak_rss_bytes();
    if (record->state != VB_STATE_OK || walk->n_samples == 0)
        return;
    const double *sorted = sort_samples(walk);
    record->step_seconds = quantile(sorted, walk->n_samples, 0.5);
    record->step_p10_seconds = quantile(sorted, walk->n_samples, 0.1);
    record->step_p90_seconds = quantile(sorted, walk->n_samples, 0.9);
    record->timed_steps = walk->n_samples;
    tell_samples(walk);
    if (!median_interval(sorted, walk->n_samples, &record->step_low_seconds,
                         &record->step_high_seconds))
        record->step_low_seconds = record->step_high_seconds = 0;
    record->step_flops = loop_flops(walk->program) / walk->program->loop_batches;
    record->flops_per_second = record->step_flops / record->step_seconds;
}
