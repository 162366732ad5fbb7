/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_SWEEP_MEASURE_H
#define VB_SWEEP_MEASURE_H

/* One point from its description to its record: model, graph, program, device. */

#include "device/device.h"
#include "model/description.h"
#include "model/graph.h"
#include "record/record.h"
#include "step/program.h"
#include "step/recipe.h"

struct vb_compiled {
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_program program;
};

/* All that the point's program is built from, and no program: its model, graph and recipe, for a
 * device that wants programs to lie so. Errors as vb_compile()'s. */
VB_CHECKED enum vb_status vb_compile_parts(const struct vb_point *point, enum vb_layout layout,
                                           struct vb_arena *arena,
                                           struct vb_description *description,
                                           struct vb_compiled *out, struct vb_error *err);

/* The point's program, whatever its workload, for a device of so much memory that wants programs to
 * lie so. All of it is of the arena. VB_E_INPUT: the point cannot be (model, imgsz, trainer).
 * VB_E_UNSUPPORTED: workloads other than train, and several GPUs, are only planned; or the trainer
 * does not share a batch so. Of several GPUs it is point->rank's. */
VB_CHECKED enum vb_status vb_compile(const struct vb_point *point, uint64_t capacity_bytes,
                                     enum vb_layout layout, struct vb_arena *arena,
                                     struct vb_compiled *out, struct vb_error *err);

/* All of the point's memory is of the arena; the record's curve too. Of several GPUs the record is
 * of the heaviest, with each one's peaks. That the point runs out of
 * device memory is an answer (state oom). VB_E_INPUT: the point cannot be (model, imgsz,
 * alloc_conf); VB_E_UNSUPPORTED: the device cannot do it; VB_E_DEVICE: it failed. */
VB_CHECKED enum vb_status vb_measure(const struct vb_point *point, struct vb_device *device,
                                     bool with_curve, struct vb_arena *arena,
                                     struct vb_record *record, struct vb_error *err);

/* Of a whole run what it does up to the end of its first batch, on the first GPU, in a fraction of
 * the time: where that runs out so does the run, and the run reserves no less at its peak. Statuses
 * as vb_measure()'s. */
VB_CHECKED enum vb_status vb_measure_start(const struct vb_point *point, struct vb_device *device,
                                           struct vb_arena *arena, struct vb_record *record,
                                           struct vb_error *err);

/* vb_measure() of the program that vb_compile() made of the point for such a device, of one GPU. */
VB_CHECKED enum vb_status vb_measure_program(const struct vb_compiled *compiled,
                                             const struct vb_point *point, struct vb_device *device,
                                             bool with_curve, struct vb_arena *arena,
                                             struct vb_record *record, struct vb_error *err);

/* vb_measure() of a device that plans, and where the point runs out of memory once more with no
 * limit: `*need` is then the record of that, else a copy of `record`. */
VB_CHECKED enum vb_status vb_measure_need(const struct vb_point *point, struct vb_device *device,
                                          struct vb_arena *arena, struct vb_record *record,
                                          struct vb_record *need, struct vb_error *err);

/* The same of a program as above; not of AutoBatch's, which depends on the device's memory. */
VB_CHECKED enum vb_status vb_measure_program_need(const struct vb_compiled *compiled,
                                                  const struct vb_point *point,
                                                  struct vb_device *device, struct vb_arena *arena,
                                                  struct vb_record *record, struct vb_record *need,
                                                  struct vb_error *err);

#endif
