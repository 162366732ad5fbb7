/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_PLAIN_V8_H
#define VB_TESTS_STEP_PLAIN_V8_H

/* YOLOv8's loss, and one of YOLO26's two, as loops over boxes and anchors, in doubles, with nothing
 * of step/ but its inputs. Sources: task alignment (Feng et al. 2021, alpha and beta of
 * ultralytics), distribution focal loss (Li et al. 2020), complete IoU (Zheng et al. 2020). What
 * PyTorch takes as given, the assignment and alpha of CIoU, is kept when it is first worked out: so
 * differences are gradients.
 */

#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "model/graph.h"
#include "step/targets.h"

enum { PLAIN_LEVELS = 4, PLAIN_BINS = 16, PLAIN_TOP = 10 };

struct plain {
    const struct vb_graph *graph;
    const struct vb_targets *targets;
    int top, top_last;                 /* anchors of a box; of these, once settled; 0: all */
    double *predictions[PLAIN_LEVELS]; /* [batch,4 bins + classes,h,w] */
    uint32_t n_anchors;
    /* Of each anchor of each image: the box that it learns or NULL, with what score, and CIoU's
     * alpha. */
    const struct vb_target **wanted;
    double *scores, *alphas;
    bool is_assigned, has_alphas;
    uint32_t n_contended, n_foreground;
    double box, class, distribution; /* the parts, with their gains */
};

/* An anchor of an image: its centre in cells, and where its channels are. */
struct plain_anchor {
    double x, y, stride;
    int bins;
    const double *channels;
    size_t next; /* from one channel to the next */
};

static inline struct plain_anchor plain_anchor(const struct plain *plain, uint32_t image,
                                               uint32_t anchor)
{
    for (uint32_t l = 0;; l++) {
        const struct vb_level *level = &plain->graph->levels[l];
        uint32_t cells = level->grid_h * level->grid_w;
        if (anchor >= cells) {
            anchor -= cells;
            continue;
        }
        size_t channels = 4 * plain->graph->bins + plain->graph->classes;
        return (struct plain_anchor){ anchor % level->grid_w + 0.5,
                                      anchor / level->grid_w + 0.5,
                                      level->stride,
                                      (int)plain->graph->bins,
                                      plain->predictions[l] + image * channels * cells + anchor,
                                      cells };
    }
}

/* log(exp(x[0]) + ..) of a side's bins. */
static inline double plain_log_sum(const struct plain_anchor *anchor, int side)
{
    double sum = 0;
    for (int i = 0; i < anchor->bins; i++)
        sum += exp(anchor->channels[(size_t)(side * anchor->bins + i) * anchor->next]);
    return log(sum);
}

/* The predicted corners, in cells. */
static inline void plain_decode(const struct plain_anchor *anchor, double *corners)
{
    for (int side = 0; side < 4; side++) {
        double log_sum = plain_log_sum(anchor, side), mean = 0;
        if (anchor->bins == 1)
            mean = anchor->channels[(size_t)side * anchor->next];
        for (int i = 0; i < anchor->bins; i++)
            mean += i * exp(anchor->channels[(size_t)(side * anchor->bins + i) * anchor->next] -
                            log_sum);
        corners[side] = (side % 2 == 0 ? anchor->x : anchor->y) + (side < 2 ? -mean : mean);
    }
}

static inline double plain_logit(const struct plain_anchor *anchor, uint32_t label)
{
    return anchor->channels[((size_t)(4 * anchor->bins) + label) * anchor->next];
}

/* The box's corners in pixels divided by `unit`. */
static inline void plain_corners(const struct plain *plain, const struct vb_target *box,
                                 double unit, double *corners)
{
    const struct vb_level *level = &plain->graph->levels[0];
    double w = level->grid_w * (double)level->stride, h = level->grid_h * (double)level->stride;
    corners[0] = ((double)box->cx - (double)box->w / 2) * w / unit;
    corners[1] = ((double)box->cy - (double)box->h / 2) * h / unit;
    corners[2] = ((double)box->cx + (double)box->w / 2) * w / unit;
    corners[3] = ((double)box->cy + (double)box->h / 2) * h / unit;
}

/* `alpha`: below 0 it is worked out. */
static inline double plain_ciou(const double *a, const double *b, double *alpha)
{
    const double eps = 1e-7;
    double inside = 1, diagonal = eps, apart = 0;
    double aw = a[2] - a[0], ah = a[3] - a[1] + eps, bw = b[2] - b[0], bh = b[3] - b[1] + eps;
    for (int i = 0; i < 2; i++) {
        double hull = fmax(a[2 + i], b[2 + i]) - fmin(a[i], b[i]);
        double between = (a[i] + a[2 + i] - b[i] - b[2 + i]) / 2;
        inside *= fmax(fmin(a[2 + i], b[2 + i]) - fmax(a[i], b[i]), 0);
        diagonal += hull * hull;
        apart += between * between;
    }
    double iou = inside / (aw * ah + bw * bh - inside + eps);
    double turn = atan(bw / bh) - atan(aw / ah);
    double v = 4 / (M_PI * M_PI) * turn * turn;
    if (*alpha < 0)
        *alpha = v / (v - iou + (1 + eps));
    return iou - apart / diagonal - v * *alpha;
}

