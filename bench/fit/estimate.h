/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_ESTIMATE_H
#define VB_FIT_ESTIMATE_H

/* The verdict about one planned point. How far to trust it is what the method has shown: the plan's
 * error against published logs, taken as a normal spread. */

#include "record/record.h"

enum vb_verdict { VB_FITS, VB_TIGHT, VB_DOES_NOT_FIT };
extern const char *const vb_verdict_names[3];

struct vb_estimate {
    enum vb_verdict verdict;
    double probability;             /* that it fits */
    uint64_t need_bytes;            /* reserved at the peak */
    uint64_t low_bytes, high_bytes; /* 90 % interval */
    uint64_t usable_bytes;
};

/* `usable_bytes`: what the driver would give. `need_bytes`: the plan's peak. */
struct vb_estimate vb_estimate_judge(uint64_t need_bytes, uint64_t usable_bytes);

#endif
