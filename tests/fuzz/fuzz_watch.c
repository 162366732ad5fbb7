/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "watch/account.h"

/* A file of a watched process, and the account of it beside NVML's samples. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *bus_ids[] = { "0000:01:00.0" };
    struct vb_arena arena = { 0 };
    struct vb_watch_trace trace;
    struct vb_watched watched;
    struct vb_error err;
    bool is_one = false;
    if (vb_watch_trace_parse((const char *)data, bytes, &trace, &is_one, &arena, &err) == VB_OK &&
        is_one) {
        struct vb_watch_sample samples[] = {
            { trace.start.monotonic_ns, 1 << 20, (uint32_t)trace.start.pid, 0 },
            { trace.start.monotonic_ns + 100, 1 << 21, (uint32_t)trace.start.pid, 0 },
        };
        const struct vb_watch_run run = { .end_ns = 1000,
                                          .samples = samples,
                                          .n_samples = 2,
                                          .bus_ids = bus_ids,
                                          .n_gpus = 1,
                                          .no_samples = "" };
        const struct vb_watch_traces traces = { &trace, 1 };
        if (vb_watch_account(&traces, &run, &watched, &arena, &err) == VB_OK)
            (void)watched.n_totals;
    }
    vb_arena_clear(&arena);
    return 0;
}
