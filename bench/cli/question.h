/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_QUESTION_H
#define VB_CLI_QUESTION_H

/* What the commands that plan and judge a point have in common: their options, and the device and
 * residuals that answers are from. */

#include "cli/answer.h"
#include "cli/point_options.h"

enum { CLI_N_QUESTION_OPTIONS = 4 };

struct cli_question_options {
    struct cli_point_options point;
    const char *budget, *risk, *shared, *calibration;
};

/* Appends the options of the point and of the question to `table`, from *n on. */
void cli_add_question_options(struct cli_question_options *options, struct cli_option *table,
                              size_t *n);

struct cli_question {
    struct vb_point point;
    struct cli_asked asked;
    char device_name[320];
    struct vb_arena arena;
    struct cli_programs programs;
};

/* Reads the point, about a run unless another workload is asked for, and opens the device. The
 * question is not to be moved then; cli_question_close() it whether this failed or not. VB_E_INPUT:
 * a bad value, no such model or GPU, or a device that measures. */
VB_CHECKED enum vb_status cli_question_open(const struct cli_question_options *options,
                                            struct cli_question *out, struct vb_error *err);
void cli_question_close(struct cli_question *question);

#endif
