/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_REPORT_ASKS_H
#define VB_CLI_REPORT_ASKS_H

/* What a page can answer: of each of its kinds the plans, the calibration of what was measured, or
 * the band of published runs. */

#include "report/page.h"

enum { CLI_USUAL_PLANS = 240, CLI_MOST_PLANS = 100000, CLI_MOST_ASKS = 64 };

/* Fills the page's `asks`; some `n_plans` points are planned for them beside its own. `folder` is
 * the results'; a calibration file there that its journal made is used, else what 'vrambench fit'
 * would write. What cannot be asked about is left out; notes go to stderr. VB_E_SYSTEM: no host
 * memory. */
VB_CHECKED enum vb_status cli_report_asks(const char *folder, uint32_t n_plans,
                                          struct vb_page *page, struct vb_error *err);

/* For report_asks.c: fills the ask's nodes, usable bytes and context for the kind, whose plans are
 * of the GPU of its stack. Of what was planned before, the journal's own figures stay; more are
 * planned only where plans made here are the journal's to the byte. VB_E_INPUT: the GPU is not
 * known here. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_report_nodes(const struct vb_page *page, uint32_t kind,
                                           size_t n_plans, struct vb_arena *arena,
                                           struct vb_page_ask *out, uint32_t *compute_capability,
                                           struct vb_error *err);

#endif
