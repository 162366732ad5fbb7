/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ESTIMATE_H
#define VB_FIT_ESTIMATE_H

/* The verdict about one planned point, at the risk that the user takes. How far to trust the plan
 * is the band's to say. */

#include "fit/bands.h"

/* Cannot tell: there is no band; nothing but the plan is known then. */
enum vb_verdict { VB_FITS, VB_TIGHT, VB_DOES_NOT_FIT, VB_CANNOT_TELL };
extern const char *const vb_verdict_names[4];

#define VB_USUAL_RISK 0.05

struct vb_estimate {
    enum vb_verdict verdict;
    double probability; /* that it fits */
    double need_bytes;  /* reserved at the peak, as planned */
    double usable_bytes;
    struct vb_interval interval50, interval90;
};

/* `usable_bytes`: what the driver would give. `need_bytes`: the plan's peak. Fits: the chance that
 * it does not is at most `risk`, up to 0.5; tight: it is at most a half. `band` NULL: cannot tell.
 */
struct vb_estimate vb_estimate_judge(double need_bytes, double usable_bytes,
                                     const struct vb_band *band, double risk);

#endif
