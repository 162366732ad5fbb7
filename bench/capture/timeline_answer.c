/* SPDX-License-Identifier: Apache-2.0 */
/* An answer is worked out anew from all records each time: they come out of order, so nothing of
 * the last one is sure to hold. Sorting a step's tens of thousands takes milliseconds. */
#include "capture/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/order.h"

const char *vb_owner_name(enum vb_owner owner)
{
    static const char *const names[VB_OWNERS] = { "others", "pool", "cudnn" };
    return names[owner < VB_OWNERS ? owner : VB_OWNER_OTHERS];
}

/* Where the live device bytes change. */
struct edge {
    uint64_t ns;
    uint64_t bytes;
    bool is_end;
};

/* Work with the tag it has. */
struct tagged {
    struct vb_work_event event;
    uint64_t tag;
};

static int compare_edges(const void *left, const void *right)
{
    return vb_order(((const struct edge *)left)->ns, ((const struct edge *)right)->ns);
}

static int compare_starts(const void *left, const void *right)
{
    return vb_order(((const struct tagged *)left)->event.start_ns,
                    ((const struct tagged *)right)->event.start_ns);
}

static int compare_tags(const void *left, const void *right)
{
    return vb_order(((const struct tagged *)left)->tag, ((const struct tagged *)right)->tag);
}

static bool is_alive(const struct vb_life *life, uint64_t ns)
{
    return life->from_ns <= ns && ns < life->to_ns;
}

static struct vb_live live_at(const struct vb_lives *lives, uint64_t ns)
{
    struct vb_live live = { .ns = ns };
    for (size_t i = 0; i < lives->n; i++) {
        const struct vb_life *life = &lives->lives[i];
        if (!is_alive(life, ns))
            continue;
        live.kind_bytes[life->kind] += life->bytes;
        if (life->kind == VB_MEMORY_DEVICE)
            live.owner_bytes[vb_tag_owner(life->tag)] += life->bytes;
    }
    live.device_bytes = live.kind_bytes[VB_MEMORY_DEVICE];
    return live;
}

/* The live bytes from each moment on at which they change. A moment's sum is taken after all its
 * edges: what is given back at it is gone, what is taken is there. */
static enum vb_status trace_curve(const struct vb_lives *lives, struct vb_live_curve *out,
                                  struct vb_arena *scratch, struct vb_arena *arena,
                                  struct vb_error *err)
{
    struct edge *edges = vb_arena_alloc(scratch, 2 * lives->n + 1, sizeof *edges);
    struct vb_live_curve curve = { .points = vb_arena_alloc(arena, 2 * lives->n + 1,
                                                            sizeof *curve.points) };
    if (edges == NULL || curve.points == NULL)
        return vb_fail(err, VB_E_SYSTEM, "capture: no host memory for %zu lives", lives->n);
    size_t n = 0;
    for (size_t i = 0; i < lives->n; i++) {
        const struct vb_life *life = &lives->lives[i];
        if (life->kind != VB_MEMORY_DEVICE)
            continue;
        edges[n++] = (struct edge){ life->from_ns, life->bytes, false };
        edges[n++] = (struct edge){ life->to_ns, life->bytes, true };
    }
    qsort(edges, n, sizeof *edges, compare_edges);

    uint64_t taken = 0, given = 0;
    for (size_t i = 0; i < n && edges[i].ns != UINT64_MAX; i++) {
        *(edges[i].is_end ? &given : &taken) += edges[i].bytes;
        bool is_last = i + 1 == n || edges[i + 1].ns != edges[i].ns;
        if (is_last)
            curve.points[curve.n++] = (struct vb_live_point){ edges[i].ns, taken - given };
    }
    *out = curve;
    return VB_OK;
}

/* The first moment with the most live bytes. */
static uint64_t find_peak(const struct vb_live_curve *curve)
{
    uint64_t most = 0, moment = 0;
    for (size_t i = 0; i < curve->n; i++) {
        if (curve->points[i].device_bytes <= most)
            continue;
        most = curve->points[i].device_bytes;
        moment = curve->points[i].ns;
    }
    return moment;
}

/* The larger first; of equal ones that which was there first. */
static bool is_before(const struct vb_life *a, const struct vb_life *b)
{
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->from_ns < b->from_ns;
}

static void find_largest(const struct vb_lives *lives, struct vb_timeline_answer *answer)
{
    for (size_t i = 0; i < lives->n; i++) {
        const struct vb_life *life = &lives->lives[i];
        if (life->kind != VB_MEMORY_DEVICE || !is_alive(life, answer->peak.ns))
            continue;
        size_t at = answer->n_largest;
        while (at > 0 && is_before(life, &answer->largest[at - 1]))
            at--;
        if (at == VB_TIMELINE_LARGEST)
            continue;
        if (answer->n_largest < VB_TIMELINE_LARGEST)
            answer->n_largest++;
        memmove(&answer->largest[at + 1], &answer->largest[at],
                (answer->n_largest - at - 1) * sizeof *life);
        answer->largest[at] = *life;
    }
}

