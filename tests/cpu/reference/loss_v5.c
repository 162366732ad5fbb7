/* SPDX-License-Identifier: Apache-2.0 */
/* YOLOv5's loss and its gradient. The gradient of CIoU comes from numbers that carry their
 * derivatives along, so no formula of it is written down. */

#include "reference.h"

#include <math.h>
#include <stdlib.h>

#define PI 3.14159265358979323846
#define TINY 1e-7
#define MOST_RATIO 4.0

/* A number with its derivatives by the predicted box's x, y, w and h. */
struct dual {
    double v, d[4];
};

static struct dual constant(double v)
{
    return (struct dual){ .v = v };
}

static struct dual variable(double v, int i)
{
    struct dual x = { .v = v };
    x.d[i] = 1;
    return x;
}

/* x + scale y */
static struct dual plus(struct dual x, double scale, struct dual y)
{
    x.v += scale * y.v;
    for (int i = 0; i < 4; i++)
        x.d[i] += scale * y.d[i];
    return x;
}

static struct dual times(struct dual x, struct dual y)
{
    struct dual z = { .v = x.v * y.v };
    for (int i = 0; i < 4; i++)
        z.d[i] = x.d[i] * y.v + x.v * y.d[i];
    return z;
}

static struct dual over(struct dual x, struct dual y)
{
    struct dual z = { .v = x.v / y.v };
    for (int i = 0; i < 4; i++)
        z.d[i] = (x.d[i] - z.v * y.d[i]) / y.v;
    return z;
}

static struct dual arc_tangent(struct dual x)
{
    struct dual z = { .v = atan(x.v) };
    for (int i = 0; i < 4; i++)
        z.d[i] = x.d[i] / (1 + x.v * x.v);
    return z;
}

static struct dual larger(struct dual x, struct dual y)
{
    return x.v > y.v ? x : y;
}

static struct dual smaller(struct dual x, struct dual y)
{
    return x.v < y.v ? x : y;
}

/* The lengths of the overlap and of the hull of two stretches, by their middles and lengths. */
static void along(struct dual a, struct dual length_a, struct dual b, struct dual length_b,
                  struct dual *overlap, struct dual *hull)
{
    struct dual low_a = plus(a, -0.5, length_a), high_a = plus(a, 0.5, length_a);
    struct dual low_b = plus(b, -0.5, length_b), high_b = plus(b, 0.5, length_b);
    *overlap = larger(plus(smaller(high_a, high_b), -1, larger(low_a, low_b)), constant(0));
    *hull = plus(larger(high_a, high_b), -1, smaller(low_a, low_b));
}

/* CIoU of a predicted and a wanted box: iou - distance^2 / diagonal^2 - alpha v; alpha counts as a
 * constant. */