static inline bool plain_is_inside(const struct plain_anchor *anchor, const double *corners)
{
    double x = anchor->x * anchor->stride, y = anchor->y * anchor->stride;
    return fmin(fmin(x - corners[0], y - corners[1]), fmin(corners[2] - x, corners[3] - y)) > 1e-9;
}

/* One box's rows of the assigner. */
struct plain_row {
    const struct vb_target *box;
    double *overlaps, *aligns;
    bool *inside, *takes;
};

static inline void plain_measure(const struct plain *plain, struct plain_row *row)
{
    double corners[4];
    plain_corners(plain, row->box, 1, corners);
    for (uint32_t i = 0; i < plain->n_anchors; i++) {
        struct plain_anchor anchor = plain_anchor(plain, row->box->image, i);
        double predicted[4], alpha = -1;
        row->inside[i] = plain_is_inside(&anchor, corners);
        if (!row->inside[i])
            continue;
        plain_decode(&anchor, predicted);
        for (int k = 0; k < 4; k++)
            predicted[k] *= anchor.stride;
        double score = 1 / (1 + exp(-plain_logit(&anchor, row->box->label)));
        row->overlaps[i] = fmax(plain_ciou(corners, predicted, &alpha), 0);
        row->aligns[i] = sqrt(score) * pow(row->overlaps[i], 6);
    }
}

/* The best so many, of equal ones the first; of these, those inside. */
static inline void plain_take_best(const struct plain *plain, struct plain_row *row)
{
    for (int k = 0; k < plain->top; k++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i < plain->n_anchors; i++) {
            if (!row->takes[i] && (best == UINT32_MAX || row->aligns[i] > row->aligns[best]))
                best = i;
        }
        row->takes[best] = true;
    }
    for (uint32_t i = 0; i < plain->n_anchors; i++)
        row->takes[i] = row->takes[i] && row->inside[i];
}

/* Where several take an anchor, the one that overlaps it most does, of all boxes. */
static inline void plain_settle(struct plain *plain, struct plain_row *rows, uint32_t n)
{
    for (uint32_t i = 0; i < plain->n_anchors; i++) {
        uint32_t n_claims = 0, best = 0;
        for (uint32_t k = 0; k < n; k++) {
            n_claims += rows[k].takes[i];
            best = rows[k].overlaps[i] > rows[best].overlaps[i] ? k : best;
        }
        for (uint32_t k = 0; k < n && n_claims > 1; k++)
            rows[k].takes[i] = k == best;
        plain->n_contended += n_claims > 1;
    }
}

/* Of the anchors that a box has the best, where it may keep but one. */
static inline void plain_keep_best(const struct plain *plain, struct plain_row *row)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < plain->n_anchors; i++) {
        if (row->takes[i] && (!row->takes[best] || row->aligns[i] > row->aligns[best]))
            best = i;
    }
    for (uint32_t i = 0; i < plain->n_anchors; i++)
        row->takes[i] = row->takes[i] && i == best;
}

static inline void plain_give(struct plain *plain, const struct plain_row *row)
{
    double most_align = 0, most_overlap = 0;
    for (uint32_t i = 0; i < plain->n_anchors; i++) {
        most_align = row->takes[i] ? fmax(most_align, row->aligns[i]) : most_align;
        most_overlap = row->takes[i] ? fmax(most_overlap, row->overlaps[i]) : most_overlap;
    }
    for (uint32_t i = 0; i < plain->n_anchors; i++) {
        size_t at = (size_t)row->box->image * plain->n_anchors + i;
        if (!row->takes[i])
            continue;
        plain->wanted[at] = row->box;
        plain->scores[at] = row->aligns[i] * most_overlap / (most_align + 1e-9);
        plain->n_foreground++;
    }
}

/* The boxes of one image. */
static inline void plain_assign(struct plain *plain, const struct vb_target *boxes, uint32_t n)
{
    struct plain_row *rows = calloc(n, sizeof *rows);
    for (uint32_t k = 0; k < n; k++) {
        rows[k] = (struct plain_row){ &boxes[k], calloc(plain->n_anchors, sizeof(double)),
                                      calloc(plain->n_anchors, sizeof(double)),
                                      calloc(plain->n_anchors, sizeof(bool)),
                                      calloc(plain->n_anchors, sizeof(bool)) };
        plain_measure(plain, &rows[k]);
        plain_take_best(plain, &rows[k]);
    }
    plain_settle(plain, rows, n);
    for (uint32_t k = 0; k < n; k++) {
        if (plain->top_last == 1)
            plain_keep_best(plain, &rows[k]);
        plain_give(plain, &rows[k]);
        free(rows[k].overlaps);
        free(rows[k].aligns);
        free(rows[k].inside);
        free(rows[k].takes);
    }
    free(rows);
}

