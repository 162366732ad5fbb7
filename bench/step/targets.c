/* SPDX-License-Identifier: Apache-2.0 */
#include "step/targets.h"

#include <math.h>
#include <stdbool.h>

#include "base/narrow.h"

enum { CLASSES = 80, SEED = 12345, ANCHORS_A_BOX = 10, MOSAIC_PARTS = 4, HALVINGS = 60 };

static double next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 16777216.0;
}

/* The box within the image: its sides are cut where they lie outside. */
static void clip(double *centre, double *side)
{
    double low = fmax(*centre - *side / 2, 0.0);
    double high = fmin(*centre + *side / 2, 1.0);
    *centre = (low + high) / 2;
    *side = high - low;
}

/* `n` boxes for an image; what its generator has given before them is left in `*state`. */
static void add_boxes(struct vb_target *items, struct vb_targets *targets, uint32_t image,
                      uint32_t n, uint32_t *state)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t label = (uint32_t)(next(state) * CLASSES);
        double cx = 0.1 + 0.8 * next(state);
        double cy = 0.1 + 0.8 * next(state);
        double w = 0.05 + 0.45 * next(state);
        double h = 0.05 + 0.45 * next(state);
        clip(&cx, &w);
        clip(&cy, &h);
        items[targets->n++] =
            (struct vb_target){ image, label, (float)cx, (float)cy, (float)w, (float)h };
    }
    if (n > targets->most_in_an_image)
        targets->most_in_an_image = n;
    targets->n_foreground = targets->n * ANCHORS_A_BOX;
}

/* Pictures that an image is composed of: one where batches are rectangular. */
static uint32_t parts_of(const struct vb_point *point)
{
    return point->mosaic == VB_MOSAIC_OFF || point->rect > 0 ? 1 : MOSAIC_PARTS;
}

/* The share of images with more than `x` times as many boxes as a part has: of a sum of `parts`
 * exponential numbers. */
static double share_above(double x, uint32_t parts)
{
    double term = 1, sum = 0;
    for (uint32_t i = 0; i < parts; i++) {
        sum += term;
        term *= x / (i + 1);
    }
    return exp(-x) * sum;
}

uint32_t vb_targets_most(const struct vb_point *point, uint32_t images)
{
    uint32_t parts = parts_of(point);
    double low = 0, high = 100;
    if (point->most > 0)
        return point->most;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        if (share_above(middle, parts) > 1.0 / (images + 1))
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)(point->targets * low / parts + 0.5);
}

struct vb_targets vb_targets_even(struct vb_arena *arena, const struct vb_point *point)
{
    struct vb_target *items =
        vb_arena_alloc(arena, (size_t)point->batch * point->targets + 1, sizeof *items);
    struct vb_targets targets = { .items = items };
    for (uint32_t b = 0; b < point->batch && items != NULL; b++) {
        uint32_t state = SEED + b;
        add_boxes(items, &targets, b, point->targets, &state);
    }
    targets.most_in_an_image = vb_targets_most(point, point->batch);
    return targets;
}

struct vb_targets vb_targets_drawn(struct vb_arena *arena, const struct vb_point *point,
                                   uint32_t images, uint32_t number, uint32_t most)
{
    uint32_t *counts = vb_arena_alloc(arena, images + 1, sizeof *counts);
    uint32_t parts = parts_of(point);
    struct vb_targets targets = { 0 };
    size_t n = 0;
    for (uint32_t b = 0; b < images && counts != NULL; b++) {
        uint32_t state = SEED + number * images + b;
        double sum = 0.5;
        for (uint32_t i = 0; i < parts; i++)
            sum -= log(1.0 - next(&state)) * point->targets / parts;
        counts[b] = sum < most ? (uint32_t)sum : most;
        n += counts[b];
    }
    struct vb_target *items = vb_arena_alloc(arena, n + 1, sizeof *items);
    targets.items = items;
    for (uint32_t b = 0; b < images && counts != NULL && items != NULL; b++) {
        uint32_t state = SEED + number * images + b;
        for (uint32_t i = 0; i < parts; i++)
            (void)next(&state);
        add_boxes(items, &targets, b, counts[b], &state);
    }
    if (counts == NULL)
        targets.items = NULL;
    return targets;
}

void vb_anchors_in_cells(const struct vb_level *level, float *cells)
{
    for (uint32_t i = 0; i < 2 * level->n_anchors; i++)
        cells[i] = level->anchors[i] / (float)level->stride;
}

static bool is_near(float x)
{
    float rest = x - floorf(x);
    return rest < 0.5f && x > 1.0f;
}

/* How many of the two neighbours along one axis share a box whose centre is at `x` of `cells`. */
static uint32_t neighbours(float x, float cells)
{
    float mirrored = cells - x;
    return (uint32_t)is_near(x) + (uint32_t)is_near(mirrored);
}

