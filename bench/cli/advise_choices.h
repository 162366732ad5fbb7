/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ADVISE_CHOICES_H
#define VB_CLI_ADVISE_CHOICES_H

#include "cli/advise_plan.h"

/* Fills the recipe, what may be changed of the question's point and the GPUs that may be taken
 * instead; of `keep`, names with commas between, nothing is. VB_E_INPUT: no such thing to keep, a
 * point that cannot be, a fault in a file. */
VB_CHECKED enum vb_status cli_list_choices(struct cli_advisor *advisor, const char *keep,
                                           struct vb_error *err);

#endif
