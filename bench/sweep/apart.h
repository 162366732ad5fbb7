/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_APART_H
#define VB_SWEEP_APART_H

/* A point in a process of its own, for devices that measure: whatever becomes of the process, a
 * crash or a hang, is the point's answer and nobody else's. The program is run as
 * "PROGRAM point --device NAME --key VALUE ...", which prints the point's record. */

#include "sweep/runner.h"

/* Fills the record: what the process printed, else state error or timeout with the reason.
 * `*was_stopped`: options->stop was set, the process is gone and there is no record.
 * VB_E_SYSTEM: there is no process to be had. */
VB_CHECKED enum vb_status vb_run_apart(const struct vb_run_options *options,
                                       const struct vb_point *point, struct vb_arena *arena,
                                       struct vb_record *record, bool *was_stopped,
                                       struct vb_error *err);

#endif
