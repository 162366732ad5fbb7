/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/accuracy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const vb_group_key_names[VB_N_GROUP_KEYS] = { "gpu", "model", "family", "trust" };

double vb_prediction_error(const struct vb_prediction *prediction)
{
    return (prediction->planned_bytes / prediction->observed_bytes - 1) * 100;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted values, at least one. */
static double quantile(const double *sorted, size_t n, double share)
{
    double place = share * (double)(n - 1);
    size_t low = (size_t)place;
    size_t high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (place - (double)low) * (sorted[high] - sorted[low]);
}

static double mean(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

/* Percent of the observed values inside their intervals; NaN where none has one. */
static double coverage(const struct vb_prediction *items, size_t n, bool is_ninety)
{
    size_t n_with = 0, n_inside = 0;
    for (size_t i = 0; i < n; i++) {
        const struct vb_prediction *p = &items[i];
        const struct vb_interval *in = is_ninety ? &p->interval90 : &p->interval50;
        if (!(is_ninety ? p->has_interval90 : p->has_interval50))
            continue;
        n_with++;
        n_inside += p->observed_bytes >= in->low && p->observed_bytes <= in->high;
    }
    return n_with > 0 ? 100 * (double)n_inside / (double)n_with : (double)NAN;
}

enum vb_status vb_accuracy_of(const struct vb_prediction *items, size_t n, struct vb_accuracy *out,
                              struct vb_error *err)
{
    const double none = (double)NAN;
    *out = (struct vb_accuracy){ 0, none, none, none, none, none, none, none, none };
    if (n == 0)
        return VB_OK;
    double *errors = calloc(n, sizeof *errors);
    if (errors == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu errors", n);
    for (size_t i = 0; i < n; i++)
        errors[i] = vb_prediction_error(&items[i]);
    qsort(errors, n, sizeof *errors, by_value);
    out->n = n;
    out->bias = quantile(errors, n, 0.5);
    out->mean_bias = mean(errors, n);
    for (size_t i = 0; i < n; i++)
        errors[i] = fabs(errors[i]);
    qsort(errors, n, sizeof *errors, by_value);
    out->median_ape = quantile(errors, n, 0.5);
    out->p90_ape = quantile(errors, n, 0.9);
    out->worst_ape = errors[n - 1];
    out->mean_ape = mean(errors, n);
    out->coverage50 = coverage(items, n, false);
    out->coverage90 = coverage(items, n, true);
    free(errors);
    return VB_OK;
}

/* Predictions of one group next to each other. */
static int by_group(const void *a, const void *b, void *key)
{
    const struct vb_prediction *x = a, *y = b;
    enum vb_group_key by = *(const enum vb_group_key *)key;
    return strcmp(x->groups[by], y->groups[by]);
}

static int by_count(const void *a, const void *b)
{
    const struct vb_accuracy_group *x = a, *y = b;
    if (x->accuracy.n != y->accuracy.n)
        return x->accuracy.n < y->accuracy.n ? 1 : -1;
    return strcmp(x->name, y->name);
}

enum vb_status vb_accuracy_by(const struct vb_prediction *items, size_t n, enum vb_group_key key,
                              struct vb_arena *arena, struct vb_accuracy_group **out, size_t *n_out,
                              struct vb_error *err)
{
    struct vb_prediction *sorted = vb_arena_alloc(arena, n + 1, sizeof *sorted);
    struct vb_accuracy_group *groups = vb_arena_alloc(arena, n + 1, sizeof *groups);
    size_t n_groups = 0;
    if (sorted == NULL || groups == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu predictions", n);
    if (n > 0)
        memcpy(sorted, items, n * sizeof *sorted);
    qsort_r(sorted, n, sizeof *sorted, by_group, &key);
    for (size_t first = 0, next; first < n; first = next) {
        next = first + 1;
        while (next < n && by_group(&sorted[first], &sorted[next], &key) == 0)
            next++;
        struct vb_accuracy_group *group = &groups[n_groups++];
        group->name = sorted[first].groups[key];
        enum vb_status status = vb_accuracy_of(&sorted[first], next - first, &group->accuracy, err);
        if (status != VB_OK)
            return status;
    }
    qsort(groups, n_groups, sizeof *groups, by_count);
    *out = groups;
    *n_out = n_groups;
    return VB_OK;
}
