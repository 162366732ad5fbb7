/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_ACCOUNT_PARTS_H
#define VB_WATCH_ACCOUNT_PARTS_H

/* The steps of an account (watch/account.h), for watch/account*.c alone. */

#include "watch/account.h"

/* The GPUs that a trace has events of, each with its account. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_watch_account_events(const struct vb_watch_trace *trace,
                                                  uint64_t start_ns, size_t most_gpus,
                                                  struct vb_watched_process *out,
                                                  struct vb_arena *arena, struct vb_error *err);

/* Gives the process's GPUs what NVML said of them, and those of which nothing else is known.
 * VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_watch_account_samples(const struct vb_watch_run *run,
                                                   uint64_t until_ns, size_t most_gpus,
                                                   struct vb_watched_process *process,
                                                   struct vb_error *err);

#endif
