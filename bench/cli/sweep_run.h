/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_SWEEP_RUN_H
#define VB_CLI_SWEEP_RUN_H

/* Points from elsewhere than an INI file, run into a folder as `sweep` does; the code is
 * cmd_sweep.c's. */

#include "base/error.h"
#include "sweep/grid.h"
#include "sweep/runner.h"

struct cli_sweep_request {
    const char *from; /* where the points are from, for texts */
    int argc;         /* the command line, for env.json */
    char **argv;
    const char *out, *device;
    bool resume, fresh; /* what becomes of a journal that is there, as --resume and --fresh */
};

/* Neither tables nor charts are made. Ctrl-C ends it, which the counts tell. Statuses as a sweep's.
 */
VB_CHECKED enum vb_status cli_sweep_run(const struct cli_sweep_request *request,
                                        struct vb_sweep *sweep, struct vb_run_counts *counts,
                                        struct vb_error *err);

#endif
