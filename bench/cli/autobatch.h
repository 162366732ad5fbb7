/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_AUTOBATCH_H
#define VB_CLI_AUTOBATCH_H

/* `vrambench estimate --workload autobatch`: AutoBatch's table and fit, the batch that it would
 * choose, and what a run at that batch would need. */

#include <stdbool.h>

#include "cli/answer.h"

/* Prints it, as one JSON object where asked; *exit_status is cli_answer_status() of the run at the
 * chosen batch. As vb_measure(); VB_E_INPUT: nothing can be fitted. */
VB_CHECKED enum vb_status cli_estimate_autobatch(const struct cli_asked *asked,
                                                 const struct vb_point *point, bool json,
                                                 int *exit_status, struct vb_error *err);

#endif
