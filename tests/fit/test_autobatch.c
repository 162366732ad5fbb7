/* SPDX-License-Identifier: Apache-2.0 */
/* AutoBatch's arithmetic against the batches that it printed (sweeps/published/autobatch.csv and
 * autobatch_tables.csv): its own readings and what it printed of the device go in. */

#include <criterion/criterion.h>

#include "fit/autobatch.h"

/* Rules by version: sweeps/recipes. */
static const struct vb_autobatch_rules first = { 90, VB_FIT_LINE, 0, 0, false };
static const struct vb_autobatch_rules v62 = { 80, VB_FIT_LINE, 16, 1024, true };
static const struct vb_autobatch_rules v80 = { 70, VB_FIT_LINE, 16, 1024, true };

/* What is free is printed to 0.01 GiB and readings to 0.001: `least` and `most` are the batches
 * that such values can mean. */
static const struct published {
    const char *what;
    const struct vb_autobatch_rules *rules;
    struct vb_autobatch_table table;
    long printed, here;
    enum vb_autobatch_reason reason;
} published[] = {
    { "yolov5 pull 5092",
      &first,
      { 39.6, 0.0996, 0.0813, 5, 5, { 0.296, 0.568, 1.007, 1.797, 3.280 } },
      179,
      179,
      VB_CHOSEN_BY_FIT },
    { "yolov5 issue 9287, 2022-09-20",
      &v62,
      { 7.79, 0.04, 0.01, 5, 5, { 0.069, 0.109, 0.187, 0.327, 0.707 } },
      146,
      146,
      VB_CHOSEN_BY_FIT },
    { "yolov5 issue 9287, 2022-09-06",
      &v62,
      { 7.79, 2.52, 0.16, 5, 5, { 2.798, 2.749, 2.718, 2.720, 5.207 } },
      11,
      11,
      VB_CHOSEN_BY_FIT },
    { "ultralytics issue 1451",
      &v80,
      { 23.99, 0.22, 0.05, 5, 5, { 0.285, 0.445, 0.470, 0.719, 1.197 } },
      281,
      281,
      VB_CHOSEN_BY_FIT },
    { "yolov5 issue 9287, 2022-09-05: a falling line",
      &v62,
      { 7.92, 2.53, 0.16, 5, 5, { 2.816, 2.852, 2.842, 2.772, 2.741 } },
      16,
      16,
      VB_CHOSEN_AS_USUAL },
};

Test(autobatch, chooses_what_it_printed)
{
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const struct published *row = &published[i];
        struct vb_autobatch found;
        cr_assert_eq(vb_autobatch_choose(&row->table, row->rules, &found, NULL), VB_OK);
        cr_expect_eq(found.batch, row->here, "%s: %ld (%.3f), printed %ld", row->what, found.batch,
                     found.fitted, row->printed);
        cr_expect_eq(found.reason, row->reason, "%s", row->what);
    }
}
