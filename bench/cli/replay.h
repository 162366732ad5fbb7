/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_REPLAY_H
#define VB_CLI_REPLAY_H

/* What `replay` found out and prints: what was compared with the recording, and what other settings
 * would have done. */

#include "base/text.h"
#include "cli/arguments.h"
#include "memory/trace_try.h"

enum { REPLAY_MAX_COUNTS = 6, REPLAY_MAX_TRIALS = 64 };

enum replay_format { REPLAY_MD, REPLAY_CSV, REPLAY_JSON };

struct replay_trials {
    struct {
        const char *settings; /* the arena's; "as recorded (defaults)" */
        struct vb_trial trial;
    } items[REPLAY_MAX_TRIALS];
    size_t n;
    uint64_t capacity_bytes; /* 0: no limit */
    bool is_inferred;        /* from where the recording ran out */
    size_t n_start;          /* blocks that were alive before it began */
    uint64_t start_bytes;
};

/* Of either kind of recording. */
struct replay_summary {
    const char *path;
    bool is_same;
    struct {
        const char *key, *what;
        size_t n_same, n;
    } counts[REPLAY_MAX_COUNTS];
    size_t n_counts;
    const char *sizes_of; /* "pool" or "recording" */
    uint64_t peak_reserved_bytes;
    size_t first_difference; /* line or event; 0: none */
    const char *place;       /* "line" or "event" */
    bool has_device;
    uint32_t device;
    size_t n_private;     /* segments of private pools, which are replayed as if they were not */
    const char *settings; /* that the snapshot tells; NULL: it tells none */
    struct replay_trials trials;
};

/* VB_E_SYSTEM: it cannot be written. */
VB_CHECKED enum vb_status replay_print(const struct replay_summary *summary,
                                       enum replay_format format, struct vb_error *err);

/* A recording, of whatever form. */
struct replay_recording {
    const char *path;
    struct vb_trace trace;
    struct vb_trace_end end;
    bool has_end;
    struct vb_pool_options options; /* the process's */
};

/* Tries each of `texts` ("usual": those that are commonly advised) after the recording's own. 0
 * `capacity_bytes`: what the recording had if it ran out, else no limit. */
VB_CHECKED enum vb_status replay_try(const struct replay_recording *recording,
                                     const struct cli_values *texts, uint64_t capacity_bytes,
                                     struct vb_arena *arena, struct replay_trials *out,
                                     struct vb_error *err);

#endif
