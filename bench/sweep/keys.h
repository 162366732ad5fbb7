/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_KEYS_H
#define VB_SWEEP_KEYS_H

/* The one table of what a point can be told. */

#include "base/option.h"
#include "base/text.h"
#include "record/point.h"

extern const struct vb_option vb_keys[]; /* of a struct vb_point */
extern const size_t vb_key_count;

/* NULL: there is none of that name. */
const struct vb_option *vb_key_find(const char *name);

/* Appends the reference of all keys as a Markdown table. */
void vb_keys_reference(struct vb_text *out);

#endif
