/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_GNUPLOT_H
#define VB_REPORT_GNUPLOT_H

/* Draws a chart: a template of plots/ with this chart's settings before it and its data beside it,
 * run by gnuplot as a process of its own. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Writes FOLDER/NAME.dat and FOLDER/NAME.gp (settings, then plots/TEMPLATE.gp, for SVG and PNG) and
 * runs gnuplot on it there. NAME has letters, digits, '.', '-' and '_' only, 40 at most. `*drawn`
 * is false, with the reason in `note`, where gnuplot is missing, fails or takes over a minute.
 * VB_E_SYSTEM: the folder cannot be written. */
VB_CHECKED enum vb_status vb_gnuplot_draw(const char *folder, const char *name,
                                          const char *template, const char *settings,
                                          const char *data, bool *drawn, char *note, size_t room,
                                          struct vb_error *err);

#endif
