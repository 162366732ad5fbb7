/* SPDX-License-Identifier: Apache-2.0 */
/* Split conformal prediction with repositories as the units that are exchangeable, rows within one
 * not being so: people run one configuration several times. Each of K repositories has the weight
 * 1, shared by its rows, and the run to be predicted is one more repository, of weight 1, whose
 * error may lie anywhere: it counts as beyond all others. The chance that a new repository's run
 * exceeds a residual is then at most the weight beyond it, that one included, of K + 1, whatever
 * the distribution (Lee, Barber and Willett, "Distribution-free inference with hierarchical data",
 * arXiv 2306.06342; for one row a repository split conformal prediction). A bound that leaves out
 * `a` on its side lies between the two residuals whose chances enclose `a`, in proportion: the
 * quantile at (n + 1) (1 - a) (Hyndman and Fan's type 6). To take the outer of the two would never
 * leave out more than a, but mostly less: tests/fit/test_bands.c counts. Both sides are looked for
 * separately: what else is in a process can only add.
 *
 * Where K is too small for the share asked for, the bound lies beyond every row, and rank alone
 * would put it at infinity. There the weight 1 / (K + 1) is taken to fall exponentially, as fast as
 * the outer quarter of the residuals falls (Hill's estimator of a ratio's tail): an assumption,
 * which vb_band_is_tail() tells of.
 */
#include "fit/bands.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tail falls by 1/e in a hundredth at least: what runs print has three digits, 1 % below 10. */
#define LEAST_SCALE 0.01
#define OUTER_SHARE 0.25       /* of the weight, that a tail's scale is from */
#define LEAST_PROBABILITY 1e-6 /* nothing seen tells of rarer events */
#define ROUNDING 1e-9          /* of sums of weights */

const char *const vb_unlike_names[VB_N_UNLIKE] = {
    [VB_UNLIKE_ARCHITECTURE] = "GPU architecture",
    [VB_UNLIKE_FAMILY] = "model family",
    [VB_UNLIKE_PRECISION] = "precision",
    [VB_UNLIKE_WORKLOAD] = "workload",
    [VB_UNLIKE_SIZE] = "size of the plan",
    [VB_UNLIKE_BOXES] = "boxes an image",
    [VB_UNLIKE_TORCH] = "torch version",
    [VB_UNLIKE_WORKSPACES] = "fitted workspaces",
    [VB_UNLIKE_MODEL] = "a model of your own",
    [VB_UNLIKE_SETTINGS] = "frozen layers or rectangles",
};

static bool is_left_out(const struct vb_residual *row, const struct vb_question *question)
{
    return question->left_out != NULL && strcmp(row->repository, question->left_out) == 0;
}

/* A row's residual as one of a run planned like the question. In a shared process a score of bytes
 * above the plan and of a share below it: it grows with what is observed, so ranks hold. */
static double log_ratio_of(const struct vb_residual *row, const struct vb_question *question)
{
    double above = row->observed_bytes - row->traits.planned_bytes;
    if (question->is_shared && above > 0)
        return log1p(above / question->traits.planned_bytes);
    return log(row->observed_bytes / row->traits.planned_bytes);
}

/* What the rows have seen. */
struct seen {
    bool traits[VB_N_UNLIKE]; /* some row is like the question in it */
    double least_bytes, most_bytes;
    uint32_t most_boxes;
};

static void see(struct seen *seen, const struct vb_traits *row, const struct vb_traits *asked)
{
    bool is_profile = asked->workload == VB_AUTOBATCH;
    seen->traits[VB_UNLIKE_ARCHITECTURE] |= strcmp(row->architecture, asked->architecture) == 0;
    seen->traits[VB_UNLIKE_FAMILY] |= strcmp(row->family, asked->family) == 0;
    seen->traits[VB_UNLIKE_PRECISION] |= row->precision == asked->precision;
    seen->traits[VB_UNLIKE_WORKLOAD] |= (row->workload == VB_AUTOBATCH) == is_profile;
    seen->traits[VB_UNLIKE_TORCH] |= strcmp(row->torch, asked->torch) == 0;
    seen->traits[VB_UNLIKE_WORKSPACES] |= row->has_fitted_workspaces;
    seen->least_bytes = fmin(seen->least_bytes, row->planned_bytes);
    seen->most_bytes = fmax(seen->most_bytes, row->planned_bytes);
    if (row->boxes > seen->most_boxes)
        seen->most_boxes = row->boxes;
}

