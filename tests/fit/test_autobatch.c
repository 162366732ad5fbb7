/* SPDX-License-Identifier: Apache-2.0 */
/* AutoBatch's arithmetic against what it printed (sweeps/published/autobatch.csv and
 * autobatch_tables.csv): its readings and what it printed of the device go in, and its choice and
 * the memory that it expected come out. What is free is printed to 0.01 GiB, readings to 0.001 GB.
 */

#include <criterion/criterion.h>
#include <math.h>

#include "fit/autobatch.h"

/* Rules by version: sweeps/recipes. */
static const struct vb_autobatch_rules v60 = { 90, VB_FIT_LINE, 0, 0, false };
static const struct vb_autobatch_rules v62 = { 80, VB_FIT_LINE, 16, 1024, true };
static const struct vb_autobatch_rules v80 = { 70, VB_FIT_LINE, 16, 1024, true };

Test(autobatch, chooses_what_it_printed)
{
    static const struct {
        const char *what;
        const struct vb_autobatch_rules *rules;
        struct vb_autobatch_table table;
        long batch;
        double gib; /* expected, as printed; the first version printed its budget; 0: nothing */
        enum vb_autobatch_reason reason;
    } cases[] = {
        { "yolov5 pull 5092",
          &v60,
          { 39.6, 0.0996, 0.0813, 5, 5, { 0.296, 0.568, 1.007, 1.797, 3.280 } },
          179,
          0,
          VB_CHOSEN_BY_FIT },
        { "yolov5 issue 9287, 2022-09-20",
          &v62,
          { 7.79, 0.04, 0.01, 5, 5, { 0.069, 0.109, 0.187, 0.327, 0.707 } },
          146,
          6.24,
          VB_CHOSEN_BY_FIT },
        { "yolov5 issue 9287, 2022-09-06",
          &v62,
          { 7.79, 2.52, 0.16, 5, 5, { 2.798, 2.749, 2.718, 2.720, 5.207 } },
          11,
          0,
          VB_CHOSEN_BY_FIT },
        { "ultralytics issue 1451",
          &v80,
          { 23.99, 0.22, 0.05, 5, 5, { 0.285, 0.445, 0.470, 0.719, 1.197 } },
          281,
          16.87,
          VB_CHOSEN_BY_FIT },
        { "yolov5 issue 9287, 2022-09-05: an anomaly, as the line falls",
          &v62,
          { 7.92, 2.53, 0.16, 5, 5, { 2.816, 2.852, 2.842, 2.772, 2.741 } },
          16,
          0,
          VB_CHOSEN_AS_USUAL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_autobatch found;
        cr_assert_eq(vb_autobatch_choose(&cases[i].table, cases[i].rules, &found, NULL), VB_OK);
        cr_expect_eq(found.batch, cases[i].batch, "%s: %ld (%.3f), printed %ld", cases[i].what,
                     found.batch, found.fitted, cases[i].batch);
        cr_expect_eq(found.reason, cases[i].reason, "%s", cases[i].what);
        double gib = found.predicted * cases[i].table.total_gib;
        cr_expect(cases[i].gib <= 0 || fabs(gib - cases[i].gib) < 0.03, "%s: %.3f GiB, printed %g",
                  cases[i].what, gib, cases[i].gib);
    }
}

/* Readings on a line 0.9 + b/2 or on a curve b^2/100; 20.1 GiB are free. */
Test(autobatch, follows_each_versions_rules)
{
    static const double line[VB_N_PROFILED] = { 1.4, 1.9, 2.9, 4.9, 8.9, 16.9, 32.9 };
    static const double curve[VB_N_PROFILED] = { 0.01, 0.04, 0.16, 0.64, 2.56, 10.24, 40.96 };
    static const struct {
        const char *what;
        struct vb_autobatch_rules rules;
        const double *readings;
        size_t n_sizes, n;
        long batch;
        enum vb_autobatch_reason reason;
    } cases[] = {
        { "a line: 0.6 * 20.1", { 60, VB_FIT_LINE, 16, 1024, true }, line, 5, 5, 22, 0 },
        { "0.52 * 20.1 is taken for 10",
          { 52, VB_FIT_WHOLE_GIB, 16, 1024, true },
          line,
          5,
          5,
          18,
          0 },
        { "a power: 10 * sqrt(12.06) is 34.7",
          { 60, VB_FIT_LOGARITHMS, 16, 0, true },
          curve,
          7,
          6,
          35,
          0 },
        { "16 failed: it takes 8", { 90, VB_FIT_LINE, 16, 1024, true }, line, 5, 4, 8, 1 },
        { "it did not look at that", { 90, VB_FIT_LINE, 0, 0, false }, line, 5, 4, 34, 0 },
        { "above 20", { 90, VB_FIT_LINE, 16, 20, true }, line, 5, 5, 16, 2 },
        { "one reading", { 90, VB_FIT_LINE, 16, 1024, true }, line, 5, 1, 16, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_autobatch_table table = { 22, 1.5, 0.4, cases[i].n_sizes, cases[i].n, { 0 } };
        struct vb_autobatch found;
        for (size_t k = 0; k < cases[i].n; k++)
            table.reserved_gb[k] = cases[i].readings[k];
        cr_assert_eq(vb_autobatch_choose(&table, &cases[i].rules, &found, NULL), VB_OK, "%s",
                     cases[i].what);
        cr_expect_eq(found.batch, cases[i].batch, "%s: %ld", cases[i].what, found.batch);
        cr_expect_eq(found.reason, cases[i].reason, "%s", cases[i].what);
    }
}

Test(autobatch, without_a_usual_batch_needs_two_readings)
{
    const struct vb_autobatch_table table = { 22, 1.5, 0.5, 5, 1, { 1.5 } };
    struct vb_autobatch found;
    struct vb_error err = { 0 };
    cr_expect_eq(vb_autobatch_choose(&table, &v60, &found, &err), VB_E_INPUT);
    cr_expect_str_eq(err.text, "AutoBatch has 1 batch sizes to fit, and needs 2");
}
