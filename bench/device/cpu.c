/* SPDX-License-Identifier: Apache-2.0 */
/* This machine as a device: its memory, and its processors through cpu/cpu.h.
 *
 * Segments are mapped as they are asked for, without MAP_NORESERVE: the kernel refuses what it
 * cannot back, which is the answer oom. Where it is set to promise more than it has
 * (vm.overcommit_memory), it may still end the process when the pages are touched; so the capacity
 * is what was available when the device was opened, and the sweep gives each point a process.
 *
 * Each segment lies below the one before, as the virtual device's do: which of two equally large
 * free blocks a pool takes depends on it, so that both devices give the same figures. The places
 * are found by mapping a large hole once, which takes no memory, and going down from its middle;
 * what else the process maps comes from the hole's top.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/bytes.h"
#include "cpu/cpu.h"
#include "device/host.h"
#include "device/kind.h"
#include "device/segments.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

enum { GRANULARITY_BYTES = 2 << 20, MAX_THREADS = 1024 }; /* as the virtual device's */

#define LARGEST_HOLE_BYTES ((uint64_t)1 << 44)
#define LEAST_HOLE_BYTES ((uint64_t)1 << 28)

/* A NaN as fp32 and as bf16 that signals, and one as fp16. */
#define POISON UINT32_C(0x7fbf7fbf)

struct cpu_device {
    struct vb_device base;
    struct vb_cpu *cpu; /* owned */
    struct vb_segments segments;
    vb_address lowest; /* below it the next segment is tried; 0: anywhere */
    struct timespec since;
    bool poisons;
};

static struct cpu_device *from_base(struct vb_device *base)
{
    return (struct cpu_device *)base;
}

static void *at(vb_address address)
{
    return (void *)(uintptr_t)address;
}

static void unmap(struct vb_segment segment)
{
    ASAN_UNPOISON_MEMORY_REGION(at(segment.address), segment.bytes);
    (void)munmap(at(segment.address), segment.bytes);
}

/* Also closes what cpu_open() left half open. */
static void cpu_close(struct vb_device *base)
{
    struct cpu_device *self = from_base(base);

    for (size_t i = 0; i < self->segments.n; i++)
        unmap(self->segments.items[i]);
    free(self->segments.items);
    vb_cpu_close(self->cpu);
    free(self);
}

/* The middle of the largest hole there is. */
static vb_address find_place(void)
{
    for (uint64_t bytes = LARGEST_HOLE_BYTES; bytes >= LEAST_HOLE_BYTES; bytes /= 2) {
        void *hole =
            mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (hole == MAP_FAILED)
            continue;
        (void)munmap(hole, bytes);
        return ((vb_address)(uintptr_t)hole + bytes / 2) & ~(vb_address)(GRANULARITY_BYTES - 1);
    }
    return 0;
}

static enum vb_status read_threads(const char *selector, uint32_t *out, struct vb_error *err)
{
    char *end = NULL;
    if (selector[0] == '\0') {
        *out = vb_host_threads();
        return VB_OK;
    }
    unsigned long n = strtoul(selector, &end, 10);
    if (selector[0] < '0' || selector[0] > '9' || *end != '\0' || n < 1 || n > MAX_THREADS)
        return vb_fail(err, VB_E_INPUT, "cpu:%.64s: expected cpu, or cpu:THREADS from 1 to %d",
                       selector, MAX_THREADS);
    *out = (uint32_t)n;
    return VB_OK;
}

static enum vb_status cpu_open(const char *selector, struct vb_device **out, struct vb_error *err)
{
    const char *poison = getenv("VRAMBENCH_POISON");
    uint32_t threads = 0;
    enum vb_status status = read_threads(selector, &threads, err);
    if (status != VB_OK)
        return status;
    struct cpu_device *self = calloc(1, sizeof *self);
    if (self == NULL)
        return vb_fail(err, VB_E_SYSTEM, "cpu: no host memory left");
    status = vb_cpu_open(threads, &self->cpu, err);
    if (status != VB_OK) {
        cpu_close(&self->base);
        return status;
    }
    struct vb_device_info *info = &self->base.info;
    (void)snprintf(info->name, sizeof info->name, "cpu%s%s", selector[0] != '\0' ? ":" : "",
                   selector);
    vb_host_product(info->product, sizeof info->product);
    vb_cpu_version(info->onednn, sizeof info->onednn);
    info->capacity_bytes = vb_host_available_bytes();
    info->granularity_bytes = GRANULARITY_BYTES;
    info->threads = threads;
    info->layout = VB_CHANNELS_LAST;
    info->measures = true;
    self->base.kind = &vb_device_cpu;
    self->poisons = poison != NULL && strcmp(poison, "1") == 0;
    self->lowest = find_place();
    (void)clock_gettime(CLOCK_MONOTONIC, &self->since);
    *out = &self->base;
    return VB_OK;
}

