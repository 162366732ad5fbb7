/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ADVISE_SEARCH_H
#define VB_CLI_ADVISE_SEARCH_H

#include "cli/advise_plan.h"

/* Looks for advice about the advisor's question, in two processes where there are processors for
 * them. Statuses as vb_measure_need()'s. */
VB_CHECKED enum vb_status cli_advisor_search(struct cli_advisor *advisor, struct vb_arena *arena,
                                             struct vb_advice *out, struct vb_error *err);

#endif
