/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_RECORD_RECORD_H
#define VB_RECORD_RECORD_H

/* A record: what was measured or planned for one point, as one JSON line. It describes itself:
 * schema, tool, point, device, libraries, provenance. A value that is not known is absent from the
 * line, never 0: 0 here where a `has_` or the state says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "record/autobatch.h"
#include "record/on_gpu.h"
#include "record/point.h"

enum vb_state {
    VB_STATE_OK,
    VB_STATE_LOWER_BOUND, /* capture lost records */
    VB_STATE_OOM,
    VB_STATE_BACKSTOP, /* skipped: a smaller one ran out */
    VB_STATE_UNSUPPORTED,
    VB_STATE_THROTTLED,
    VB_STATE_TIMEOUT,
    VB_STATE_ERROR,
};
enum { VB_N_STATES = 8 };
extern const char *const vb_state_names[VB_N_STATES];

enum vb_provenance { VB_MEASURED, VB_PLANNED };
extern const char *const vb_provenance_names[2];

/* What a tensor is for. The order is that of the stacked chart, from the bottom. */
enum vb_category {
    VB_WEIGHTS,
    VB_EMA,
    VB_OPTIMIZER_STATE,
    VB_GRADIENTS,
    VB_ACTIVATIONS,
    VB_INPUT,
    VB_AUGMENTATION,
    VB_LOSS,
    VB_WORKSPACE,
    VB_TEMPORARY,
};
enum { VB_N_CATEGORIES = 10 };
extern const char *const vb_category_names[VB_N_CATEGORIES];

/* The stretches of a step, in order. */
enum vb_phase {
    VB_PHASE_SETUP,
    VB_PHASE_AUGMENT,
    VB_PHASE_INPUT, /* the batch to the device and to floating point */
    VB_PHASE_FORWARD,
    VB_PHASE_LOSS,
    VB_PHASE_BACKWARD,
    VB_PHASE_CLIP,
    VB_PHASE_OPTIMIZER,
    VB_PHASE_ZERO_GRAD,
    VB_PHASE_EMA,
    VB_PHASE_CHECK,    /* a run: AMP is checked before training */
    VB_PHASE_DRAW,     /* a run: the model's graph is traced for TensorBoard */
    VB_PHASE_VALIDATE, /* a run: after an epoch */
};
enum { VB_N_PHASES = 13 };
extern const char *const vb_phase_names[VB_N_PHASES];

/* The parts of a run, in the order in which they come: VB_PART_STEPS is every batch that is nothing
 * else. */
enum vb_part {
    VB_PART_SETUP,
    VB_PART_CHECK,      /* AMP is checked */
    VB_PART_DRAW,       /* the model's graph is drawn */
    VB_PART_FIRST,      /* the first batch and its step */
    VB_PART_STEPS,      /* batches of the first epoch */
    VB_PART_LARGEST,    /* multi-scale: the batch of the largest size */
    VB_PART_FULLEST,    /* the batch with the fullest image */
    VB_PART_LAST,       /* the epoch's last batch, which is smaller */
    VB_PART_VALIDATION, /* after an epoch */
    VB_PART_LATER,      /* batches of a later epoch */
};
enum { VB_N_PARTS = 10 };
extern const char *const vb_part_names[VB_N_PARTS];

struct vb_part_peaks {
    uint64_t allocated_bytes; /* 0: the run has no such part, or ran out before */
    uint64_t reserved_bytes;  /* what is cached from before counts */
};

struct vb_named_bytes {
    char name[96];
    enum vb_category category;
    uint64_t bytes;
};
enum { VB_N_LARGEST = 5, VB_MOST_STEP_SAMPLES = 2000 };

/* One place of the curve of a step over time: bytes allocated per category after an instruction. */
struct vb_curve_point {
    uint32_t index; /* instruction of the step */
    enum vb_phase phase;
    uint64_t bytes[VB_N_CATEGORIES];
};

/* Of one of several GPUs. */
struct vb_rank_peaks {
    uint64_t allocated_bytes, reserved_bytes;
};

struct vb_record {
    struct vb_point point;
    enum vb_state state;
    enum vb_provenance provenance;
    char reason[512]; /* each state but ok */
    char repro[1024]; /* each state but ok: the one command that reproduces it */

    char tool[96];       /* that wrote it, when it was read: "vrambench 0.1.0 COMMIT" */
    char device[64];     /* "virtual:rtx3090", "cpu:2" */
    char gpu[64];        /* the product's name */
    char recipe[96];     /* whose code trains: the files of sweeps/recipes that say so */
    char cudnn[32];      /* version that answered, "" if none */
    char onednn[32];     /* version that ran, "" if none */
    uint64_t threads;    /* that operators ran on; 0: on a GPU */
    char workspaces[16]; /* where workspaces came from: "library", "table", "fitted", or "mixed" */
    /* What of it follows published code that no recording was compared with: "loss of task
     * segment"; "": nothing. */
    char modelled[64];
    uint64_t usable_bytes;   /* what the driver gives to a process's segments: capacity - context */
    uint64_t capacity_bytes; /* as the driver reports it */
    uint64_t context_bytes;