static inline void plain_assign_all(struct plain *plain)
{
    const struct vb_targets *targets = plain->targets;
    for (uint32_t i = 0, n; i < targets->n; i += n) {
        for (n = 1; i + n < targets->n && targets->items[i + n].image == targets->items[i].image;)
            n++;
        plain_assign(plain, &targets->items[i],
                     n < targets->most_in_an_image ? n : targets->most_in_an_image);
    }
    plain->is_assigned = true;
}

/* Cross entropy with the two bins beside each wanted distance, the mean over the sides. */
static inline double plain_distribution(const struct plain_anchor *anchor, const double *corners)
{
    double loss = 0;
    for (int side = 0; side < 4; side++) {
        double from = side % 2 == 0 ? anchor->x : anchor->y;
        double distance = side < 2 ? from - corners[side] : corners[side] - from;
        distance = fmin(fmax(distance, 0), PLAIN_BINS - 1 - 0.01);
        int bin = (int)distance;
        double log_sum = plain_log_sum(anchor, side);
        double left =
            anchor->channels[(size_t)(side * anchor->bins + bin) * anchor->next] - log_sum;
        double right =
            anchor->channels[(size_t)(side * anchor->bins + bin + 1) * anchor->next] - log_sum;
        loss -= left * (bin + 1 - distance) + right * (distance - bin);
    }
    return loss / 4;
}

/* What the distances are off in shares of the image, the mean over the sides. */
static inline double plain_error(const struct plain *plain, const struct plain_anchor *anchor,
                                 const double *corners)
{
    const struct vb_level *level = &plain->graph->levels[0];
    double sizes[] = { level->grid_w * (double)level->stride,
                       level->grid_h * (double)level->stride };
    double loss = 0;
    for (int side = 0; side < 4; side++) {
        double from = side % 2 == 0 ? anchor->x : anchor->y;
        double distance = side < 2 ? from - corners[side] : corners[side] - from;
        double off = anchor->channels[(size_t)side * anchor->next] - distance;
        loss += fabs(off) * anchor->stride / sizes[side % 2];
    }
    return loss / 4;
}

static inline void plain_add(struct plain *plain, uint32_t image, uint32_t i)
{
    struct plain_anchor anchor = plain_anchor(plain, image, i);
    size_t at = (size_t)image * plain->n_anchors + i;
    const struct vb_target *box = plain->wanted[at];
    for (uint32_t k = 0; k < plain->graph->classes; k++) {
        double x = plain_logit(&anchor, k);
        double target = box != NULL && box->label == k ? plain->scores[at] : 0;
        plain->class += log(1 + exp(x)) - x * target;
    }
    if (box == NULL)
        return;
    double corners[4], predicted[4];
    plain_corners(plain, box, anchor.stride, corners);
    plain_decode(&anchor, predicted);
    if (!plain->has_alphas)
        plain->alphas[at] = -1;
    plain->box += (1 - plain_ciou(predicted, corners, &plain->alphas[at])) * plain->scores[at];
    double off = anchor.bins == 1 ? plain_error(plain, &anchor, corners)
                                  : plain_distribution(&anchor, corners);
    plain->distribution += off * plain->scores[at];
}

/* The sum of the parts, times the batch. */
static inline double plain_loss(struct plain *plain)
{
    uint32_t batch = plain->graph->batch;
    double sum = 0;
    if (!plain->is_assigned)
        plain_assign_all(plain);
    plain->box = plain->class = plain->distribution = 0;
    for (uint32_t image = 0; image < batch; image++) {
        for (uint32_t i = 0; i < plain->n_anchors; i++) {
            sum += plain->scores[(size_t)image * plain->n_anchors + i];
            plain_add(plain, image, i);
        }
    }
    plain->has_alphas = true;
    sum = fmax(sum, 1);
    plain->box *= 7.5 / sum;
    plain->class *= 0.5 / sum;
    plain->distribution *= 1.5 / sum;
    return batch * (plain->box + plain->class + plain->distribution);
}

static inline struct plain plain_open(const struct vb_graph *graph,
                                      const struct vb_targets *targets)
{
    struct plain plain = { .graph = graph, .targets = targets, .top = PLAIN_TOP };
    cr_assert_leq(graph->n_levels, PLAIN_LEVELS);
    for (uint32_t l = 0; l < graph->n_levels; l++) {
        size_t cells = (size_t)graph->levels[l].grid_h * graph->levels[l].grid_w;
        plain.n_anchors += (uint32_t)cells;
        plain.predictions[l] =
            calloc(graph->batch * (4 * graph->bins + graph->classes) * cells, sizeof(double));
    }
    size_t n = (size_t)graph->batch * plain.n_anchors;
    plain.wanted = calloc(n, sizeof *plain.wanted);
    plain.scores = calloc(n, sizeof *plain.scores);
    plain.alphas = calloc(n, sizeof *plain.alphas);
    return plain;
}

static inline void plain_close(struct plain *plain)
{
    for (uint32_t l = 0; l < PLAIN_LEVELS; l++)
        free(plain->predictions[l]);
    free((void *)plain->wanted);
    free(plain->scores);
    free(plain->alphas);
}

#endif
