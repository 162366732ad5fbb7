/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_RUN_H
#define VB_WATCH_RUN_H

/* Runs a program under watch: in its place in the terminal, with its own streams and signals, and
 * two variables more in its environment. What its processes hold of each GPU is looked at while it
 * runs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

/* Bytes of a GPU that a process held, as NVML said. */
struct vb_watch_sample {
    uint64_t ns; /* CLOCK_MONOTONIC */
    uint64_t bytes;
    uint32_t pid, gpu; /* index of the GPU's bus id below */
};

struct vb_watch_run {
    pid_t pid;
    int ended; /* as waitpid() tells */
    double seconds;
    uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
    struct vb_watch_sample *samples;
    size_t n_samples, room_samples;
    const char **bus_ids; /* of each GPU; "": not known */
    size_t n_gpus;
    const char *no_samples; /* why there are none; "": there may be */
};

enum { VB_WATCH_SAMPLE_MS = 100 };

/* `argv` ends in NULL. `library` is loaded into each process that opens CUDA, and leaves its file
 * in `folder`. Returns when the program itself has ended, whatever others it left. SIGTERM, SIGHUP
 * and SIGINT that are sent to us are sent on to it; those of the terminal it has already. `out` and
 * what it points to are in `arena`.
 * VB_E_INPUT: it cannot be executed: `*cannot_errno` says why. VB_E_SYSTEM: no process, no memory.
 */
VB_CHECKED enum vb_status vb_watch_run(char *const *argv, const char *library, const char *folder,
                                       struct vb_watch_run *out, int *cannot_errno,
                                       struct vb_arena *arena, struct vb_error *err);

/* The status to end with as the program did: its own, or 128 and the signal. */
int vb_watch_exit_status(int ended);

#endif