/* Comparisons of their own and no maximum: what is not a number matches nothing. */
static bool is_alike(float side, float anchor)
{
    float ratio = side / anchor;
    float inverse = 1.0f / ratio;
    return ratio < (float)VB_MOST_RATIO && inverse < (float)VB_MOST_RATIO;
}

struct vb_matches vb_targets_match(const struct vb_targets *targets, const struct vb_level *level)
{
    struct vb_matches matches = { 0 };
    float anchors[sizeof level->anchors / sizeof *level->anchors];
    float grid_w = (float)level->grid_w;
    float grid_h = (float)level->grid_h;

    vb_anchors_in_cells(level, anchors);
    for (uint32_t a = 0; a < level->n_anchors; a++) {
        for (uint32_t i = 0; i < targets->n; i++) {
            const struct vb_target *target = &targets->items[i];
            float cx = target->cx * grid_w, cy = target->cy * grid_h;
            float w = target->w * grid_w, h = target->h * grid_h;
            if (!is_alike(w, anchors[2 * a]) || !is_alike(h, anchors[2 * a + 1]))
                continue;
            matches.n_anchor_boxes++;
            matches.n += 1 + neighbours(cx, grid_w) + neighbours(cy, grid_h);
        }
    }
    return matches;
}

static float nearest(float x, enum vb_dtype dtype)
{
    if (dtype == VB_FLOAT32)
        return x;
    return dtype == VB_FLOAT16 ? vb_nearest_float16(x) : vb_nearest_bfloat16(x);
}

/* An axis of a level. */
struct cells {
    uint32_t n;
    float stride;
    enum vb_dtype dtype;
};

/* (i + 0.5) * stride */
static float centre_of(const struct cells *cells, uint32_t i)
{
    float middle = nearest((float)i, cells->dtype) + 0.5f;
    float pixels = nearest(middle, cells->dtype) * nearest(cells->stride, cells->dtype);
    return nearest(pixels, cells->dtype);
}

/* By how much an anchor is to lie inside: the assigner's epsilon. */
static bool is_above(float x, float edge)
{
    float distance = x - edge;
    return (double)distance > 1e-9;
}

/* A cell near to the pixel, as a place to begin to look. */
static uint32_t cell_at(const struct cells *cells, float pixel)
{
    float cell = pixel / cells->stride - 0.5f;
    if (!(cell > 0.0f))
        return 0;
    return cell < (float)cells->n ? (uint32_t)cell : cells->n;
}

/* Cell centres between the box's edges: they ascend, so those inside are one stretch. */
static uint32_t centres_inside(const struct cells *cells, float low, float high)
{
    uint32_t first = cell_at(cells, low), end = cell_at(cells, high);
    while (first > 0 && is_above(centre_of(cells, first - 1), low))
        first--;
    while (first < cells->n && !is_above(centre_of(cells, first), low))
        first++;
    while (end > 0 && !is_above(high, centre_of(cells, end - 1)))
        end--;
    while (end < cells->n && is_above(high, centre_of(cells, end)))
        end++;
    return end > first ? end - first : 0;
}

/* A box's edges along one axis in pixels. */
struct stretch {
    float low, high;
};

static struct stretch stretch_of(float centre, float side, float size)
{
    float middle = centre * size, whole = side * size;
    float half = whole * 0.5f;
    return (struct stretch){ middle - half, middle + half };
}

uint32_t vb_targets_count_inside(const struct vb_targets *targets, const struct vb_graph *graph,
                                 enum vb_dtype dtype)
{
    const struct vb_level *finest = &graph->levels[0];
    float width = nearest(nearest((float)finest->grid_w, dtype) * (float)finest->stride, dtype);
    float height = nearest(nearest((float)finest->grid_h, dtype) * (float)finest->stride, dtype);
    uint32_t n = 0, in_image = 0;
    for (uint32_t i = 0; i < targets->n; i++) {
        const struct vb_target *target = &targets->items[i];
        in_image = i > 0 && target->image == target[-1].image ? in_image + 1 : 1;
        if (in_image > targets->most_in_an_image)
            continue;
        struct stretch x = stretch_of(target->cx, target->w, width);
        struct stretch y = stretch_of(target->cy, target->h, height);
        for (uint32_t k = 0; k < graph->n_levels; k++) {
            const struct vb_level *level = &graph->levels[k];
            const struct cells across = { level->grid_w, (float)level->stride, dtype };
            const struct cells down = { level->grid_h, (float)level->stride, dtype };
            n += centres_inside(&across, x.low, x.high) * centres_inside(&down, y.low, y.high);
        }
    }
    return n;
}