    /* Peaks, over the steady steps and over all of the run (state ok), and what a point that ran
     * out had when it did (state oom). */
    uint64_t peak_requested_bytes;
    uint64_t peak_allocated_bytes;
    uint64_t peak_reserved_bytes;
    uint64_t peak_device_bytes;  /* reserved + context; 0 where they are not the driver's all */
    uint64_t peak_rss_bytes;     /* of the process that ran the point, its code and graph too */
    uint64_t end_reserved_bytes; /* after the last step */
    /* Workload run: reserved when the first epoch's last batch is done, which is what a training
     * log prints as GPU_mem, and when a later epoch's is. */
    uint64_t epoch_reserved_bytes;
    uint64_t later_reserved_bytes;
    char unit[8]; /* in which the run prints them: "GB" of 1e9 B, "GiB"; "": no log does */
    /* Workload run: of each part, the first that came near the largest reserved peak, and, state
     * oom, that in which memory ran out. */
    struct vb_part_peaks parts[VB_N_PARTS];
    enum vb_part peak_part;
    enum vb_part oom_part;
    struct vb_profile profile; /* workload autobatch, and how the version goes on from it */
    struct vb_autobatch_rules autobatch;
    /* Several GPUs: the peaks of each of this machine, and whose the record is; what NCCL holds on
     * each beside the allocator, modelled, from the least to the most, which `usable_bytes` leaves
     * out. One GPU: 0. */
    struct vb_rank_peaks ranks[VB_MAX_GPUS];
    uint32_t n_ranks, heaviest_rank;
    uint64_t nccl_low_bytes, nccl_high_bytes;
    uint64_t peak_workspace_bytes;
    uint64_t workspace_low_bytes; /* benchmark = on: peak reserved with the smallest ... */
    uint64_t
        workspace_high_bytes; /* ... and the largest of the plans that could be chosen; else 0 */
    uint64_t oom_asked_bytes;
    uint64_t oom_free_bytes;

    enum vb_phase peak_phase;
    uint64_t phase_peak_bytes[VB_N_PHASES];        /* allocated */
    uint64_t peak_category_bytes[VB_N_CATEGORIES]; /* allocated, at the moment of the peak */
    struct vb_named_bytes largest[VB_N_LARGEST];   /* alive at the peak, largest first */
    uint32_t n_largest;
    uint64_t parameters; /* count */
    uint64_t
        rule_of_thumb_bytes; /* parameters x 4 B x 3 + the input batch: shown to be distrusted */

    /* One batch's step; 0: not known. Measured: the median of the steps that count. */
    double step_seconds;
    double step_p10_seconds, step_p90_seconds; /* measured: a tenth is quicker, a tenth slower */
    uint64_t timed_steps;                      /* measured: those that count */
    /* Measured: where the median lies with 95 % probability, of six steps or more. */
    double step_low_seconds, step_high_seconds;
    /* Measured: those steps themselves in the order in which they ran, to the nanosecond; of more
     * than VB_MOST_STEP_SAMPLES as many, evenly spread. NULL where they are not known. */
    const uint64_t *step_samples_ns;
    size_t n_step_samples;
    bool time_is_modelled;
    double step_flops;            /* measured: the program's count of operations, one batch's */
    double flops_per_second;      /* measured: those over the median */
    double loss_first, loss_last; /* measured: of the first batch and of the last; 0: not known */
    struct vb_on_gpu on_gpu;
    const struct vb_curve_point *curve; /* one steady step, thinned; NULL where not kept */
    size_t n_curve;
};

/* Whether the pool's peaks and the times are the point's: what capture lost is not the pool's. */
static inline bool vb_has_peaks(const struct vb_record *record)
{
    return record->state == VB_STATE_OK || record->state == VB_STATE_LOWER_BOUND;
}

/* Whether the point is known not to fit. */
static inline bool vb_ran_out(const struct vb_record *record)
{
    return record->state == VB_STATE_OOM || record->state == VB_STATE_BACKSTOP;
}

/* Whether it may come out otherwise when it is run again. */
static inline bool vb_has_failed(const struct vb_record *record)
{
    return record->state == VB_STATE_ERROR || record->state == VB_STATE_TIMEOUT ||
           record->state == VB_STATE_THROTTLED;
}

/* Writes the record as one line of JSON without the newline; the caller gives it to free().
 * VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_record_print(const struct vb_record *record, char **line,
                                          struct vb_error *err);

/* Reads such a line; the curve and the samples go to the arena. VB_E_INPUT: not JSON, no record,
 * another schema; the text says what was found, without the place. */
VB_CHECKED enum vb_status vb_record_parse(const char *line, struct vb_arena *arena,
                                          struct vb_record *out, struct vb_error *err);

/* What tells points apart: 16 hexadecimal digits over the point's values and the device's name. */
void vb_record_cell_id(const struct vb_point *point, const char *device, char id[17]);

#endif
