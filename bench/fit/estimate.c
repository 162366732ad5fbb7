/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/estimate.h"

#include <math.h>

/* The spread of plans around published logs, relative: half of 20 first epochs on a T4 out of
 * sweeps/published/train_logs_best.csv, planned with eight boxes an image, lie within 3.6 %, which
 * is 0.67 standard deviations. */
#define SPREAD 0.053
#define NINETY_PERCENT 1.645 /* standard deviations to each side */

const char *const vb_verdict_names[3] = { "FITS", "TIGHT", "DOES NOT FIT" };

struct vb_estimate vb_estimate_judge(uint64_t need_bytes, uint64_t usable_bytes)
{
    double need = (double)need_bytes;
    double spread = SPREAD * need;
    double margin = ((double)usable_bytes - need) / spread;
    struct vb_estimate estimate = {
        .need_bytes = need_bytes,
        .usable_bytes = usable_bytes,
        .probability = 0.5 * erfc(-margin / sqrt(2.0)),
        .low_bytes = (uint64_t)fmax(need - NINETY_PERCENT * spread, 0),
        .high_bytes = (uint64_t)(need + NINETY_PERCENT * spread),
    };
    if (estimate.probability >= 0.95)
        estimate.verdict = VB_FITS;
    else
        estimate.verdict = estimate.probability >= 0.5 ? VB_TIGHT : VB_DOES_NOT_FIT;
    return estimate;
}
