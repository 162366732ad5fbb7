/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the GPU, and of what happened on it, to a record. */

#include "config.h"

#if VB_WITH_CUDA
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda_state.h"

enum { NOTABLE_PERCENT = 5 }; /* of a clock's change */

void vb_cuda_note(struct vb_device *base, enum vb_moment moment)
{
    struct vb_cuda *self = vb_cuda_of(base);
    vb_nvml_read(self->nvml, &self->moments[moment]);
}

bool vb_cuda_watch(struct vb_device *base, bool records)
{
    struct vb_cuda *self = vb_cuda_of(base);
    struct vb_error err = { 0 };
    if (vb_cuda_flush(self, &err) != VB_OK || !vb_capture_watch(self->capture, records))
        return false;
    self->is_watched = records;
    return true;
}

static void tell_moment(const struct vb_nvml_reading *reading, struct vb_gpu_moment *out)
{
    *out = (struct vb_gpu_moment){ 0 };
    if (reading->has_sm_clock)
        out->sm_mhz = reading->sm_clock_mhz;
    if (reading->has_memory_clock)
        out->memory_mhz = reading->memory_clock_mhz;
    if (reading->has_temperature)
        out->celsius = reading->temperature_celsius;
    if (reading->has_power)
        out->watts = reading->power_mw * 1e-3;
    if (reading->has_throttle)
        vb_throttle_list(reading->throttle_reasons, out->throttled, sizeof out->throttled);
}

/* Why times may not be worth their figures. */
static void tell_warning(const struct vb_cuda *self, struct vb_on_gpu *out)
{
    const struct vb_nvml_reading *before = &self->moments[VB_MOMENT_BEFORE];
    const struct vb_nvml_reading *after = &self->moments[VB_MOMENT_AFTER];
    const uint64_t held = vb_throttle_harmful(after->has_throttle ? after->throttle_reasons : 0);
    const uint64_t from = before->sm_clock_mhz, to = after->sm_clock_mhz;
    const uint64_t change = from > to ? from - to : to - from;
    const bool has_both = before->has_sm_clock && after->has_sm_clock;
    const char *why = vb_nvml_why(self->nvml);
    if (has_both && change * 100 > from * NOTABLE_PERCENT)
        (void)snprintf(out->warning, sizeof out->warning,
                       "the clock went from %" PRIu64 " to %" PRIu64 " MHz while steps were timed",
                       from, to);
    else if (held != 0)
        (void)snprintf(out->warning, sizeof out->warning, "clocks were held down: %.128s",
                       out->after.throttled);
    else if (!has_both)
        (void)snprintf(out->warning, sizeof out->warning,
                       "whether the clock changed is not known%s%.200s", why[0] != '\0' ? ": " : "",
                       why);
}

static void tell_identity(const struct vb_cuda *self, const struct vb_nvml_reading *now,
                          struct vb_on_gpu *out)
{
    const struct vb_capture_info info = vb_capture_info(self->capture);
    (void)snprintf(out->driver, sizeof out->driver, "%s", vb_nvml_driver_version(self->nvml));
    (void)snprintf(out->cuda, sizeof out->cuda, "%d.%d", self->cuda_version / 1000,
                   self->cuda_version / 10 % 100);
    (void)snprintf(out->pci, sizeof out->pci, "%s", self->bus_id);
    if (info.cupti_version >= 10000) /* as 130001; those of CUDA 12 count by releases */
        (void)snprintf(out->cupti, sizeof out->cupti, "%" PRIu32 ".%" PRIu32 ".%" PRIu32,
                       info.cupti_version / 10000, info.cupti_version / 100 % 100,
                       info.cupti_version % 100);
    else if (info.cupti_version > 0)
        (void)snprintf(out->cupti, sizeof out->cupti, "%" PRIu32, info.cupti_version);
    out->compute_capability = self->base.info.compute_capability;
    out->others_bytes = self->others_bytes;
    if (now->has_ecc)
        (void)snprintf(out->ecc, sizeof out->ecc, "%s", now->ecc_is_on ? "on" : "off");
    if (now->has_power_limit)
        out->power_limit_watts = now->power_limit_mw * 1e-3;
}

/* `loss`: what records that were dropped mean; "" where none was. */
static void tell_state_of_capture(const struct vb_cuda *self, const char *loss,
                                  struct vb_on_gpu *out)
{
    const struct vb_capture_info info = vb_capture_info(self->capture);
    const char *state = "none", *why = info.why;
    if (self->is_capture_off) {
        state = "off";
        why = "VRAMBENCH_CAPTURE=off";
    } else if (info.is_on) {
        state = info.why[0] == '\0' && loss[0] == '\0' ? "full" : "partial";
        why = info.why[0] != '\0' ? info.why : loss;
    }
    (void)snprintf(out->capture, sizeof out->capture, "%s", state);
    (void)snprintf(out->capture_why, sizeof out->capture_why, "%s", why);
}

/* The process's bytes are the context's but for those that someone in it allocated. Where the
 * driver does not tell them, the context is what was gone at the start. */