static void count_work(struct vb_tag_work *row, const struct vb_work_event *event)
{
    bool is_timed = event->start_ns != 0 && event->end_ns >= event->start_ns;
    double seconds = is_timed ? (double)(event->end_ns - event->start_ns) * 1e-9 : 0;
    row->n_untimed += !is_timed;
    *(event->is_memset ? &row->memset_seconds : &row->kernel_seconds) += seconds;
    *(event->is_memset ? &row->n_memsets : &row->n_kernels) += 1;
}

/* `scratch` dies with the call, `arena` is the caller's. */
static enum vb_status sum_work(const struct vb_timeline *timeline,
                               struct vb_attribution *attribution,
                               struct vb_timeline_answer *answer, struct vb_arena *scratch,
                               struct vb_arena *arena, struct vb_error *err)
{
    size_t n = timeline->n_work;
    struct tagged *work = vb_arena_alloc(scratch, n + 1, sizeof *work);
    if (work == NULL)
        return vb_fail(err, VB_E_SYSTEM, "capture: no host memory for %zu kernels", n);
    for (size_t i = 0; i < n; i++)
        work[i].event = timeline->work[i];
    qsort(work, n, sizeof *work, compare_starts);
    vb_attribution_rewind(attribution);
    for (size_t i = 0; i < n; i++)
        work[i].tag =
            vb_attribution_tag(attribution, work[i].event.start_ns, work[i].event.correlation);
    qsort(work, n, sizeof *work, compare_tags);

    size_t n_tags = 0;
    for (size_t i = 0; i < n; i++)
        n_tags += i == 0 || work[i].tag != work[i - 1].tag;
    answer->work = vb_arena_alloc(arena, n_tags + 1, sizeof *answer->work);
    if (answer->work == NULL)
        return vb_fail(err, VB_E_SYSTEM, "capture: no host memory for %zu tags", n_tags);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || work[i].tag != work[i - 1].tag)
            answer->work[answer->n_work++].tag = work[i].tag;
        count_work(&answer->work[answer->n_work - 1], &work[i].event);
    }
    return VB_OK;
}

static enum vb_status find_lives(const struct vb_timeline *timeline,
                                 struct vb_attribution *attribution, struct vb_lives *lives,
                                 struct vb_arena *scratch, struct vb_error *err)
{
    enum vb_status status =
        vb_attribution_init(attribution, timeline->correlations, timeline->n_correlations,
                            timeline->windows, timeline->n_windows, scratch, err);
    if (status != VB_OK)
        return status;
    return vb_lives_find(timeline->memory, timeline->n_memory, attribution, lives, scratch, err);
}

static enum vb_status answer_in(const struct vb_timeline *timeline,
                                struct vb_timeline_answer *answer, struct vb_arena *scratch,
                                struct vb_arena *arena, struct vb_error *err)
{
    struct vb_attribution attribution;
    struct vb_lives lives;
    struct vb_live_curve curve;
    enum vb_status status = find_lives(timeline, &attribution, &lives, scratch, err);
    if (status == VB_OK)
        status = trace_curve(&lives, &curve, scratch, scratch, err);
    if (status != VB_OK)
        return status;

    answer->peak = live_at(&lives, find_peak(&curve));
    find_largest(&lives, answer);
    answer->n_dropped = timeline->n_dropped;
    answer->n_unknown_releases = lives.n_unknown_releases;
    answer->n_lost_releases = lives.n_lost_releases;
    answer->is_complete =
        answer->n_dropped + answer->n_unknown_releases + answer->n_lost_releases == 0;
    return sum_work(timeline, &attribution, answer, scratch, arena, err);
}

enum vb_status vb_timeline_answer(const struct vb_timeline *timeline,
                                  struct vb_timeline_answer *out, struct vb_arena *arena,
                                  struct vb_error *err)
{
    struct vb_timeline_answer answer = { 0 };
    struct vb_arena scratch = { 0 };
    enum vb_status status = answer_in(timeline, &answer, &scratch, arena, err);
    vb_arena_clear(&scratch);
    if (status == VB_OK)
        *out = answer;
    return status;
}

enum vb_status vb_timeline_live(const struct vb_timeline *timeline, uint64_t ns,
                                struct vb_live *out, struct vb_error *err)
{
    struct vb_arena scratch = { 0 };
    struct vb_attribution attribution;
    struct vb_lives lives;
    enum vb_status status = find_lives(timeline, &attribution, &lives, &scratch, err);
    if (status == VB_OK)
        *out = live_at(&lives, ns);
    vb_arena_clear(&scratch);
    return status;
}

enum vb_status vb_timeline_curve(const struct vb_timeline *timeline, struct vb_live_curve *out,
                                 struct vb_arena *arena, struct vb_error *err)
{
    struct vb_arena scratch = { 0 };
    struct vb_attribution attribution;
    struct vb_lives lives;
    enum vb_status status = find_lives(timeline, &attribution, &lives, &scratch, err);
    if (status == VB_OK)
        status = trace_curve(&lives, out, &scratch, arena, err);
    vb_arena_clear(&scratch);
    return status;
}
