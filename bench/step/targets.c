/* SPDX-License-Identifier: Apache-2.0 */
#include "step/targets.h"

#include <math.h>

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

/* Pictures that an image is composed of. */
static uint32_t parts_of(const struct vb_point *point)
{
    return point->mosaic == VB_MOSAIC_OFF ? 1 : MOSAIC_PARTS;
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

/* How many of the two neighbours along one axis share a box whose centre is at `x` of `cells`. */
static uint32_t neighbours(float x, float cells)
{
    float mirrored = cells - x;
    uint32_t n = 0;
    if (fmodf(x, 1.0f) < 0.5f && x > 1.0f)
        n++;
    if (fmodf(mirrored, 1.0f) < 0.5f && mirrored > 1.0f)
        n++;
    return n;
}

struct vb_matches vb_targets_match(const struct vb_targets *targets, const struct vb_level *level)
{
    struct vb_matches matches = { 0 };
    float grid_w = (float)level->grid_w;
    float grid_h = (float)level->grid_h;

    for (uint32_t a = 0; a < level->n_anchors; a++) {
        float anchor_w = level->anchors[2 * a] / (float)level->stride;
        float anchor_h = level->anchors[2 * a + 1] / (float)level->stride;
        for (uint32_t i = 0; i < targets->n; i++) {
            const struct vb_target *target = &targets->items[i];
            float ratio_w = target->w * grid_w / anchor_w;
            float ratio_h = target->h * grid_h / anchor_h;
            float worst = fmaxf(fmaxf(ratio_w, 1.0f / ratio_w), fmaxf(ratio_h, 1.0f / ratio_h));
            if (!(worst < 4.0f))
                continue;
            matches.n_anchor_boxes++;
            matches.n += 1 + neighbours(target->cx * grid_w, grid_w) +
                         neighbours(target->cy * grid_h, grid_h);
        }
    }
    return matches;
}

static float centre_of(uint32_t cell, uint32_t cells)
{
    return ((float)cell + 0.5f) / (float)cells;
}

/* The first cell, of `cells`, whose centre is beyond `edge`, or is not before it: from where the
 * edge is in real numbers to what rounding makes of that. */
static uint32_t first_cell(float edge, bool beyond, uint32_t cells)
{
    float at = fminf(fmaxf(edge * (float)cells - 0.5f, 0.0f), (float)cells);
    uint32_t cell = (uint32_t)at;
    while (cell > 0 &&
           (beyond ? centre_of(cell - 1, cells) > edge : centre_of(cell - 1, cells) >= edge))
        cell--;
    while (cell < cells &&
           (beyond ? centre_of(cell, cells) <= edge : centre_of(cell, cells) < edge))
        cell++;
    return cell;
}

/* Cell centres (i + 0.5, of `cells`) strictly between the box's edges along one axis. */
static uint32_t centres_inside(float centre, float side, uint32_t cells)
{
    uint32_t first = first_cell(centre - side / 2, true, cells);
    uint32_t end = first_cell(centre + side / 2, false, cells);
    return end > first ? end - first : 0;
}

uint32_t vb_targets_count_inside(const struct vb_targets *targets, const struct vb_level *level)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < targets->n; i++) {
        const struct vb_target *target = &targets->items[i];
        n += centres_inside(target->cx, target->w, level->grid_w) *
             centres_inside(target->cy, target->h, level->grid_h);
    }
    return n;
}
