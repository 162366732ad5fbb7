/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_TEXT_H
#define VB_BASE_TEXT_H

/* Texts: one that grows, and the nearest of a list for "did you mean". */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A text that grows. Zeroed is valid and empty; clear it with vb_text_clear(). */
struct vb_text {
    char *data; /* ends in 0; NULL while empty */
    size_t length;
    size_t room;
    bool failed; /* host memory ran out: what follows was dropped */
};

void vb_text_append(struct vb_text *text, const char *format, ...) VB_PRINTF(2, 3);
void vb_text_clear(struct vb_text *text);

/* The text so far, "" while it is empty. Valid until it is appended to or cleared. */
const char *vb_text_data(const struct vb_text *text);

/* The entry of `list` nearest to `word` by edit distance, NULL where none is near: for "did you
 * mean". Near is a third of the word's letters, at least two. */
const char *vb_text_nearest(const char *word, const char *const *list, size_t n_list);

/* `text` without the blanks at both ends, in place. */
char *vb_text_trim(char *text);

#endif
