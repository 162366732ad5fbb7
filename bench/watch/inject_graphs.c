/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/inject_graphs.h"

#include "watch/inject_cupti.h"
#include "watch/inject_driver.h"
#include "watch/inject_events.h"

static struct {
    uint64_t held_bytes, most_bytes;
} last[VB_INJECT_MOST_DEVICES];

/* More than is held now was held for a moment: it is told as the moment before this one. */
static void look_at(uint32_t device)
{
    struct vb_inject_clock clock;
    uint64_t held = 0, most = 0;
    if (!vb_inject_driver_graph_memory(device, &held, &most))
        return;
    const bool was_more = most > last[device].most_bytes && most > held;
    if (was_more || held != last[device].held_bytes) {
        if (!vb_inject_cupti_clock(&clock))
            return; /* the next look tells it */
        vb_inject_events_lock();
        if (was_more)
            vb_inject_events_graphs(device, clock.record_ns - 1, most);
        vb_inject_events_graphs(device, clock.record_ns, held);
        vb_inject_events_write();
        vb_inject_events_unlock();
    }
    last[device].held_bytes = held;
    last[device].most_bytes = most;
}

void vb_inject_graphs_look(void)
{
    for (uint32_t device = 0; device < VB_INJECT_MOST_DEVICES; device++) {
        vb_inject_events_lock();
        const bool is_used = vb_inject_events_has_device(device);
        vb_inject_events_unlock();
        if (is_used)
            look_at(device);
    }
}
