/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a row z multiplies the determinant of the information M by 1 + z' M^-1 z; so each step
 * takes the row whose z' M^-1 z is the largest. What is known before (the prior) is in M from the
 * start, which keeps M regular. Source: Fedorov, "Theory of Optimal Experiments", 1972. */
#include "fit/design.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SPREAD 0.03     /* relative, of one measured peak: what a prior is weighed against */
#define AS_GOOD 0.98    /* of the best gain, within which the cheapest is taken */
#define NO_PRIOR 1e3    /* a standard deviation that tells nothing: coefficients are near 1 */
#define LEAST_HELP 1e-4 /* by which an exchange has to be better */
enum { MAX_EXCHANGES = 50 };

struct search {
    const struct vb_candidates *of;
    double inverse[VB_MAX_TERMS * VB_MAX_TERMS]; /* of the information */
    bool *is_taken;
};

static void row_of(const struct vb_candidates *of, size_t i, double *row)
{
    for (size_t k = 0; k < of->n_terms; k++)
        row[k] = of->x[i * of->n_terms + k] / of->size[i] / SPREAD;
}

static double gain_of(const struct search *search, size_t i, double *product)
{
    size_t p = search->of->n_terms;
    double row[VB_MAX_TERMS], gain = 0;
    row_of(search->of, i, row);
    for (size_t k = 0; k < p; k++) {
        product[k] = 0;
        for (size_t m = 0; m < p; m++)
            product[k] += search->inverse[k * p + m] * row[m];
        gain += row[k] * product[k];
    }
    return gain;
}

/* Takes a row in, or out again: M^-1 by Sherman and Morrison. */
static void change(struct search *search, size_t i, bool take)
{
    size_t p = search->of->n_terms;
    double product[VB_MAX_TERMS];
    double gain = gain_of(search, i, product);
    double factor = take ? 1 / (1 + gain) : -1 / fmax(1 - gain, 1e-12);
    for (size_t k = 0; k < p; k++) {
        for (size_t m = 0; m < p; m++)
            search->inverse[k * p + m] -= factor * product[k] * product[m];
    }
    search->is_taken[i] = take;
}

/* The cheapest of those not taken that are as good as the best; `*gain` is its. */
static size_t best_of(const struct search *search, double *gain)
{
    const struct vb_candidates *of = search->of;
    double best = -1, product[VB_MAX_TERMS];
    size_t found = of->n;
    for (size_t i = 0; i < of->n; i++) {
        if (!search->is_taken[i])
            best = fmax(best, gain_of(search, i, product));
    }
    for (size_t i = 0; i < of->n; i++) {
        if (search->is_taken[i] || gain_of(search, i, product) < AS_GOOD * best)
            continue;
        if (found == of->n || of->cost[i] < of->cost[found])
            found = i;
    }
    *gain = found < of->n ? gain_of(search, found, product) : 0;
    return found;
}

static void begin(struct search *search)
{
    const struct vb_prior *prior = search->of->prior;
    size_t p = search->of->n_terms;
    memset(search->inverse, 0, sizeof search->inverse);
    for (size_t k = 0; k < p; k++) {
        double deviation = prior != NULL ? prior->deviation[k] : NO_PRIOR;
        search->inverse[k * p + k] = deviation * deviation;
    }
}

static int by_place(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

enum vb_status vb_design_pick(const struct vb_candidates *candidates, size_t n_picks, size_t *picks,
                              struct vb_error *err)
{
    struct search search = { .of = candidates,
                             .is_taken = calloc(candidates->n + 1, sizeof(bool)) };
    double gain, product[VB_MAX_TERMS];
    if (search.is_taken == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to pick of %zu points",
                       candidates->n);
    begin(&search);
    for (size_t k = 0; k < n_picks; k++) {
        picks[k] = best_of(&search, &gain);
        change(&search, picks[k], true);
    }
    bool has_changed = true;
    for (int round = 0; round < MAX_EXCHANGES && has_changed; round++) {
        has_changed = false;
        for (size_t k = 0; k < n_picks; k++) {
            change(&search, picks[k], false);
            double own = gain_of(&search, picks[k], product);
            size_t other = best_of(&search, &gain);
            if (gain > own * (1 + LEAST_HELP)) {
                picks[k] = other;
                has_changed = true;
            }
            change(&search, picks[k], true);
        }
    }
    free(search.is_taken);
    qsort(picks, n_picks, sizeof *picks, by_place);
    return VB_OK;
}

double vb_design_deviation(const struct vb_candidates *candidates, const size_t *picks,
                           size_t n_picks, double spread)
{
    struct search search = { .of = candidates };
    double product[VB_MAX_TERMS], worst = 0;
    bool *is_taken = calloc(candidates->n + 1, sizeof *is_taken);
    if (is_taken == NULL)
        return (double)NAN;
    search.is_taken = is_taken;
    begin(&search);
    for (size_t k = 0; k < n_picks; k++)
        change(&search, picks[k], true);
    for (size_t i = 0; i < candidates->n; i++)
        worst = fmax(worst, gain_of(&search, i, product));
    free(is_taken);
    return spread * sqrt(worst);
}
