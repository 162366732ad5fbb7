/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_RECORD_PROFILE_H
#define VB_RECORD_PROFILE_H

/* For record.c: what AutoBatch read, as JSON. Private to record/. */

#include <jansson.h>

#include "record/autobatch.h"

/* The caller's; NULL: no host memory. */
json_t *vb_profile_write(const struct vb_profile *profile);

/* What is missing, or not such a value, is 0; NULL is no profile. */
void vb_profile_read(const json_t *object, struct vb_profile *out);

#endif
