/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ANSWER_H
#define VB_CLI_ANSWER_H

/* The answer about one point: its plan, the verdict, the largest batch; and how it is printed. */

#include "cli/bands.h"
#include "cli/calibrations.h"
#include "cli/programs.h"
#include "device/device.h"
#include "fit/estimate.h"
#include "record/record.h"

enum { CLI_DOES_NOT_FIT = 1, CLI_CANNOT_TELL = 4 }; /* exit statuses */

/* What is asked, the same for every batch. */
struct cli_asked {
    struct vb_device *device;
    uint64_t budget_bytes; /* what may be used in place of what the device gives; 0: that */
    double risk;
    bool is_shared; /* other models may still be on the GPU */
    char family[64];
    struct vb_residuals residuals;
    struct vb_nearest nearest;     /* its calibration NULL: the plan and published runs alone */
    struct vb_arena *arena;        /* the residuals' and the calibration's */
    struct cli_programs *programs; /* borrowed */
    bool skips_start; /* a run's start is not planned before all of it: it would hardly tell */
};

struct cli_answer {
    struct vb_record record;
    struct vb_estimate estimate;
    struct vb_band band;
    bool is_calibrated; /* then the need is what the calibration says, less the plan's context */
    double planned_bytes;
    struct vb_calibrated calibrated;
    const char *reason;     /* why there is no band; NULL: there is; the question's arena's */
    uint32_t largest_batch; /* that fits; 0: none, or not looked for */
    /* With no limit where it runs out: modelled seconds of a batch, and the most allocated. */
    double step_seconds;
    uint64_t need_allocated_bytes;
};

/* Reads the residuals into `out->arena` and names the model's family. VB_E_INPUT: no such model,
 * or the residuals have a fault. */
VB_CHECKED enum vb_status cli_ask(const struct vb_point *point, struct cli_asked *out,
                                  struct vb_error *err);

/* Looks for the calibration nearest to the point on the device, in `path` or, NULL, in results/.
 * Statuses as cli_find_calibrations() has them. */
VB_CHECKED enum vb_status cli_ask_calibration(const struct vb_point *point, const char *path,
                                              struct cli_asked *out, struct vb_error *err);

/* Statuses as vb_measure_need() has them. */
VB_CHECKED enum vb_status cli_answer_plan(const struct cli_asked *asked,
                                          const struct vb_point *point, struct vb_arena *arena,
                                          struct cli_answer *out, struct vb_error *err);

/* The same within the device's memory: of a point that runs out, or whose start is known not to
 * fit, nothing but that is told. */
VB_CHECKED enum vb_status cli_answer_within(const struct cli_asked *asked,
                                            const struct vb_point *point, struct vb_arena *arena,
                                            struct cli_answer *out, struct vb_error *err);

/* Whether the verdict is FITS; where there is nothing to tell from, whether the plan does. */
bool cli_answer_fits(const struct cli_answer *answer);

/* Whether a plan of `need_bytes` for the point of `record` would fit a GPU of that compute
 * capability (times 100) that gives so much. */
bool cli_answer_may_fit(const struct cli_asked *asked, const struct vb_record *record,
                        uint32_t compute_capability, double need_bytes, double usable_bytes);

/* The largest batch whose verdict is FITS; `answer` is the point's own. 0: none. */
uint32_t cli_largest_batch(const struct cli_asked *asked, const struct vb_point *point,
                           const struct cli_answer *answer);

int cli_answer_status(const struct cli_answer *answer);

/* The verdict, the terms and the parts alone. */
void cli_answer_print_why(const struct cli_asked *asked, const struct cli_answer *answer);
void cli_answer_print(const struct cli_asked *asked, const struct vb_point *point,
                      const struct cli_answer *answer);
/* Prints a record's JSON object but for its closing brace: more follows. VB_E_SYSTEM: no host
 * memory. */
VB_CHECKED enum vb_status cli_print_open_record(const struct vb_record *record,
                                                struct vb_error *err);
/* One JSON object: the record's, and the verdict. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status cli_answer_print_json(const struct cli_asked *asked,
                                                const struct cli_answer *answer,
                                                struct vb_error *err);

#endif
