/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_PLACE_H
#define VB_KERNELS_PLACE_H

/* Where an element of a walk (walk.h) lies. For kernels. */

#include "kernels/grid.h"
#include "kernels/walk.h"

struct vb_coordinates {
    uint32_t at[VB_AXES];
};

/* Of element number i. Divisions in 32 bits are several times faster, and nearly always enough. */
VB_DEVICE struct vb_coordinates vb_coordinates_of(const struct vb_axes &axes, uint64_t i)
{
    struct vb_coordinates place = {};
    if (axes.n <= UINT32_MAX) {
        uint32_t rest = (uint32_t)i;
        for (uint32_t k = 0; k + 1 < VB_AXES; k++) {
            if (k + 1 < axes.n_axes) {
                place.at[k] = rest % axes.sizes[k];
                rest /= axes.sizes[k];
            } else if (k + 1 == axes.n_axes) {
                place.at[k] = rest;
            }
        }
        if (axes.n_axes == VB_AXES)
            place.at[VB_AXES - 1] = rest;
        return place;
    }
    for (uint32_t k = 0; k < VB_AXES; k++) {
        if (k < axes.n_axes) {
            place.at[k] = (uint32_t)(i % axes.sizes[k]);
            i /= axes.sizes[k];
        }
    }
    return place;
}

VB_DEVICE uint64_t vb_offset_of(const struct vb_lying &lying, const struct vb_coordinates &place)
{
    uint64_t offset = 0;
    for (uint32_t k = 0; k < VB_AXES; k++)
        offset += (uint64_t)place.at[k] * lying.strides[k];
    return offset;
}

/* As many elements on as `by` is, which are the coordinates of that number; without dividing. */
VB_DEVICE void vb_go_on(const struct vb_axes &axes, const struct vb_coordinates &by,
                        struct vb_coordinates &place)
{
    uint32_t carry = 0;
    for (uint32_t k = 0; k < VB_AXES; k++) {
        if (k < axes.n_axes) {
            const uint32_t room = axes.sizes[k] - place.at[k], more = by.at[k] + carry;
            carry = more >= room;
            place.at[k] = carry != 0 ? more - room : place.at[k] + more;
        }
    }
}

#endif