static void tell_memory(const struct vb_cuda *self, const struct vb_nvml_reading *now,
                        const struct vb_capture_reading *reading, struct vb_record *record)
{
    struct vb_on_gpu *out = &record->on_gpu;
    const struct vb_live *peak = &reading->answer.peak;
    const uint64_t lowest = self->lowest_free_bytes + self->others_bytes;
    if (now->has_process) {
        out->process_bytes = now->process_bytes;
        (void)snprintf(out->process_source, sizeof out->process_source, "%s",
                       now->process_source == VB_NVML_PROCESS ? "process" : "device");
    }
    record->peak_device_bytes =
        record->capacity_bytes > lowest ? record->capacity_bytes - lowest : 0;
    if (!reading->has_memory)
        return;
    out->captured_peak_bytes = peak->device_bytes;
    out->pool_bytes = peak->owner_bytes[VB_OWNER_POOL];
    out->cudnn_bytes = peak->owner_bytes[VB_OWNER_CUDNN];
    out->rest_bytes = peak->owner_bytes[VB_OWNER_OTHERS];
    out->dropped_records = reading->answer.n_dropped;
    if (now->has_process && now->process_bytes >= reading->now.device_bytes) {
        record->context_bytes = now->process_bytes - reading->now.device_bytes;
        record->peak_device_bytes = peak->device_bytes + record->context_bytes;
    }
    if (!reading->answer.is_complete && record->state == VB_STATE_OK) {
        record->state = VB_STATE_LOWER_BOUND;
        (void)snprintf(record->reason, sizeof record->reason, "capture: %s", reading->note);
    }
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const struct vb_kernel_time *)a)->seconds;
    const double y = ((const struct vb_kernel_time *)b)->seconds;
    return (x < y) - (x > y);
}

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const struct vb_tag_work *)a)->kernel_seconds;
    const double y = ((const struct vb_tag_work *)b)->kernel_seconds;
    return (x < y) - (x > y);
}

/* The record's entry of that name, a new one where there is none. NULL: no room. */
static struct vb_kernel_time *entry(struct vb_on_gpu *out, const char *name)
{
    for (uint64_t i = 0; i < out->n_kernel_times; i++) {
        if (strcmp(out->kernels[i].name, name) == 0)
            return &out->kernels[i];
    }
    if (out->n_kernel_times == VB_N_KERNEL_TIMES)
        return NULL;
    struct vb_kernel_time *made = &out->kernels[out->n_kernel_times++];
    *made = (struct vb_kernel_time){ 0 };
    (void)snprintf(made->name, sizeof made->name, "%s", name);
    return made;
}

/* Operators of one name in PyTorch's profiler are one entry; what there is no room for is "rest".
 */
static void tell_kernels(const struct vb_timeline_answer *answer, uint32_t steps,
                         struct vb_on_gpu *out)
{
    out->n_kernel_times = 0;
    qsort(answer->work, answer->n_work, sizeof *answer->work, by_seconds);
    for (size_t i = 0; i < answer->n_work; i++) {
        const struct vb_tag_work *work = &answer->work[i];
        const uint64_t id = vb_tag_id(work->tag);
        const bool is_known = id > 0 && id <= VB_N_OPERATORS;
        if (work->n_kernels == 0)
            continue;
        struct vb_kernel_time *time = entry(out, is_known ? vb_operator_names[id - 1] : "other");
        if (time == NULL) {
            time = &out->kernels[VB_N_KERNEL_TIMES - 1];
            (void)snprintf(time->name, sizeof time->name, "rest");
        }
        time->seconds += work->kernel_seconds / steps;
        time->launches += work->n_kernels / steps;
    }
    qsort(out->kernels, out->n_kernel_times, sizeof *out->kernels, by_time);
}

/* Reads all that was captured until now. */
static enum vb_status read_capture(struct vb_cuda *self, struct vb_capture_reading *out,
                                   struct vb_arena *arena, struct vb_error *err)
{
    enum vb_status status = vb_cuda_synchronize(self, err);
    return status == VB_OK ? vb_capture_read(self->capture, out, arena, err) : status;
}

enum vb_status vb_cuda_tell(struct vb_device *base, struct vb_record *record, struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    struct vb_arena arena = { 0 };
    struct vb_nvml_reading now = { 0 };
    struct vb_capture_reading reading = { 0 };
    enum vb_status status = read_capture(self, &reading, &arena, err);
    vb_nvml_read(self->nvml, &now);
    if (status == VB_OK) {
        struct vb_on_gpu *out = &record->on_gpu;
        tell_identity(self, &now, out);
        tell_moment(&self->moments[VB_MOMENT_BEFORE], &out->before);
        tell_moment(&self->moments[VB_MOMENT_AFTER], &out->after);
        tell_warning(self, out);
        tell_state_of_capture(self, reading.note, out);
        tell_memory(self, &now, &reading, record);
    }
    vb_arena_clear(&arena);
    return status;
}

enum vb_status vb_cuda_tell_work(struct vb_device *base, uint32_t steps, struct vb_record *record,
                                 struct vb_error *err)
{
    struct vb_cuda *self = vb_cuda_of(base);
    struct vb_arena arena = { 0 };
    struct vb_capture_reading reading = { 0 };
    struct vb_on_gpu *out = &record->on_gpu;
    enum vb_status status = read_capture(self, &reading, &arena, err);
    if (status == VB_OK && steps > 0 && reading.has_kernels)
        tell_kernels(&reading.answer, steps, out);
    /* What failed since. A peak that was exact is so still. */
    const bool has_lost = reading.answer.n_dropped > out->dropped_records;
    if (status == VB_OK && (has_lost || vb_capture_info(self->capture).why[0] != '\0'))
        tell_state_of_capture(self, has_lost ? "records of kernels were dropped" : "", out);
    if (has_lost)
        out->dropped_records = reading.answer.n_dropped;
    vb_arena_clear(&arena);
    return status;
}
#endif
