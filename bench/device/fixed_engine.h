/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_FIXED_ENGINE_H
#define VB_DEVICE_FIXED_ENGINE_H

/* Where PyTorch asks cuDNN through its v7 interface, which it did up to 1.13, a deterministic
 * convolution that is not timed takes an algorithm that is fixed for its direction
 * (torch-memory.md, part A, 3: Conv_v7.cpp). Which of cuDNN 9's engines is that algorithm. Private
 * to device/. */

#include "device/plan_map.h"

/* The global index; VB_PLAN_NONE: not known for such a GPU. `compute_capability`: times 100. */
int64_t vb_fixed_engine(const struct vb_conv *conv, uint32_t compute_capability);

/* That engine and about its workspace, worked out where cuDNN cannot be asked: the copies of what
 * its kernel reads or writes in another layout. False where no engine is known. */
bool vb_fixed_answer(const struct vb_conv *conv, uint32_t compute_capability,
                     struct vb_plan_answer *out);

#endif
