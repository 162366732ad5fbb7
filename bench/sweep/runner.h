/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_RUNNER_H
#define VB_SWEEP_RUNNER_H

/* Runs a sweep's points one after another, or several at a time in processes of their own, and
 * journals each as it is done. What is measured is run one point a process, one after another. */

#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"
#include "sweep/grid.h"
#include "sweep/journal.h"

/* How a point is worked out: vb_measure(), or a test's own. */
typedef enum vb_status vb_measure_function(const struct vb_point *point, struct vb_device *device,
                                           bool with_curve, struct vb_arena *arena,
                                           struct vb_record *record, struct vb_error *err);

struct vb_run_options {
    vb_measure_function *measure;
    const char *device; /* its name: opened in each process */
    const char *repro;  /* the start of the command that reproduces a point: "vrambench estimate" */
    uint64_t memory_bytes; /* the device has no more than that; 0: what it has */
    const char *program; /* executed for each point, as sweep/apart.h has it; NULL: none, points run
                          * here */
    uint32_t threads;    /* of such a process; 0: as many as it likes */
    uint32_t timeout_seconds; /* after which it is ended; 0: never */
    uint32_t jobs;
    bool retry_failed; /* points that failed are run again; the others of the journal never are */
    bool backstop;
    volatile const int *stop; /* not 0: finish no further point */
    /* Told after each point; may be NULL. */
    void (*progress)(void *context, size_t n_done, size_t n_points);
    void *progress_context;
};

struct vb_run_counts {
    size_t n_run, n_kept, n_oom, n_failed;
    bool was_stopped;
};

/* Opens the device, with no more memory than the options say. Statuses as vb_device_open() and
 * vb_device_limit() have them. */
VB_CHECKED enum vb_status vb_run_open(const struct vb_run_options *options, struct vb_device **out,
                                      struct vb_error *err);

/* One point to its record, in this process, whatever becomes of it: a failure is its state. */
void vb_run_point(const struct vb_run_options *options, const struct vb_point *point,
                  struct vb_device *device, struct vb_arena *arena, struct vb_record *record);

/* Writes to the record the command that works its point out on its own. */
void vb_run_tell_repro(const struct vb_run_options *options, struct vb_record *record);

/* `known`: what the journal holds already. `records`: room for all points, filled in their order (a
 * stopped run leaves those that were not reached with an empty device). The arena takes the curves.
 * A point's failure is its state, not the run's. VB_E_SYSTEM: the journal cannot be written. */
VB_CHECKED enum vb_status vb_run_sweep(const struct vb_sweep *sweep,
                                       const struct vb_run_options *options,
                                       const struct vb_rows *known, struct vb_journal *journal,
                                       struct vb_arena *arena, struct vb_record *records,
                                       struct vb_run_counts *counts, struct vb_error *err);

#endif
