/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_PROGRAMS_H
#define VB_CLI_PROGRAMS_H

/* Points that are planned one after the other, in the same memory. The last program stays: it is
 * that of every GPU that is planned for, whatever the allocator's settings. */

#include "sweep/measure.h"

/* Zeroed is valid and empty. */
struct cli_programs {
    struct vb_arena arena; /* of the last program, or of several GPUs' */
    struct vb_arena walks; /* of one walk, or a run's start, at a time: small beside it */
    bool has_last;         /* what is there is the program of `last` */
    struct vb_point last;
    struct vb_compiled compiled;
};
void cli_programs_clear(struct cli_programs *programs);

/* Whether the point's program is there. */
bool cli_programs_has(const struct cli_programs *programs, const struct vb_point *point);

/* As vb_measure(), vb_measure_start() and vb_measure_need(), of a device that plans. */
VB_CHECKED enum vb_status cli_measure(struct cli_programs *programs, const struct vb_point *point,
                                      struct vb_device *device, struct vb_record *record,
                                      struct vb_error *err);
VB_CHECKED enum vb_status cli_measure_start(struct cli_programs *programs,
                                            const struct vb_point *point, struct vb_device *device,
                                            struct vb_record *record, struct vb_error *err);
VB_CHECKED enum vb_status cli_measure_need(struct cli_programs *programs,
                                           const struct vb_point *point, struct vb_device *device,
                                           struct vb_record *record, struct vb_record *need,
                                           struct vb_error *err);

#endif
