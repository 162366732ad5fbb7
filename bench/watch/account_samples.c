/* SPDX-License-Identifier: Apache-2.0 */
/* The context grows as code is loaded, and a sample may fall between an allocation and its record's
 * time: of all samples the median is taken. */
#include "watch/account_parts.h"

#include <stdlib.h>
#include <strings.h>

#include "base/order.h"

static int compare_bytes(const void *left, const void *right)
{
    return vb_order(*(const uint64_t *)left, *(const uint64_t *)right);
}

uint64_t vb_live_curve_at(const struct vb_live_curve *curve, uint64_t ns)
{
    size_t low = 0, high = curve->n; /* the first point beyond `ns` is in low..high */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (curve->points[middle].ns <= ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? curve->points[low - 1].device_bytes : 0;
}

static bool is_of(const struct vb_watch_sample *sample, const struct vb_watch_trace *trace,
                  size_t gpu, uint64_t until_ns)
{
    return sample->gpu == gpu && sample->pid == (uint32_t)trace->start.pid &&
           sample->ns >= trace->start.monotonic_ns && sample->ns <= until_ns;
}

/* Up to when what was live is known: of a process that is not recorded to its end no longer than
 * that, and never of one of which records are missing, or all. */
static uint64_t known_until(const struct vb_watch_trace *trace)
{
    if (trace->start.record_ns == 0 || trace->start.n_dropped > 0)
        return 0;
    return trace->why[0] != '\0' ? trace->reached_ns : UINT64_MAX;
}

/* `scratch` has room for a number of each sample. */
static void measure(const struct vb_watch_run *run, const struct vb_watch_trace *trace, size_t gpu,
                    uint64_t until_ns, uint64_t *scratch, struct vb_watched_gpu *out)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_samples; i++) {
        const struct vb_watch_sample *sample = &run->samples[i];
        if (!is_of(sample, trace, gpu, until_ns))
            continue;
        out->n_samples++;
        if (sample->bytes > out->sampled_bytes)
            out->sampled_bytes = sample->bytes;
        if (sample->ns > known_until(trace))
            continue;
        uint64_t live = vb_live_curve_at(&out->curve, sample->ns);
        scratch[n++] = sample->bytes > live ? sample->bytes - live : 0;
    }
    qsort(scratch, n, sizeof *scratch, compare_bytes);
    out->has_context = n > 0;
    out->context_bytes = n > 0 ? scratch[(n - 1) / 2] : 0;
}

static bool has_samples(const struct vb_watch_run *run, const struct vb_watch_trace *trace,
                        size_t gpu, uint64_t until_ns)
{
    for (size_t i = 0; i < run->n_samples; i++) {
        if (is_of(&run->samples[i], trace, gpu, until_ns))
            return true;
    }
    return false;
}

/* The process's part on that GPU: by its bus id; by being the only one where that is not known; or
 * new. NULL: there is no room. */
static struct vb_watched_gpu *find_part(const struct vb_watch_run *run, size_t gpu,
                                        size_t most_gpus, struct vb_watched_process *process)
{
    for (size_t i = 0; i < process->n_gpus; i++) {
        if (strcasecmp(process->gpus[i].name, run->bus_ids[gpu]) == 0)
            return &process->gpus[i];
    }
    if (process->n_gpus == 1 && run->n_gpus == 1 && process->trace->n_devices == 0)
        return &process->gpus[0];
    if (process->n_gpus == most_gpus)
        return NULL;
    struct vb_watched_gpu *made = &process->gpus[process->n_gpus++];
    made->name = run->bus_ids[gpu];
    return made;
}

enum vb_status vb_watch_account_samples(const struct vb_watch_run *run, uint64_t until_ns,
                                        size_t most_gpus, struct vb_watched_process *process,
                                        struct vb_error *err)
{
    uint64_t *scratch = calloc(run->n_samples + 1, sizeof *scratch);
    if (scratch == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory for %zu samples", run->n_samples);
    for (size_t i = 0; i < run->n_gpus; i++) {
        if (!has_samples(run, process->trace, i, until_ns))
            continue;
        struct vb_watched_gpu *part = find_part(run, i, most_gpus, process);
        if (part != NULL)
            measure(run, process->trace, i, until_ns, scratch, part);
    }
    free(scratch);
    return VB_OK;
}
