/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_PLAIN_V5_H
#define VB_TESTS_STEP_PLAIN_V5_H

/* YOLOv5's loss as loops over boxes and cells, with no tensors. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/graph.h"
#include "step/targets.h"

enum { MAX_LEVELS = 4, CLASSES = 3, VALUES = 5 + CLASSES, BATCH = 2, WAYS = 5 };

/* The plain loss. What PyTorch takes as given, alpha of CIoU and the objectness that is wanted, is
 * kept at the first call and taken from there after: so differences are its gradients. */
struct plain {
    const struct vb_graph *graph;
    const struct vb_targets *targets;
    double *predictions[MAX_LEVELS];
    double *wanted[MAX_LEVELS];
    double *alphas;
    size_t n_alphas, n_used;
    double box, objectness, class;
};

static inline double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static inline double cross_entropy(double x, double target)
{
    return -target * log(sigmoid(x)) - (1 - target) * log(sigmoid(-x));
}

/* Boxes as centre and size. */
static inline double complete_iou(struct plain *plain, const double *a, const double *b)
{
    const double eps = 1e-7;
    double inside = 1, diagonal = eps, apart = 0;
    for (int i = 0; i < 2; i++) {
        double a1 = a[i] - a[2 + i] / 2, a2 = a[i] + a[2 + i] / 2;
        double b1 = b[i] - b[2 + i] / 2, b2 = b[i] + b[2 + i] / 2;
        double hull = fmax(a2, b2) - fmin(a1, b1);
        inside *= fmax(fmin(a2, b2) - fmax(a1, b1), 0);
        diagonal += hull * hull;
        apart += (a[i] - b[i]) * (a[i] - b[i]);
    }
    double iou = inside / (a[2] * a[3] + b[2] * b[3] - inside + eps);
    double turn = atan(b[2] / b[3]) - atan(a[2] / a[3]);
    double v = 4 / (M_PI * M_PI) * turn * turn;
    if (plain->n_used == plain->n_alphas)
        plain->alphas[plain->n_alphas++] = v / (v - iou + (1 + eps));
    return iou - apart / diagonal - v * plain->alphas[plain->n_used++];
}

/* Whether a box at x of `cells` also belongs to the cell before (way -1) or after (1). */
static inline bool leans(double x, double cells, int way)
{
    double from = way < 0 ? x : cells - x;
    return from > 1 && from - floor(from) < 0.5;
}

static inline bool fits(const struct vb_target *box, const struct vb_level *level, uint32_t anchor)
{
    double w = box->w * (double)level->grid_w * level->stride / (double)level->anchors[2 * anchor];
    double h =
        box->h * (double)level->grid_h * level->stride / (double)level->anchors[2 * anchor + 1];
    return fmax(fmax(w, 1 / w), fmax(h, 1 / h)) < 4;
}

/* One match: its parts of the sums; the objectness that its cell is to have. */
static inline void add_match(struct plain *plain, uint32_t l, const struct vb_target *box,
                             uint32_t anchor, const int *way)
{
    const struct vb_level *level = &plain->graph->levels[l];
    double x = box->cx * (double)level->grid_w, y = box->cy * (double)level->grid_h;
    uint32_t column = (uint32_t)(x + 0.5 * way[0]), row = (uint32_t)(y + 0.5 * way[1]);
    size_t cell =
        ((box->image * level->n_anchors + anchor) * level->grid_h + row) * level->grid_w + column;
    const double *p = plain->predictions[l] + cell * VALUES;
    double sizes[2];
    for (int i = 0; i < 2; i++)
        sizes[i] = pow(2 * sigmoid(p[2 + i]), 2) *
                   (double)level->anchors[2 * anchor + (uint32_t)i] / level->stride;
    const double predicted[] = { 2 * sigmoid(p[0]) - 0.5, 2 * sigmoid(p[1]) - 0.5, sizes[0],
                                 sizes[1] };
    const double real[] = { x - column, y - row, box->w * (double)level->grid_w,
                            box->h * (double)level->grid_h };
    bool is_first = plain->n_used == plain->n_alphas;
    double iou = complete_iou(plain, predicted, real);
    plain->box += 1 - iou;
    for (uint32_t i = 0; i < CLASSES; i++)
        plain->class += cross_entropy(p[5 + i], i == box->label) / CLASSES;
    if (is_first)
        plain->wanted[l][cell] = fmax(iou, 0);
}

/* In the order of the matches, since of two in a cell the last one counts. */
static inline size_t add_matches(struct plain *plain, uint32_t l)
{
    static const int ways[WAYS][2] = { { 0, 0 }, { -1, 0 }, { 0, -1 }, { 1, 0 }, { 0, 1 } };
    const struct vb_level *level = &plain->graph->levels[l];
    const struct vb_targets *targets = plain->targets;
    size_t n = 0;
    for (int k = 0; k < WAYS; k++) {
        for (uint32_t a = 0; a < level->n_anchors; a++) {
            for (uint32_t i = 0; i < targets->n; i++) {
                const struct vb_target *box = &targets->items[i];
                const int *way = ways[k];
                bool is_near =
                    (way[0] == 0 ||
                     leans(box->cx * (double)level->grid_w, level->grid_w, way[0])) &&
                    (way[1] == 0 || leans(box->cy * (double)level->grid_h, level->grid_h, way[1]));
                if (!is_near || !fits(box, level, a))
                    continue;
                add_match(plain, l, box, a, way);
                n++;
            }
        }
    }
    return n;
}

static inline double plain_loss(struct plain *plain)
{
    static const double balances[][4] = { { 4, 1, 0.4 }, { 4, 1, 0.25, 0.06 } };
    const struct vb_graph *graph = plain->graph;
    double box = 0, class = 0, objectness = 0;
    plain->n_used = 0;
    for (uint32_t l = 0; l < graph->n_levels; l++) {
        const struct vb_level *level = &graph->levels[l];
        size_t n_cells = (size_t)BATCH * level->n_anchors * level->grid_h * level->grid_w;
        plain->box = plain->class = 0;
        size_t n = add_matches(plain, l);
        box += n > 0 ? plain->box / (double)n : 0;
        class += n > 0 ? plain->class / (double)n : 0;
        double sum = 0;
        for (size_t i = 0; i < n_cells; i++)
            sum += cross_entropy(plain->predictions[l][i * VALUES + 4], plain->wanted[l][i]);
        objectness += sum / (double)n_cells * balances[graph->n_levels - 3][l];
    }
    double levels = 3.0 / graph->n_levels, size = graph->imgsz / 640.0;
    plain->box = box * 0.05 * levels;
    plain->objectness = objectness * size * size * levels;
    plain->class = class * 0.5 * CLASSES / 80.0 * levels;
    return BATCH * (plain->box + plain->objectness + plain->class);
}

#endif
