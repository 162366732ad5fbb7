/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_COMPARE_H
#define VB_FIT_COMPARE_H

/* What changed between two runs of the same sweep: an upgrade's regressions.
 *
 * Memory is exact and compared as such. Time is noise and judged by a rank test over the steps:
 * slower is what the threshold AND chance rule out, the same is what has its interval below the
 * threshold; what is neither is told as inconclusive. A gate promises something of whole
 * upgrades, that hardly one in a hundred is stopped without a reason; so the chances are corrected
 * by Holm's method, which bounds that any point is found slower by chance. (Benjamini-Hochberg
 * bounds only the share of false ones among those found, which one false alarm meets.) */

#include "fit/pairs.h"

/* The chance of any false alarm in all of a comparison's times. */
#define VB_COMPARE_RISK 0.01

struct vb_thresholds {
    double memory, time; /* 0.01: 1 % */
};

enum vb_change {
    VB_CHANGE_NONE, /* not compared: not known of both */
    VB_CHANGE_SAME, /* below the threshold */
    VB_CHANGE_BETTER,
    VB_CHANGE_UNCLEAR, /* inconclusive */
    VB_CHANGE_WORSE,   /* a regression */
};
enum { VB_N_CHANGES = 5 };
extern const char *const vb_change_names[VB_N_CHANGES];

struct vb_memory_change {
    enum vb_change change;
    uint64_t base_bytes, candidate_bytes; /* 0: not known */
    double ratio;                         /* candidate over base */
};

struct vb_time_change {
    enum vb_change change;
    size_t n_base, n_candidate;             /* steps */
    double base_seconds, candidate_seconds; /* medians */
    double ratio;                           /* Hodges-Lehmann, on logarithms */
    bool has_interval;
    double low, high;     /* of the ratio, 95 % */
    double p, adjusted_p; /* of this point alone, and among all */
    /* Inconclusive: steps of each run that would settle it nine times in ten if the change is as
     * large as it seems; 0: more than a record holds. */
    uint64_t steps_needed;
};

struct vb_compared {
    struct vb_pair pair;
    enum vb_change change; /* the worst of the rest */
    enum vb_change state;  /* whether it runs */
    char why[640];         /* of the state, "" where both ran */
    struct vb_memory_change reserved, device;
    struct vb_time_change time;
};

struct vb_comparison {
    struct vb_thresholds thresholds;
    struct vb_pairs pairs;
    struct vb_compared *items; /* one a pair */
    size_t n, n_common;
    size_t n_of[VB_N_CHANGES]; /* by `change` */
    size_t n_timed;
    uint64_t steps_needed; /* that would settle all that can be settled; 0: nothing */
    size_t n_unsettled;    /* inconclusive, and more steps than a record holds would not do */
    double reserved_ratio, time_ratio; /* geometric means; 0: of nothing */
    enum vb_change outcome;            /* worse, else unclear, else same */
};

/* All is of the arena. Statuses as vb_pairs_make(). */
VB_CHECKED enum vb_status vb_compare(const struct vb_side *base, const struct vb_side *candidate,
                                     const struct vb_thresholds *thresholds, struct vb_arena *arena,
                                     struct vb_comparison *out, struct vb_error *err);

#endif
