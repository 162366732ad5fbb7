/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_SEGMENTS_H
#define VB_DEVICE_SEGMENTS_H

/* The segments that a device gave out and has not got back. For those who implement a kind. */

#include "device/device.h"

/* Zeroed is valid and empty. */
struct vb_segments {
    struct vb_segment *items; /* owned, in no order */
    size_t n, room;
    uint64_t bytes; /* their sum */
};

/* Makes room for one more, so that adding it cannot fail. VB_E_SYSTEM: no host memory left; the
 * text begins with the device's name. */
VB_CHECKED enum vb_status vb_segments_make_room(struct vb_segments *segments, const char *device,
                                                struct vb_error *err);
/* There is room for it. */
void vb_segments_add(struct vb_segments *segments, struct vb_segment segment);
/* It is one of them, with as many bytes. */
void vb_segments_remove(struct vb_segments *segments, struct vb_segment segment);

#endif
