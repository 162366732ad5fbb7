/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_VALIDATION_H
#define VB_REPORT_VALIDATION_H

/* Predictions beside what runs printed: table, statistics, what was skipped and why, the picture.
 */

#include "base/text.h"
#include "fit/estimate.h"
#include "fit/published.h"

enum vb_judged_state {
    VB_JUDGED,
    VB_JUDGED_NO_FIT, /* planned to run out of memory, where the run did not: no error in percent */
    VB_JUDGED_RAN_OUT, /* the run ran out: nothing was printed, the verdict alone can be judged */
    VB_SKIPPED,        /* `reason` tells why */
};

struct vb_judged {
    const struct vb_published *run;
    enum vb_judged_state state;
    const char *gpu;          /* the profile's name, "t4"; "" where there is none */
    const char *architecture; /* "Turing"; "" */
    const char *reason;
    const char *note;                /* what was assumed; NULL */
    struct vb_prediction prediction; /* no observed bytes where the run ran out */

    /* The plan, and what a band says of it (state not skipped). */
    struct vb_point point;
    uint64_t need_bytes, usable_bytes;       /* at the peak, with no limit */
    const char *workspaces, *cudnn, *recipe; /* as in a record */
    struct vb_estimate estimate;             /* no verdict without a band */
    uint32_t unlike;                         /* enum vb_unlike's bits */
    double widening;                         /* 0: no band */
};

struct vb_validation {
    const char *file;
    struct vb_judged *rows; /* in the file's order */
    size_t n;
    size_t n_judged, n_no_fit, n_ran_out, n_skipped;
    double risk;       /* of the verdicts */
    size_t n_left_out; /* by the caller's filters; not among the rows */
};

enum vb_validation_format { VB_VALIDATION_MD, VB_VALIDATION_CSV, VB_VALIDATION_JSON };
extern const char *const vb_validation_format_names[3];

/* Appends all of it. Markdown is at most 80 columns wide and memory is in GiB; the CSV has the rows
 * alone, in bytes; JSON is one object whose unknown values are absent. VB_E_SYSTEM: no host memory.
 */
VB_CHECKED enum vb_status vb_validation_append(const struct vb_validation *validation,
                                               enum vb_validation_format format,
                                               struct vb_text *out, struct vb_error *err);

/* Draws planned against observed to `path`, which ends in .svg; beside it the same as .png, the
 * data and the script. `*drawn` and `note` as vb_gnuplot_draw(). VB_E_INPUT: the path cannot be a
 * chart's; VB_E_SYSTEM: its folder cannot be written. */
VB_CHECKED enum vb_status vb_validation_draw(const struct vb_validation *validation,
                                             const char *path, bool *drawn, char *note, size_t room,
                                             struct vb_error *err);

#endif
