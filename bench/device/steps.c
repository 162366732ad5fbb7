/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured of steps that a device executes. */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

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
    if (walk->step > 0 && walk->step >= walk->point->warmup)
        walk->samples[walk->n_samples++] = seconds / walk->program->loop_batches;
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

static double loop_flops(const struct vb_program *program)
{
    double flops = 0;
    for (size_t i = program->loop_start; i < program->loop_end; i++) {
        if (program->instructions[i].kind == VB_RUN)
            flops += program->calls[program->instructions[i].index].flops;
    }
    return flops;
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
    qsort(walk->samples, walk->n_samples, sizeof *walk->samples, by_seconds);
    record->step_seconds = quantile(walk->samples, walk->n_samples, 0.5);
    record->step_p10_seconds = quantile(walk->samples, walk->n_samples, 0.1);
    record->step_p90_seconds = quantile(walk->samples, walk->n_samples, 0.9);
    record->step_flops = loop_flops(walk->program) / walk->program->loop_batches;
    record->flops_per_second = record->step_flops / record->step_seconds;
}