static uint64_t cpu_free_bytes(const struct vb_device *base)
{
    const struct cpu_device *self = (const struct cpu_device *)base;
    const uint64_t capacity_bytes = base->info.capacity_bytes;
    const uint64_t taken_bytes = self->segments.bytes;
    return capacity_bytes > taken_bytes ? capacity_bytes - taken_bytes : 0;
}

static enum vb_status cpu_reserve(struct vb_device *base, uint64_t bytes, struct vb_segment *out,
                                  struct vb_error *err)
{
    struct cpu_device *self = from_base(base);
    const uint64_t left_bytes = cpu_free_bytes(base);
    const vb_address place = self->lowest > bytes ? self->lowest - bytes : 0;

    if (bytes > left_bytes)
        return vb_fail(err, VB_E_NO_FIT, "%s: %" PRIu64 " B asked for, %" PRIu64 " B left",
                       base->info.name, bytes, left_bytes);
    enum vb_status status = vb_segments_make_room(&self->segments, base->info.name, err);
    if (status != VB_OK)
        return status;
    void *memory =
        mmap(at(place), bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return vb_fail(err, errno == ENOMEM ? VB_E_NO_FIT : VB_E_DEVICE,
                       "%s: %" PRIu64 " B asked for: %s", base->info.name, bytes, strerror(errno));
    ASAN_POISON_MEMORY_REGION(memory, bytes);
    *out = (struct vb_segment){ .address = (vb_address)(uintptr_t)memory, .bytes = bytes };
    vb_segments_add(&self->segments, *out);
    self->lowest = out->address;
    return VB_OK;
}

static void cpu_release(struct vb_device *base, struct vb_segment segment)
{
    vb_segments_remove(&from_base(base)->segments, segment);
    unmap(segment);
}

static void cpu_mark(struct vb_device *base, vb_address address, uint64_t bytes, bool is_taken)
{
    static const uint32_t poison = POISON;
    unsigned char *memory = at(address);

    if (is_taken || from_base(base)->poisons)
        ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    for (uint64_t i = 0; from_base(base)->poisons && i < bytes; i++)
        memory[i] = ((const unsigned char *)&poison)[i % sizeof poison];
    if (!is_taken)
        ASAN_POISON_MEMORY_REGION(memory, bytes);
}

static enum vb_status cpu_workspace(struct vb_device *base, const struct vb_call *call,
                                    uint64_t *bytes, struct vb_error *err)
{
    return vb_cpu_workspace(from_base(base)->cpu, call, bytes, err);
}

static enum vb_status cpu_read(struct vb_device *base, vb_address address, void *out, size_t bytes,
                               struct vb_error *err)
{
    (void)base;
    (void)err;
    memcpy(out, at(address), bytes);
    return VB_OK;
}

static enum vb_status cpu_run(struct vb_device *base, const struct vb_work *work,
                              struct vb_error *err)
{
    void *tensors[VB_MAX_OPERANDS];
    for (uint32_t i = 0; i < work->call->n_operands; i++)
        tensors[i] = at(work->tensors[i]);
    const struct vb_cpu_work host = { .call = work->call,
                                      .tensors = tensors,
                                      .workspace = at(work->workspace),
                                      .update = work->update };
    return vb_cpu_run(from_base(base)->cpu, &host, err);
}

static enum vb_status cpu_elapsed(struct vb_device *base, double *seconds, struct vb_error *err)
{
    struct cpu_device *self = from_base(base);
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return vb_fail(err, VB_E_DEVICE, "%s: no clock: %s", base->info.name, strerror(errno));
    *seconds = (double)(now.tv_sec - self->since.tv_sec) +
               (double)(now.tv_nsec - self->since.tv_nsec) * 1e-9;
    self->since = now;
    return VB_OK;
}

const struct vb_device_kind vb_device_cpu = {
    .prefix = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .reserve = cpu_reserve,
    .release = cpu_release,
    .free_bytes = cpu_free_bytes,
    .mark = cpu_mark,
    .workspace = cpu_workspace,
    .read = cpu_read,
    .run = cpu_run,
    .elapsed = cpu_elapsed,
};
