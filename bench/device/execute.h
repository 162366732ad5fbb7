/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_EXECUTE_H
#define VB_DEVICE_EXECUTE_H

/* Walks a program: takes and frees its tensors through a pool on the device, asks the device for
 * each convolution's workspace, runs the operators, and writes down what it saw. */

#include "device/device.h"
#include "memory/pool.h"
#include "record/record.h"
#include "step/program.h"

/* Fills `record`'s peaks, phases, categories, largest tensors, time and state (ok, or oom with what
 * was asked for and what was free); its point, device and capacity too. `with_curve`: the curve of
 * one steady step, in the arena. That memory runs out is an answer: VB_OK with the state oom.
 * VB_E_UNSUPPORTED: the device has no plan for a convolution. VB_E_INPUT: alloc_conf cannot be
 * read. */
VB_CHECKED enum vb_status vb_execute(const struct vb_program *program, const struct vb_point *point,
                                     struct vb_device *device, bool with_curve,
                                     struct vb_arena *arena, struct vb_record *record,
                                     struct vb_error *err);

/* A program of a sequence; the record has its point, and is filled as above. */
struct vb_in_sequence {
    const struct vb_program *program;
    const struct vb_point *point;
    struct vb_record *record;
};

/* The programs one after the other through one pool, as a process has it that trains again and
 * again: when one ends its tensors are freed and, with `empties`, the cache is emptied too. What a
 * record tells as reserved counts what was left cached before it; the settings of the pool are the
 * first one's. Those behind one that ran out are not walked: their records stay as they are. For
 * devices that plan. */
VB_CHECKED enum vb_status vb_execute_sequence(const struct vb_in_sequence *items, size_t n,
                                              bool empties, struct vb_device *device,
                                              struct vb_arena *arena, struct vb_error *err);

#endif
