/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/autobatch.h"

#include <math.h>

#include "fit/regress.h"

#define GIB 1073741824.0

const char *const vb_autobatch_reason_names[3] = { "fit", "below-failure", "usual" };

/* Readings that are fitted: through the logarithms only those within the device's memory that are
 * above the one before. */
static size_t pick(const struct vb_autobatch_table *table, enum vb_autobatch_fit fit, double *rows,
                   double *values)
{
    size_t n = 0;
    for (size_t i = 0; i < table->n && i < VB_N_PROFILED; i++) {
        double gb = table->reserved_gb[i], size = (double)(1u << i);
        bool is_odd =
            gb <= 0 || gb >= table->total_gib || (i > 0 && gb <= table->reserved_gb[i - 1]);
        if (fit == VB_FIT_LOGARITHMS && is_odd)
            continue;
        rows[2 * n] = fit == VB_FIT_LOGARITHMS ? log(size) : size;
        rows[2 * n + 1] = 1;
        values[n++] = fit == VB_FIT_LOGARITHMS ? log(gb) : gb;
    }
    return n;
}

static enum vb_status fit_line(const struct vb_autobatch_table *table,
                               const struct vb_autobatch_rules *rules, struct vb_autobatch *out,
                               struct vb_error *err)
{
    double rows[2 * VB_N_PROFILED], values[VB_N_PROFILED];
    struct vb_fit line;
    size_t n = pick(table, rules->fit, rows, values);
    if (n < 2)
        return vb_fail(err, VB_E_INPUT, "AutoBatch has %zu batch sizes to fit, and needs 2", n);
    enum vb_status status = vb_regress(rows, values, NULL, n, 2, &line, err);
    if (status != VB_OK)
        return status;
    out->slope = line.coefficients[0];
    out->intercept = line.coefficients[1];
    if (out->slope == 0)
        return vb_fail(err, VB_E_INPUT, "AutoBatch read the same at every batch size");
    return VB_OK;
}

/* Where the fit meets the fraction of what is free, rounded as the version does. */
static void solve(const struct vb_autobatch_rules *rules, struct vb_autobatch *out)
{
    double budget = out->free_gib * rules->percent / 100;
    if (rules->fit == VB_FIT_LOGARITHMS) {
        out->fitted = exp((log(budget) - out->intercept) / out->slope);
        out->batch = lrint(out->fitted);
        return;
    }
    if (rules->fit == VB_FIT_WHOLE_GIB)
        budget = nearbyint(budget);
    out->fitted = (budget - out->intercept) / out->slope;
    out->batch = (long)out->fitted;
}

double vb_autobatch_at(const struct vb_autobatch *fit, const struct vb_autobatch_rules *rules,
                       double batch)
{
    if (rules->fit == VB_FIT_LOGARITHMS)
        return exp(fit->intercept + fit->slope * log(batch));
    return fit->intercept + fit->slope * batch;
}

enum vb_status vb_autobatch_choose(const struct vb_autobatch_table *table,
                                   const struct vb_autobatch_rules *rules, struct vb_autobatch *out,
                                   struct vb_error *err)
{
    *out = (struct vb_autobatch){ .reason = VB_CHOSEN_BY_FIT };
    out->free_gib = table->total_gib - (table->reserved_gib + table->allocated_gib);
    enum vb_status status = fit_line(table, rules, out, err);
    if (status == VB_OK) {
        solve(rules, out);
    } else {
        if (status != VB_E_INPUT || rules->usual == 0)
            return status;
        out->batch = rules->usual;
        out->reason = VB_CHOSEN_AS_USUAL;
        return VB_OK;
    }
    long failed = 1L << table->n;
    if (rules->is_capped && table->n < table->n_sizes && out->batch >= failed) {
        out->batch = table->n > 0 ? failed / 2 : 1;
        out->reason = VB_CHOSEN_BELOW_FAILURE;
    }
    bool is_out = out->batch < 1 || (rules->most > 0 && out->batch > (long)rules->most);
    if (rules->usual > 0 && is_out) {
        out->batch = rules->usual;
        out->reason = VB_CHOSEN_AS_USUAL;
    }
    double used = vb_autobatch_at(out, rules, (double)out->batch);
    out->predicted = (used + table->reserved_gib + table->allocated_gib) / table->total_gib;
    return VB_OK;
}

struct vb_autobatch_table vb_autobatch_table_of(const struct vb_profile *profile,
                                                uint64_t capacity_bytes)
{
    struct vb_autobatch_table table = {
        .total_gib = (double)capacity_bytes / GIB,
        .reserved_gib = (double)profile->before_reserved_bytes / GIB,
        .allocated_gib = (double)profile->before_allocated_bytes / GIB,
        .n_sizes = profile->n_sizes,
        .n = profile->n,
    };
    for (size_t i = 0; i < table.n && i < VB_N_PROFILED; i++)
        table.reserved_gb[i] = (double)profile->reserved_bytes[i] / 1e9;
    return table;
}
