/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/lives.h"

#include <stdlib.h>

#include "base/order.h"

/* An event with its tag; `order` as given. */
struct change {
    struct vb_memory_event event;
    uint64_t tag;
    size_t order;
    bool is_used;
};

static int compare_moments(const void *left, const void *right)
{
    const struct change *a = left, *b = right;
    int by_ns = vb_order(a->event.ns, b->event.ns);
    return by_ns != 0 ? by_ns : vb_order(a->order, b->order);
}

static int compare_addresses(const void *left, const void *right)
{
    const struct change *a = left, *b = right;
    int by_address = vb_order(a->event.address, b->event.address);
    return by_address != 0 ? by_address : compare_moments(left, right);
}

/* What stands at one address while its events pass. */
struct place {
    struct vb_life life;
    bool is_live;
    bool is_pool; /* the driver's */
};

static void end_life(struct place *place, uint64_t ns, struct vb_lives *out)
{
    place->life.to_ns = ns;
    if (place->is_live && place->life.bytes > 0 && ns > place->life.from_ns)
        out->lives[out->n++] = place->life;
    place->is_live = false;
}

static void begin_life(struct place *place, const struct change *change)
{
    const struct vb_memory_event *event = &change->event;
    bool keeps_tag = place->is_pool && event->change == VB_MEMORY_RESIZED && place->life.bytes > 0;
    place->life = (struct vb_life){ .address = event->address,
                                    .bytes = event->bytes,
                                    .from_ns = event->ns,
                                    .tag = keeps_tag ? place->life.tag : change->tag,
                                    .kind = event->kind };
    place->is_pool = event->change == VB_MEMORY_RESIZED;
    place->is_live = true;
}

static void apply(struct place *place, const struct change *change, struct vb_lives *out)
{
    const struct vb_memory_event *event = &change->event;
    bool is_device = event->kind == VB_MEMORY_DEVICE || event->kind == VB_MEMORY_UNKNOWN;
    if (event->change == VB_MEMORY_GIVEN) {
        out->n_unknown_releases += !place->is_live && is_device;
        end_life(place, event->ns, out);
        return;
    }
    if (event->change == VB_MEMORY_TAKEN)
        out->n_lost_releases += place->is_live && place->life.kind == VB_MEMORY_DEVICE;
    end_life(place, event->ns, out);
    begin_life(place, change);
}

/* The events of one address at one ns, in the order that the header says. */
static void apply_together(struct place *place, struct change *changes, size_t n,
                           struct vb_lives *out)
{
    for (size_t done = 0; done < n; done++) {
        struct change *next = NULL;
        for (size_t i = 0; i < n; i++) {
            bool fits = (changes[i].event.change == VB_MEMORY_GIVEN) == place->is_live;
            if (!changes[i].is_used && (next == NULL || fits)) {
                next = &changes[i];
                if (fits)
                    break;
            }
        }
        next->is_used = true;
        apply(place, next, out);
    }
}

static void apply_all(struct change *changes, size_t n, struct vb_lives *out)
{
    struct place place = { 0 };
    for (size_t i = 0, end; i < n; i = end) {
        const struct vb_memory_event *first = &changes[i].event;
        for (end = i + 1; end < n && changes[end].event.address == first->address &&
                          changes[end].event.ns == first->ns;)
            end++;
        apply_together(&place, changes + i, end - i, out);
        if (end == n || changes[end].event.address != first->address) {
            end_life(&place, UINT64_MAX, out);
            place = (struct place){ 0 };
        }
    }
}

enum vb_status vb_lives_find(const struct vb_memory_event *events, size_t n_events,
                             struct vb_attribution *attribution, struct vb_lives *out,
                             struct vb_arena *arena, struct vb_error *err)
{
    struct vb_lives found = { 0 };
    struct change *changes = vb_arena_alloc(arena, n_events + 1, sizeof *changes);
    found.lives = vb_arena_alloc(arena, n_events + 1, sizeof *found.lives);
    if (changes == NULL || found.lives == NULL)
        return vb_fail(err, VB_E_SYSTEM, "capture: no host memory for %zu events", n_events);

    size_t n = 0;
    for (size_t i = 0; i < n_events; i++) {
        if (events[i].address != 0)
            changes[n++] = (struct change){ .event = events[i], .order = i };
    }
    qsort(changes, n, sizeof *changes, compare_moments);
    vb_attribution_rewind(attribution);
    for (size_t i = 0; i < n; i++)
        changes[i].tag =
            vb_attribution_tag(attribution, changes[i].event.ns, changes[i].event.correlation);
    qsort(changes, n, sizeof *changes, compare_addresses);
    apply_all(changes, n, &found);
    *out = found;
    return VB_OK;
}