static uint32_t unlike_of(struct seen *seen, const struct vb_traits *asked)
{
    uint32_t unlike = 0;
    seen->traits[VB_UNLIKE_SIZE] =
        asked->planned_bytes >= seen->least_bytes && asked->planned_bytes <= seen->most_bytes;
    seen->traits[VB_UNLIKE_BOXES] = asked->boxes <= seen->most_boxes;
    seen->traits[VB_UNLIKE_WORKSPACES] |= !asked->has_fitted_workspaces;
    seen->traits[VB_UNLIKE_MODEL] = !asked->is_own_model;
    seen->traits[VB_UNLIKE_SETTINGS] = !asked->has_rare_settings;
    for (uint32_t i = 0; i < VB_N_UNLIKE; i++)
        unlike |= seen->traits[i] ? 0 : 1u << i;
    return unlike;
}

/* Each thing in which a question is unlike the rows is taken for one more source of error, as large
 * as all that the rows show and independent of it: variances add. No number is chosen; what it does
 * to the coverage stands in the heading of residuals.csv. */
static double widening_of(uint32_t unlike)
{
    return sqrt(1.0 + __builtin_popcount(unlike));
}

static int by_repository(const void *a, const void *b)
{
    const struct vb_band_step *x = a, *y = b;
    int order = strcmp(x->repository, y->repository);
    return order != 0 ? order : (x->log_ratio > y->log_ratio) - (x->log_ratio < y->log_ratio);
}

static int by_log_ratio(const void *a, const void *b)
{
    const struct vb_band_step *x = a, *y = b;
    return (x->log_ratio > y->log_ratio) - (x->log_ratio < y->log_ratio);
}

static int by_ratio(const void *a, const void *b)
{
    const struct vb_band_step *x = a, *y = b;
    int order = by_log_ratio(a, b);
    return order != 0 ? order : strcmp(x->repository, y->repository);
}

static void weigh(struct vb_band *band)
{
    qsort(band->steps, band->n_rows, sizeof *band->steps, by_repository);
    for (size_t first = 0, next; first < band->n_rows; first = next) {
        next = first + 1;
        while (next < band->n_rows &&
               strcmp(band->steps[first].repository, band->steps[next].repository) == 0)
            next++;
        for (size_t i = first; i < next; i++)
            band->steps[i].weight = 1.0 / (double)(next - first);
        band->n_repositories++;
    }
    qsort(band->steps, band->n_rows, sizeof *band->steps, by_ratio);
}

/* The i-th residual from one side: `sign` -1 looks from above, as a distance downwards. */
static const struct vb_band_step *from_side(const struct vb_band *band, int sign, size_t i)
{
    return &band->steps[sign > 0 ? i : band->n_rows - 1 - i];
}

/* The mean excess of the outer quarter over where it begins. */
static double tail_scale(const struct vb_band *band, int sign)
{
    double inner = (1 - OUTER_SHARE) * (double)band->n_repositories;
    double below = 0, begin = 0, excess = 0, weight = 0;
    for (size_t i = 0; i < band->n_rows; i++) {
        const struct vb_band_step *step = from_side(band, sign, i);
        if (below < inner - ROUNDING) {
            below += step->weight;
            begin = sign * step->log_ratio;
            continue;
        }
        excess += step->weight * (sign * step->log_ratio - begin);
        weight += step->weight;
    }
    return weight > 0 ? fmax(excess / weight, LEAST_SCALE) : LEAST_SCALE;
}

static double median(const struct vb_band *band)
{
    double below = 0;
    size_t i = 0;
    for (; i < band->n_rows; i++) {
        below += band->steps[i].weight;
        if (below >= 0.5 * (double)band->n_repositories - ROUNDING)
            break;
    }
    return band->steps[i].log_ratio;
}

static void tell_shape(struct vb_band *band)
{
    band->middle = median(band);
    band->low_scale = tail_scale(band, -1);
    band->high_scale = tail_scale(band, 1);
}

enum vb_status vb_band_find(const struct vb_residual *rows, size_t n,
                            const struct vb_question *question, struct vb_arena *arena,
                            struct vb_band *out, struct vb_error *err)
{
    struct seen seen = { .least_bytes = HUGE_VAL };
    bool is_known = false;
    *out = (struct vb_band){ .steps = vb_arena_alloc(arena, n + 1, sizeof *out->steps) };
    if (out->steps == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a band of %zu rows", n);
    for (size_t i = 0; i < n; i++) {
        if (is_left_out(&rows[i], question))
            continue;
        is_known = is_known || strcmp(rows[i].traits.family, question->traits.family) == 0;
        if (rows[i].is_shared != question->is_shared)
            continue;
        see(&seen, &rows[i].traits, &question->traits);
        out->steps[out->n_rows++] = (struct vb_band_step){
            .log_ratio = log_ratio_of(&rows[i], question),
            .repository = rows[i].repository,
        };
    }
    weigh(out);
    if (out->n_repositories < VB_LEAST_REPOSITORIES)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "published runs %s: from %zu repositories, too few for a band (%d)",
                       question->is_shared ? "in a notebook's kernel" : "in a process of their own",
                       out->n_repositories, VB_LEAST_REPOSITORIES);
    if (!is_known)
        return vb_fail(err, VB_E_UNSUPPORTED, "no published run of a model like '%.32s'",
                       question->traits.family);
    out->unlike = unlike_of(&seen, &question->traits);
    out->is_larger = question->traits.planned_bytes > seen.most_bytes;
    out->widening = widening_of(out->unlike);
    tell_shape(out);
    return VB_OK;
}

