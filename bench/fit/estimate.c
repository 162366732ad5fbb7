/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/estimate.h"

const char *const vb_verdict_names[4] = { "FITS", "TIGHT", "DOES NOT FIT", "CANNOT TELL" };

struct vb_estimate vb_estimate_judge(double need_bytes, double usable_bytes,
                                     const struct vb_band *band, double risk)
{
    struct vb_estimate estimate = {
        .verdict = VB_CANNOT_TELL,
        .need_bytes = need_bytes,
        .usable_bytes = usable_bytes,
    };
    if (band == NULL)
        return estimate;
    estimate.probability = vb_band_fits(band, need_bytes, usable_bytes);
    estimate.interval50 = vb_band_interval(band, need_bytes, 0.5);
    estimate.interval90 = vb_band_interval(band, need_bytes, 0.9);
    if (1 - estimate.probability <= risk)
        estimate.verdict = VB_FITS;
    else
        estimate.verdict = estimate.probability >= 0.5 ? VB_TIGHT : VB_DOES_NOT_FIT;
    return estimate;
}
