/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_ESCAPE_H
#define VB_REPORT_ESCAPE_H

/* Texts that someone else wrote, put where a page's own language would take them for its own. What
 * is no UTF-8, controls, and characters that turn the direction of the text around them become
 * U+FFFD, which shows that something was there. */

#include "base/text.h"

/* For HTML, between tags and in attributes with quotes of either kind. */
void vb_escape_html(struct vb_text *out, const char *text);

/* A JSON string with its quotes, which may stand in a script element: it has no '<', '>' and '&',
 * nor the line ends of JavaScript. */
void vb_escape_json(struct vb_text *out, const char *text);

/* A string of gnuplot with its quotes: single ones, within which it runs no command, and without
 * the markup of its "enhanced" texts. */
void vb_escape_gnuplot(struct vb_text *out, const char *text);

#endif
