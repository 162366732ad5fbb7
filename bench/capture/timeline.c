/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/timeline.h"

#include <stdlib.h>

void vb_timeline_clear(struct vb_timeline *timeline)
{
    vb_arena_clear(&timeline->arena);
    *timeline = (struct vb_timeline){ 0 };
}

void vb_timeline_add_memory(struct vb_timeline *timeline, struct vb_memory_event event)
{
    struct vb_memory_event *grown =
        vb_arena_grow(&timeline->arena, timeline->memory, timeline->n_memory,
                      &timeline->room_memory, sizeof *grown);
    if (grown == NULL) {
        timeline->n_dropped++;
        return;
    }
    timeline->memory = grown;
    grown[timeline->n_memory++] = event;
}

void vb_timeline_add_work(struct vb_timeline *timeline, struct vb_work_event event)
{
    struct vb_work_event *grown = vb_arena_grow(&timeline->arena, timeline->work, timeline->n_work,
                                                &timeline->room_work, sizeof *grown);
    if (grown == NULL) {
        timeline->n_dropped++;
        return;
    }
    timeline->work = grown;
    grown[timeline->n_work++] = event;
}

void vb_timeline_add_correlation(struct vb_timeline *timeline, struct vb_correlation correlation)
{
    struct vb_correlation *grown =
        vb_arena_grow(&timeline->arena, timeline->correlations, timeline->n_correlations,
                      &timeline->room_correlations, sizeof *grown);
    if (grown == NULL) {
        timeline->n_dropped++;
        return;
    }
    timeline->correlations = grown;
    grown[timeline->n_correlations++] = correlation;
}

static bool add_window(struct vb_timeline *timeline, struct vb_span window)
{
    struct vb_span *grown = vb_arena_grow(&timeline->arena, timeline->windows, timeline->n_windows,
                                          &timeline->room_windows, sizeof *grown);
    if (grown == NULL) {
        timeline->n_dropped++;
        return false;
    }
    timeline->windows = grown;
    grown[timeline->n_windows++] = window;
    return true;
}

void vb_timeline_add_window(struct vb_timeline *timeline, struct vb_span window)
{
    (void)add_window(timeline, window);
}

void vb_timeline_add_dropped(struct vb_timeline *timeline, uint64_t n)
{
    timeline->n_dropped += n;
}

void vb_timeline_enter(struct vb_timeline *timeline, uint64_t ns, uint64_t tag)
{
    size_t *grown = vb_arena_grow(&timeline->arena, timeline->entered, timeline->n_entered,
                                  &timeline->room_entered, sizeof *grown);
    if (grown != NULL)
        timeline->entered = grown;
    struct vb_span window = { .from_ns = ns, .to_ns = UINT64_MAX, .tag = tag };
    if (timeline->n_entered_lost > 0 || grown == NULL || !add_window(timeline, window)) {
        timeline->n_entered_lost++;
        return;
    }
    grown[timeline->n_entered++] = timeline->n_windows - 1;
}

void vb_timeline_leave(struct vb_timeline *timeline, uint64_t ns)
{
    if (timeline->n_entered_lost > 0)
        timeline->n_entered_lost--;
    else if (timeline->n_entered > 0)
        timeline->windows[timeline->entered[--timeline->n_entered]].to_ns = ns;
}
