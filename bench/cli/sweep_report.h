/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_SWEEP_REPORT_H
#define VB_CLI_SWEEP_REPORT_H

/* What a sweep leaves: tables on stdout, tables and charts in its folder. */

#include <stddef.h>

#include "base/error.h"
#include "record/record.h"

/* `formats`: a list as "md,csv"; NULL: md. VB_E_INPUT: no such format. VB_E_SYSTEM: the folder
 * cannot be written. */
VB_CHECKED enum vb_status cli_sweep_report(const struct vb_record *records, size_t n,
                                           const char *formats, const char *folder,
                                           struct vb_error *err);

#endif
