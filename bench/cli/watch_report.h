/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_WATCH_REPORT_H
#define VB_CLI_WATCH_REPORT_H

/* What 'vrambench watch' tells of a program that ran: to people on stderr, for stdout is the
 * program's; to others in a folder. */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "watch/account.h"

/* What was planned for it; all 0 where nothing was asked. */
struct cli_watch_plan {
    bool is_asked, has_interval;
    char point[160], gpu[128]; /* "yolov5s, batch 16, 640 px, fp16", "NVIDIA GeForce RTX 3090" */
    double need_bytes, context_bytes;
    double low_bytes, high_bytes; /* 90 % of the need */
};

struct cli_watch_report {
    char *const *argv; /* the program's, ends in NULL */
    const struct vb_watch_run *run;
    const struct vb_watched *watched;
    const struct cli_watch_plan *plan;
};

/* The GPU with the largest peak; NULL: there is none. */
const struct vb_watched_total *cli_watch_largest(const struct vb_watched *watched);

/* Why what was recorded of the process is not all, "" where it is; valid until the next call. */
const char *cli_watch_doubt(const struct vb_watched_process *process);

void cli_watch_print(const struct cli_watch_report *report);

/* report.json, timeline.csv and the chart. VB_E_SYSTEM: the folder cannot be written; host memory.
 */
VB_CHECKED enum vb_status cli_watch_write(const struct cli_watch_report *report, const char *folder,
                                          struct vb_error *err);

#endif
