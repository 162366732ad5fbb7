/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_VIEW_H
#define VB_STEP_VIEW_H

/* Views: other shapes, orders and parts of a storage. Autograd knows nothing of them and nobody
 * holds them: they are for operands; layers.h has those that a program traces. Whether a view has
 * gaps or lies in order, as PyTorch would see it, stays as in x unless said.
 */

#include "step/tape.h"

/* Strides of a tensor whose axes lie in order; of an image [N,C,H,W], the channels last if so. */
void vb_strides_in_order(const struct vb_shape *shape, uint32_t *strides);
void vb_strides_of_image(const struct vb_shape *shape, bool channels_last, uint32_t *strides);

/* `size` elements along `axis` from `start` on. */
struct vb_variable vb_stretch_of(struct vb_variable x, uint32_t axis, uint32_t start,
                                 uint32_t size);

/* x[.., i, ..]: without the axis. */
struct vb_variable vb_at(struct vb_variable x, uint32_t axis, uint32_t i);

/* The result's axis i is x's `order[i]`. */
struct vb_variable vb_in_axes(struct vb_variable x, const uint32_t *order);

/* Another axis of length 1 before x's `axis`. */
struct vb_variable vb_with_axis(struct vb_variable x, uint32_t axis);

/* Broadcast: axes of length 1 repeat, and new ones before the first. */
struct vb_variable vb_expanded(struct vb_variable x, const struct vb_shape *shape);

/* As many elements in another shape. Where no strides can say that, `*ok` is false and x comes
 * back. */
struct vb_variable vb_reshaped(struct vb_variable x, const struct vb_shape *shape, bool *ok);

/* All elements of a storage as they lie: for operators that go element by element over tensors of
 * one layout. */
struct vb_variable vb_flat(struct vb_variable x);

#endif
