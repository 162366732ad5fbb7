/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "memory/trace_pickle.h"
#include "memory/trace_replay.h"
#include "memory/trace_try.h"

enum { MAX_EVENTS = 500 };

/* What a snapshot that could be read goes through. */
static void replay(const struct vb_trace_pickle *pickle, struct vb_arena *arena)
{
    static const char *const settings[] = { "expandable_segments:True", "max_split_size_mb:21" };
    struct vb_replay replay;
    struct vb_trace_start start;
    struct vb_trial trial;
    struct vb_error err;
    struct vb_pool_options options = pickle->options;
    options.expandable_segments =
        false; /* ranges of a device without limit take too long to zero */
    if (vb_trace_replay("fuzz", &pickle->trace, &pickle->end, &options, VB_REPLAY_RECORDED, arena,
                        &replay, &err) == VB_OK)
        (void)vb_replay_is_same(&replay, VB_REPLAY_RECORDED);
    if (vb_trace_find_start("fuzz", &pickle->trace, &pickle->end, &options, arena, &start, &err) !=
        VB_OK)
        return;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (vb_pool_options_parse(settings[i], &options, &err) == VB_OK &&
            vb_trace_try("fuzz", &pickle->trace, &start, &options, VB_GIB(1), arena, &trial,
                         &err) == VB_OK)
            (void)trial.peak_reserved_bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct vb_pickle_limits limits = { 64 << 20, 100 };
    struct vb_arena arena = { 0 };
    struct vb_trace_pickle pickle;
    struct vb_error err;
    if (bytes == 0)
        return 0;
    FILE *file = fmemopen((void *)(uintptr_t)data, bytes, "rb");
    if (file == NULL)
        return 0;
    if (vb_trace_read_pickle("fuzz", file, VB_TRACE_ANY_DEVICE, &limits, &arena, &pickle, &err) ==
            VB_OK &&
        pickle.trace.n < MAX_EVENTS)
        replay(&pickle, &arena);
    (void)fclose(file);
    vb_arena_clear(&arena);
    return 0;
}
