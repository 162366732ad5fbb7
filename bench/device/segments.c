/* SPDX-License-Identifier: Apache-2.0 */
#include "device/segments.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_ROOM = 64 };

enum vb_status vb_segments_make_room(struct vb_segments *segments, const char *device,
                                     struct vb_error *err)
{
    if (segments->n < segments->room)
        return VB_OK;
    size_t room = segments->room > 0 ? 2 * segments->room : FIRST_ROOM;
    struct vb_segment *items = realloc(segments->items, room * sizeof *items);
    if (items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", device);
    segments->items = items;
    segments->room = room;
    return VB_OK;
}

void vb_segments_add(struct vb_segments *segments, struct vb_segment segment)
{
    assert(segments->n < segments->room);
    segments->items[segments->n++] = segment;
    segments->bytes += segment.bytes;
}

void vb_segments_remove(struct vb_segments *segments, struct vb_segment segment)
{
    size_t i = 0;
    while (i < segments->n && segments->items[i].address != segment.address)
        i++;
    assert(i < segments->n && segments->items[i].bytes == segment.bytes);
    segments->items[i] = segments->items[--segments->n];
    segments->bytes -= segment.bytes;
}
