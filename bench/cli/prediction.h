/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_PREDICTION_H
#define VB_CLI_PREDICTION_H

/* Published runs to what is planned for them. */

#include "base/arena.h"
#include "cli/arguments.h"
#include "report/validation.h"

struct cli_judge_options {
    uint32_t jobs;
    const struct cli_values *where; /* KEY=VALUE, all of which a row must meet */
    bool has_most_instances;
    uint32_t most_instances; /* rows known to have more are left out */
};

/* Plans each row of the file that can be planned and judges it; a row that cannot is skipped with
 * its reason. All of it lives in the arena and borrows the file's rows. VB_E_INPUT: a --where that
 * is none; VB_E_SYSTEM: no host memory or process. */
VB_CHECKED enum vb_status cli_judge(const char *path, const struct vb_published_file *file,
                                    const struct cli_judge_options *options, struct vb_arena *arena,
                                    struct vb_validation *out, struct vb_error *err);

#endif
