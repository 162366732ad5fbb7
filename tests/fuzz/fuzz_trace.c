/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "memory/trace_replay.h"
#include "memory/trace_totals.h"

/* The first 0 byte parts the CSV from the JSON. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct vb_pool_options options;
    struct vb_arena arena = { 0 };
    struct vb_trace trace;
    struct vb_trace_end end;
    struct vb_replay replay;
    struct vb_trace_totals totals;
    struct vb_error err;
    char *text = fuzz_text(data, bytes);
    size_t first = strlen(text);
    if (vb_trace_check_totals("fuzz.csv", text, &totals, &err) == VB_OK)
        (void)totals.n_events;
    if (vb_trace_parse("fuzz.csv", text, &arena, &trace, &err) == VB_OK && trace.n < 2000) {
        bool has_end = first < bytes && vb_trace_parse_end("fuzz.json", text + first + 1, &arena,
                                                           &end, &err) == VB_OK;
        for (int addresses = VB_REPLAY_RECORDED; addresses <= VB_REPLAY_SYNTHETIC; addresses++) {
            if (vb_trace_replay("fuzz.csv", &trace, has_end ? &end : NULL, &options,
                                (enum vb_replay_addresses)addresses, &arena, &replay,
                                &err) == VB_OK)
                (void)replay.n_allocations;
        }
    }
    vb_arena_clear(&arena);
    free(text);
    return 0;
}