static struct dual ciou(const double *predicted, const double *wanted)
{
    struct dual a[4], b[4], common_w, common_h, hull_w, hull_h;
    for (int i = 0; i < 4; i++) {
        a[i] = variable(predicted[i], i);
        b[i] = constant(wanted[i]);
    }
    along(a[0], a[2], b[0], b[2], &common_w, &hull_w);
    along(a[1], a[3], b[1], b[3], &common_h, &hull_h);
    struct dual common = times(common_w, common_h);
    struct dual both = plus(times(a[2], a[3]), 1, times(b[2], b[3]));
    struct dual iou = over(common, plus(plus(both, -1, common), 1, constant(TINY)));
    struct dual dx = plus(a[0], -1, b[0]), dy = plus(a[1], -1, b[1]);
    struct dual apart = plus(times(dx, dx), 1, times(dy, dy));
    struct dual diagonal = plus(times(hull_w, hull_w), 1, times(hull_h, hull_h));
    struct dual angle = plus(arc_tangent(over(b[2], b[3])), -1, arc_tangent(over(a[2], a[3])));
    struct dual v = times(constant(4 / (PI * PI)), times(angle, angle));
    double alpha = v.v / (v.v - iou.v + 1 + TINY);
    struct dual result = plus(iou, -1, over(apart, plus(diagonal, 1, constant(TINY))));
    return plus(result, -alpha, v);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* -(t log s + (1 - t) log(1 - s)) for s = sigmoid(x); its derivative is s - t. */
static double cross_entropy(double x, double t)
{
    return fmax(x, 0) - x * t + log1p(exp(-fabs(x)));
}

struct match {
    uint32_t image, anchor, label;
    size_t cell_x, cell_y;
    double box[4]; /* centre relative to the cell, sides; in cells */
};

struct level {
    const struct vb_level *of;
    double *y, *gradient; /* [N,A,H,W,V] */
    size_t values, n_cells;
    struct match *matches;
    size_t n;
};

static double *row_of(const struct level *level, double *array, const struct match *match)
{
    size_t row = (size_t)match->image * level->of->n_anchors + match->anchor;
    row = (row * level->of->grid_h + match->cell_y) * level->of->grid_w + match->cell_x;
    return array + row * level->values;
}

/* Of the five cells that a box may be given to: its own, left, above, right, below. */
static bool takes(int way, double x, double y, double w, double h)
{
    double at = way == 1 ? x : way == 2 ? y : way == 3 ? w - x : h - y;
    return way == 0 || (fmod(at, 1) < 0.5 && at > 1);
}

static bool is_like(double side, double anchor)
{
    return fmax(side / anchor, anchor / side) < MOST_RATIO;
}

static size_t cell(double at, uint32_t cells)
{
    return at < 0 ? 0 : at >= cells ? cells - 1 : (size_t)at;
}

/* In the order that decides which of two matches of one cell is the last: way, anchor, box. */
static void match(struct level *level, const struct vb_reference_box *boxes, uint32_t n)
{
    static const double shift_x[] = { 0, 0.5, 0, -0.5, 0 }, shift_y[] = { 0, 0, 0.5, 0, -0.5 };
    const struct vb_level *of = level->of;
    level->matches = calloc((size_t)5 * of->n_anchors * n + 1, sizeof *level->matches);
    for (int way = 0; way < 5; way++) {
        for (uint32_t a = 0; a < of->n_anchors; a++) {
            for (uint32_t i = 0; i < n; i++) {
                double x = boxes[i].x * of->grid_w, y = boxes[i].y * of->grid_h;
                double w = boxes[i].w * of->grid_w, h = boxes[i].h * of->grid_h;
                if (!is_like(w, (double)of->anchors[2 * a] / of->stride) ||
                    !is_like(h, (double)of->anchors[2 * a + 1] / of->stride) ||
                    !takes(way, x, y, of->grid_w, of->grid_h))
                    continue;
                size_t cell_x = cell(x - shift_x[way], of->grid_w);
                size_t cell_y = cell(y - shift_y[way], of->grid_h);
                level->matches[level->n++] = (struct match){
                    boxes[i].image, a,      boxes[i].label,
                    cell_x,         cell_y, { x - (double)cell_x, y - (double)cell_y, w, h }
                };
            }
        }
    }
}

/* The box's part of one match, times `share`; what is wanted of its objectness goes to `wanted`. */
static double box_part(const struct level *level, const struct match *match, double share,
                       double *wanted)
{
    const double *y = row_of(level, level->y, match);
    double *gradient = row_of(level, level->gradient, match);
    double box[4], slope[4];
    for (int i = 0; i < 4; i++) {
        double s = sigmoid(y[i]);
        double anchor = i < 2 ? 1
                              : (double)level->of->anchors[2 * match->anchor + (uint32_t)i - 2] /
                                    level->of->stride;
        box[i] = i < 2 ? 2 * s - 0.5 : 4 * s * s * anchor;
        slope[i] = i < 2 ? 2 * s * (1 - s) : 8 * s * s * (1 - s) * anchor;
    }
    struct dual iou = ciou(box, match->box);
    for (int i = 0; i < 4; i++)
        gradient[i] -= share * iou.d[i] * slope[i];
    wanted[(size_t)(y - level->y) / level->values] = fmax(iou.v, 0);
    return share * (1 - iou.v);
}

static double class_part(const struct level *level, const struct match *match, double share)
{
    const double *y = row_of(level, level->y, match) + 5;
    double *gradient = row_of(level, level->gradient, match) + 5;
    double sum = 0;
    for (size_t i = 0; i < level->values - 5; i++) {
        double t = i == match->label;
        sum += share * cross_entropy(y[i], t);
        gradient[i] += share * (sigmoid(y[i]) - t);
    }
    return sum;
}

static double level_loss(const struct vb_graph *graph, struct level *level, double balance)
{
    double *wanted = calloc(level->n_cells, sizeof *wanted);
    double size = graph->imgsz / 640.0, batch = graph->batch, sum = 0;
    double levels = 3.0 / graph->n_levels;
    double box = 0.05 * levels * batch / (double)level->n;
    double score = 0.5 * levels * batch * graph->classes / 80 / (double)level->n / graph->classes;
    double object = size * size * levels * batch * balance / (double)level->n_cells;
    for (size_t i = 0; i < level->n; i++)
        sum += box_part(level, &level->matches[i], box, wanted) +
               class_part(level, &level->matches[i], score);
    for (size_t i = 0; i < level->n_cells; i++) {
        double y = level->y[i * level->values + 4];
        sum += object * cross_entropy(y, wanted[i]);
        level->gradient[i * level->values + 4] += object * (sigmoid(y) - wanted[i]);
    }
    free(wanted);
    return sum;
}

double vb_reference_loss_v5(struct vb_reference *self, const struct vb_reference_box *boxes,
                            uint32_t n)
{
    static const double balance[] = { 4.0, 1.0, 0.4 };
    const struct vb_graph *graph = self->graph;
    double sum = 0;
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        const struct vb_level *of = &graph->levels[i];
        struct level level = { .of = of,
                               .y = self->values[of->output],
                               .gradient = self->gradients[of->output],
                               .values = graph->classes + 5 };
        level.n_cells = (size_t)graph->batch * of->n_anchors * of->grid_h * of->grid_w;
        match(&level, boxes, n);
        sum += level_loss(graph, &level, balance[i]);
        free(level.matches);
    }
    return sum;
}
