/* SPDX-License-Identifier: Apache-2.0 */
/* Windows are put on a stack in the order of their beginnings as moments pass. A window that lies
 * deeper began earlier, so the top one that has not ended is the innermost; one that has ended
 * never holds a later moment and is dropped when it comes to the top. */
#include "capture/attribution.h"

#include <stdlib.h>

#include "base/order.h"

/* qsort() may change the order of equal items: they carry the order in which they were given. */
struct vb_ordered_correlation {
    struct vb_correlation given;
    size_t order;
};

struct vb_ordered_window {
    struct vb_span given;
    size_t order;
};

static int compare_correlations(const void *left, const void *right)
{
    const struct vb_ordered_correlation *a = left, *b = right;
    int by_id = vb_order(a->given.correlation, b->given.correlation);
    return by_id != 0 ? by_id : vb_order(a->order, b->order);
}

static int compare_windows(const void *left, const void *right)
{
    const struct vb_ordered_window *a = left, *b = right;
    int by_from = vb_order(a->given.from_ns, b->given.from_ns);
    int by_to = vb_order(b->given.to_ns, a->given.to_ns);
    return by_from != 0 ? by_from : by_to != 0 ? by_to : vb_order(a->order, b->order);
}

enum vb_status vb_attribution_init(struct vb_attribution *attribution,
                                   const struct vb_correlation *correlations, size_t n_correlations,
                                   const struct vb_span *windows, size_t n_windows,
                                   struct vb_arena *arena, struct vb_error *err)
{
    struct vb_attribution made = { .n_correlations = n_correlations, .n_windows = n_windows };
    made.correlations = vb_arena_alloc(arena, n_correlations + 1, sizeof *made.correlations);
    made.windows = vb_arena_alloc(arena, n_windows + 1, sizeof *made.windows);
    made.open = vb_arena_alloc(arena, n_windows + 1, sizeof *made.open);
    if (made.correlations == NULL || made.windows == NULL || made.open == NULL)
        return vb_fail(err, VB_E_SYSTEM,
                       "capture: no host memory for %zu correlations, %zu windows", n_correlations,
                       n_windows);
    for (size_t i = 0; i < n_correlations; i++)
        made.correlations[i] = (struct vb_ordered_correlation){ correlations[i], i };
    for (size_t i = 0; i < n_windows; i++)
        made.windows[i] = (struct vb_ordered_window){ windows[i], i };
    qsort(made.correlations, n_correlations, sizeof *made.correlations, compare_correlations);
    qsort(made.windows, n_windows, sizeof *made.windows, compare_windows);
    *attribution = made;
    return VB_OK;
}

/* The last of those with this id, NULL where there is none. */
static const struct vb_correlation *find(const struct vb_attribution *attribution, uint32_t id)
{
    size_t low = 0, high = attribution->n_correlations; /* the first above `id` is in low..high */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (attribution->correlations[middle].given.correlation <= id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || attribution->correlations[low - 1].given.correlation != id)
        return NULL;
    return &attribution->correlations[low - 1].given;
}

uint64_t vb_attribution_tag(struct vb_attribution *attribution, uint64_t ns, uint32_t correlation)
{
    struct vb_attribution *a = attribution;
    while (a->next_window < a->n_windows && a->windows[a->next_window].given.from_ns <= ns)
        a->open[a->n_open++] = a->next_window++;
    while (a->n_open > 0 && a->windows[a->open[a->n_open - 1]].given.to_ns < ns)
        a->n_open--;

    const struct vb_correlation *found = correlation != 0 ? find(a, correlation) : NULL;
    if (found != NULL)
        return found->tag;
    return a->n_open > 0 ? a->windows[a->open[a->n_open - 1]].given.tag : 0;
}

void vb_attribution_rewind(struct vb_attribution *attribution)
{
    attribution->next_window = 0;
    attribution->n_open = 0;
}
