/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_RECORD_AUTOBATCH_H
#define VB_RECORD_AUTOBATCH_H

/* AutoBatch: it trains a copy of the model for a step or three at batch sizes 1, 2, 4, ..., reads
 * the reserved memory after each, and takes the batch whose memory, as a fit tells, is a fraction
 * of what is free. Plain values of the recipe and of the record; the arithmetic is fit/autobatch.h.
 */

#include <stdbool.h>
#include <stdint.h>

enum { VB_N_PROFILED = 7 }; /* batch sizes: 1, 2, 4, 8, 16, 32, 64 */

/* A straight line; a line through the logarithms; a line, for what is free in whole GiB. */
enum vb_autobatch_fit { VB_FIT_LINE, VB_FIT_LOGARITHMS, VB_FIT_WHOLE_GIB };
enum { VB_N_AUTOBATCH_FITS = 3 };
extern const char *const vb_autobatch_fit_names[VB_N_AUTOBATCH_FITS];

/* How a version gets from what it read to a batch. */
struct vb_autobatch_rules {
    uint32_t percent; /* of what is free; 0: the version has no AutoBatch */
    enum vb_autobatch_fit fit;
    uint32_t usual; /* taken where the batch is below 1 or above `most`; 0: never */
    uint32_t most;  /* 0: no bound */
    bool is_capped; /* below the first size that failed */
};

/* What it reads. */
struct vb_profile {
    uint64_t before_reserved_bytes; /* when the model and its copy are there */
    uint64_t before_allocated_bytes;
    uint32_t n_sizes;                       /* tried */
    uint32_t n;                             /* read, before memory ran out */
    uint64_t reserved_bytes[VB_N_PROFILED]; /* as the version sums it up, of size 1 << i */
};

#endif
