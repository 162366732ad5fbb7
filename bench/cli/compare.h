/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_COMPARE_H
#define VB_CLI_COMPARE_H

/* What compare and gate share: two runs read, compared and printed. */

#include "base/error.h"
#include "cli/arguments.h"
#include "sweep/journal.h"

struct cli_compare {
    const char *memory, *time, *all, *json, *markdown, *junit; /* as given; NULL: not */
};
enum { CLI_N_COMPARE_OPTIONS = 6 };

/* Appends their options to a table that has room. */
void cli_add_compare_options(struct cli_compare *compare, struct cli_option *table, size_t *n);

/* What is wrong with those options is told before anything is run. */
VB_CHECKED enum vb_status cli_check_compare(const struct cli_compare *compare,
                                            struct vb_error *err);

/* The rows of a results folder or a journal, all of them: VB_E_INPUT where a line is no record, or
 * there is none. */
VB_CHECKED enum vb_status cli_read_run(const char *path, struct vb_arena *arena,
                                       struct vb_rows *rows, struct vb_error *err);

/* Compares two results folders or journals and prints it. `*exit_status`: 1 on a regression, 4
 * where noise hides the answer, else 0. VB_E_INPUT: they cannot be compared. */
VB_CHECKED enum vb_status cli_compare_runs(const struct cli_compare *compare, const char *base,
                                           const char *candidate, int *exit_status,
                                           struct vb_error *err);

#endif
