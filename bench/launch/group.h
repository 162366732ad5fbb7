/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_LAUNCH_GROUP_H
#define VB_LAUNCH_GROUP_H

/* Launches of consecutive calls made one: an optimizer's step updates hundreds of small tensors,
 * and a launch costs more than most of them take. */

#include "launch/launch.h"

/* Has `group`, launched before `next` so far, do what next does too. False, and nothing is changed:
 * they are not the same update with the same numbers, there is no more room, or a tensor that one
 * of them writes overlaps with one that the other reads or writes. What both find (VB_OP_UNSCALE)
 * may be one scalar. */
bool vb_launch_join(struct vb_launch *group, const struct vb_launch *next);

#endif
