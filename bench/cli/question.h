/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_QUESTION_H
#define VB_CLI_QUESTION_H

/* What 'vrambench estimate' is asked, from its options to all that an answer needs: for the
 * commands that answer as it does. */

#include "cli/answer.h"
#include "cli/point_options.h"

struct cli_question {
    struct cli_point_options point;
    const char *budget, *risk, *shared, *calibration; /* NULL: not given */
};

/* A whole run is asked about unless another workload is. `out->arena` is the caller's; it clears it
 * and closes `out->device`, also after a failure. VB_E_INPUT: a bad value, no such model or GPU, a
 * device that measures. */
VB_CHECKED enum vb_status cli_open_question(const struct cli_question *question,
                                            struct vb_point *point, struct cli_asked *out,
                                            struct vb_error *err);

#endif
