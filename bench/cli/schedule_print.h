/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_SCHEDULE_PRINT_H
#define VB_CLI_SCHEDULE_PRINT_H

/* A schedule on stdout: Markdown for people, 80 columns, or for programs with sizes in bytes. */

#include "cli/schedule.h"
#include "report/table.h"

/* VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_schedule_print(const struct cli_schedule *schedule,
                                             enum vb_table_format format, struct vb_error *err);

#endif
