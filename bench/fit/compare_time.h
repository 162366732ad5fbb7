/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_COMPARE_TIME_H
#define VB_FIT_COMPARE_TIME_H

/* For compare.c: the times. */

#include "fit/compare.h"

/* Everything but what depends on the other points. Nothing where the steps are not known of both.
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_compare_time(const struct vb_pair *pair, struct vb_time_change *out,
                                          struct vb_error *err);

/* The chances of all of them adjusted, and each judged. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_judge_times(struct vb_compared *items, size_t n, size_t n_timed,
                                         double threshold, struct vb_error *err);

#endif
