/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_LOSS_CLASSIFY_H
#define VB_STEP_LOSS_CLASSIFY_H

/* The loss of classifiers. Source: torch-memory.md, part A, 4.1. */

#include "step/tape.h"

/* Mean cross entropy of scores [N,classes] and int64 labels [N]: a scalar, held once. Keeps the
 * logarithms of the probabilities and the labels. */
struct vb_variable vb_cross_entropy(struct vb_tape *tape, struct vb_variable scores,
                                    struct vb_variable labels);

#endif
