/* SPDX-License-Identifier: Apache-2.0 */
/* All differences of a pair are too many to sort where there are thousands of values: the k-th is
 * found by halving the stretch it lies in, counting in one pass how many lie below. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fit/rank.h"

struct sorted_pair {
    const double *a, *b; /* ascending */
    size_t n_a, n_b;
};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Differences b - a of at most `limit`: as a grows, more of b do. */
static size_t count_below(const struct sorted_pair *pair, double limit)
{
    size_t n = 0, n_b = 0;
    for (size_t i = 0; i < pair->n_a; i++) {
        while (n_b < pair->n_b && pair->b[n_b] - pair->a[i] <= limit)
            n_b++;
        n += n_b;
    }
    return n;
}

/* The k-th smallest difference, from 1. */
static double difference(const struct sorted_pair *pair, size_t k)
{
    double low = pair->b[0] - pair->a[pair->n_a - 1];
    double high = pair->b[pair->n_b - 1] - pair->a[0];
    if (count_below(pair, low) >= k)
        return low;
    while (high - low > 1e-13) {
        const double middle = low + 0.5 * (high - low);
        if (middle <= low || middle >= high)
            break;
        if (count_below(pair, middle) >= k)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* Ranks that the test would reject at 5 % are not in the interval: so many differences are left
 * out at each end, by the normal approximation. Negative: none would be rejected. */
static double left_out(const struct sorted_pair *pair)
{
    const double n_a = (double)pair->n_a, n_b = (double)pair->n_b;
    return floor(0.5 * n_a * n_b - 1.96 * sqrt(n_a * n_b * (n_a + n_b + 1) / 12) - 0.5);
}

static void tell(const struct sorted_pair *pair, struct vb_shift *out)
{
    const size_t n = pair->n_a * pair->n_b;
    const double n_out = left_out(pair);
    out->middle = 0.5 * (difference(pair, (n + 1) / 2) + difference(pair, n / 2 + 1));
    out->has_interval = n_out >= 0;
    if (!out->has_interval)
        return;
    out->low = difference(pair, (size_t)n_out + 1);
    out->high = difference(pair, n - (size_t)n_out);
}

enum vb_status vb_rank_shift(const double *a, size_t n_a, const double *b, size_t n_b,
                             struct vb_shift *out, struct vb_error *err)
{
    double *values = calloc(n_a + n_b, sizeof *values);
    *out = (struct vb_shift){ 0 };
    if (values == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to sort %zu values", n_a + n_b);
    memcpy(values, a, n_a * sizeof *values);
    memcpy(values + n_a, b, n_b * sizeof *values);
    qsort(values, n_a, sizeof *values, by_value);
    qsort(values + n_a, n_b, sizeof *values, by_value);
    const struct sorted_pair pair = { values, values + n_a, n_a, n_b };
    tell(&pair, out);
    free(values);
    return VB_OK;
}