void vb_band_finish(struct vb_band *band)
{
    qsort(band->steps, band->n_rows, sizeof *band->steps, by_log_ratio);
    band->n_repositories = band->n_rows;
    tell_shape(band);
}

/* The distance on one side beyond which lies `outside` of the probability, with the new run's own
 * weight: above for `sign` 1. Not widened. */
static double bound(const struct vb_band *band, int sign, double outside)
{
    double all = (double)band->n_repositories + 1;
    double beyond = 1; /* the new run's */
    double scale = sign > 0 ? band->high_scale : band->low_scale;
    size_t i = band->n_rows;
    double outermost = sign * from_side(band, sign, i - 1)->log_ratio;
    if (beyond > outside * all + ROUNDING)
        return outermost + scale * log(beyond / (outside * all));
    for (; i > 1; i--) {
        double inner = sign * from_side(band, sign, i - 2)->log_ratio;
        double outer = sign * from_side(band, sign, i - 1)->log_ratio;
        double weight = from_side(band, sign, i - 1)->weight;
        if (beyond + weight >= outside * all - ROUNDING)
            return outer - (outer - inner) * (outside * all - beyond) / weight;
        beyond += weight;
    }
    return sign * from_side(band, sign, 0)->log_ratio;
}

struct vb_interval vb_band_interval(const struct vb_band *band, double planned_bytes, double share)
{
    double outside = (1 - share) / 2;
    double low = -bound(band, -1, outside), high = bound(band, 1, outside);
    return (struct vb_interval){
        planned_bytes * exp(band->middle + band->widening * (low - band->middle)),
        planned_bytes * exp(band->middle + band->widening * (high - band->middle)),
    };
}

/* What the steps have to be compared with. */
static double narrowed(const struct vb_band *band, double planned_bytes, double usable_bytes)
{
    double distance = log(fmax(usable_bytes, 1) / planned_bytes) - band->middle;
    return band->middle + distance / band->widening;
}

double vb_band_fits(const struct vb_band *band, double planned_bytes, double usable_bytes)
{
    double at = narrowed(band, planned_bytes, usable_bytes);
    double all = (double)band->n_repositories + 1;
    const struct vb_band_step *first = &band->steps[0], *last = &band->steps[band->n_rows - 1];
    double fits = 0;
    if (at > last->log_ratio) {
        fits = 1 - exp(-(at - last->log_ratio) / band->high_scale) / all;
    } else if (at <= first->log_ratio) {
        fits = first->weight * exp(-(first->log_ratio - at) / band->low_scale) / all;
    } else {
        size_t i = 0;
        for (; band->steps[i].log_ratio < at; i++)
            fits += band->steps[i].weight / all;
        const struct vb_band_step *inner = &band->steps[i - 1], *outer = &band->steps[i];
        fits +=
            outer->weight / all * (at - inner->log_ratio) / (outer->log_ratio - inner->log_ratio);
    }
    return fmin(fmax(fits, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY);
}

bool vb_band_is_tail(const struct vb_band *band, double planned_bytes, double usable_bytes)
{
    double at = narrowed(band, planned_bytes, usable_bytes);
    return at > band->steps[band->n_rows - 1].log_ratio || at <= band->steps[0].log_ratio;
}

void vb_band_family(const char *model, char *text, size_t room)
{
    const char *slash = strrchr(model, '/');
    const char *name = slash != NULL ? slash + 1 : model;
    size_t length = strcspn(name, ".");
    size_t head = strspn(name, "abcdefghijklmnopqrstuvwxyz");
    size_t stem = 0;
    if (strncmp(name, "yolo", 4) != 0) {
        (void)snprintf(text, room, "%.*s", (int)(head > 0 ? head : length), name);
        return;
    }
    while (head < length && isdigit((unsigned char)name[head]))
        head++;
    stem = head + strcspn(name + head, "-.");
    (void)snprintf(text, room, "%.*s%s%.*s", (int)head, name,
                   stem > head && name[stem - 1] == 'u' ? "u" : "",
                   (int)(length > stem ? length - stem : 0), name + stem);
}

const char *vb_band_torch(const char *recipe)
{
    const char *blank = strrchr(recipe, ' ');
    return blank != NULL ? blank + 1 : recipe;
}

bool vb_band_is_fitted(const char *workspaces)
{
    return strcmp(workspaces, "fitted") == 0 || strcmp(workspaces, "mixed") == 0;
}
