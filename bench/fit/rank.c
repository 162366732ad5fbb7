/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks are doubled, so that the mean rank of equal values is a whole number and sums of ranks can
 * be counted in an array and compared for equality. */

#include "fit/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Additions that counting may take: 25 values beside 25 are about the most. */
enum { MOST_ADDITIONS = 4000000 };

struct ranked {
    double value;
    bool is_counted; /* of the smaller sample */
};

struct ranks {
    size_t n, n_counted;
    size_t *doubled; /* of all values, ascending */
    size_t sum;      /* of the smaller sample's */
    double ties;     /* t^3 - t of each group of t equal values */
};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_ranked(const void *a, const void *b)
{
    return by_value(&((const struct ranked *)a)->value, &((const struct ranked *)b)->value);
}

static void share_ranks(const struct ranked *values, struct ranks *out)
{
    for (size_t from = 0, to; from < out->n; from = to) {
        to = from + 1;
        while (to < out->n && values[to].value <= values[from].value)
            to++;
        const double equal = (double)(to - from);
        out->ties += equal * equal * equal - equal;
        for (size_t i = from; i < to; i++) {
            out->doubled[i] = from + 1 + to;
            out->sum += values[i].is_counted ? out->doubled[i] : 0;
        }
    }
}

static enum vb_status rank(const double *a, size_t n_a, const double *b, size_t n_b,
                           struct ranks *out, struct vb_error *err)
{
    *out = (struct ranks){ .n = n_a + n_b, .n_counted = n_a < n_b ? n_a : n_b };
    struct ranked *values = calloc(out->n, sizeof *values);
    out->doubled = calloc(out->n, sizeof *out->doubled);
    if (values != NULL && out->doubled != NULL) {
        for (size_t i = 0; i < n_a; i++)
            values[i] = (struct ranked){ a[i], n_a <= n_b };
        for (size_t i = 0; i < n_b; i++)
            values[n_a + i] = (struct ranked){ b[i], n_a > n_b };
        qsort(values, out->n, sizeof *values, by_ranked);
        share_ranks(values, out);
    }
    const bool is_done = values != NULL && out->doubled != NULL;
    free(values);
    if (is_done)
        return VB_OK;
    free(out->doubled);
    return vb_fail(err, VB_E_SYSTEM, "no host memory left to rank %zu values", n_a + n_b);
}

/* How far a sum lies from its mean. */
static size_t distance(size_t sum, const struct ranks *ranks)
{
    const size_t mean = ranks->n_counted * (ranks->n + 1);
    return sum > mean ? sum - mean : mean - sum;
}

/* ways[k * stride + s]: how many choices of k of the ranks so far have the sum s. A rank is added
 * to choices of fewest last, so that none holds it twice. `before`: the sums of the ranks before
 * each place, between which all sums lie. */
static void count_ways(const struct ranks *ranks, const size_t *before, size_t stride, double *ways)
{
    ways[0] = 1;
    for (size_t i = 0; i < ranks->n; i++) {
        const size_t rank_i = ranks->doubled[i];
        const size_t most = i + 1 < ranks->n_counted ? i + 1 : ranks->n_counted;
        for (size_t k = most; k >= 1; k--) {
            const size_t low = before[k - 1], high = before[i] - before[i - (k - 1)];
            const double *from = &ways[(k - 1) * stride];
            double *to = &ways[k * stride + rank_i];
            for (size_t s = low; s <= high; s++)
                to[s] += from[s];
        }
    }
}

static enum vb_status count(const struct ranks *ranks, double *p, struct vb_error *err)
{
    double all = 0, beyond = 0;
    size_t *before = calloc(ranks->n + 1, sizeof *before);
    if (before == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a rank test");
    for (size_t i = 0; i < ranks->n; i++)
        before[i + 1] = before[i] + ranks->doubled[i];
    const size_t stride = before[ranks->n] - before[ranks->n - ranks->n_counted] + 1;
    double *ways = calloc((ranks->n_counted + 1) * stride, sizeof *ways);
    if (ways == NULL) {
        free(before);
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a rank test");
    }
    count_ways(ranks, before, stride, ways);
    for (size_t s = 0; s < stride; s++) {
        const double here = ways[ranks->n_counted * stride + s];
        all += here;
        beyond += distance(s, ranks) >= distance(ranks->sum, ranks) ? here : 0;
    }
    *p = beyond / all;
    free(ways);
    free(before);
    return VB_OK;
}

static double approximate(const struct ranks *ranks)
{
    const double n = (double)ranks->n, n_counted = (double)ranks->n_counted;
    const double variance =
        n_counted * (n - n_counted) / 12 * (n + 1 - ranks->ties / (n * (n - 1)));
    const double reach = 0.5 * (double)distance(ranks->sum, ranks) - 0.5;
    return variance > 0 && reach > 0 ? vb_normal_beyond(reach / sqrt(variance)) : 1;
}

enum vb_status vb_rank_test(const double *a, size_t n_a, const double *b, size_t n_b, double *p,
                            struct vb_error *err)
{
    struct ranks ranks;
    enum vb_status status = rank(a, n_a, b, n_b, &ranks, err);
    if (status != VB_OK)
        return status;
    const double n = (double)ranks.n, n_counted = (double)ranks.n_counted;
    if (2 * n * n * n_counted * n_counted <= MOST_ADDITIONS)
        status = count(&ranks, p, err);
    else
        *p = approximate(&ranks);
    free(ranks.doubled);
    return status;
}

double vb_normal_beyond(double z)
{
    return erfc(z / sqrt(2));
}

double vb_normal_quantile(double beyond)
{
    double low = 0, high = 40;
    for (int i = 0; i < 100; i++) {
        const double middle = 0.5 * (low + high);
        if (vb_normal_beyond(middle) > beyond)
            low = middle;
        else
            high = middle;
    }
    return high;
}

struct place {
    double p;
    size_t index;
};

enum vb_status vb_holm(double *p, size_t n, struct vb_error *err)
{
    struct place *places = calloc(n + 1, sizeof *places);
    double least = 0;
    if (places == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu rank tests", n);
    for (size_t i = 0; i < n; i++)
        places[i] = (struct place){ p[i], i };
    qsort(places, n, sizeof *places, by_value); /* p is its first member */
    for (size_t i = 0; i < n; i++) {
        least = fmax(least, fmin(1, places[i].p * (double)(n - i)));
        p[places[i].index] = least;
    }
    free(places);
    return VB_OK;
}
