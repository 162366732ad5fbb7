/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_PROCESSES_H
#define VB_CAPTURE_PROCESSES_H

/* Which processes hold memory of which GPU, as the driver says through NVML: all that is the
 * device's, context and loaded code too. One thread at a time.
 *
 * Source of names, units and numbers: NVIDIA's NVML API Reference Guide.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct vb_processes;

/* That there is no NVML is no failure: `why` says so. VB_E_SYSTEM: host memory. */
VB_CHECKED enum vb_status vb_processes_open(struct vb_processes **out, struct vb_error *err);
void vb_processes_close(struct vb_processes *processes);

/* Why there is nothing to read, "" where there is. */
const char *vb_processes_why(const struct vb_processes *processes);

size_t vb_processes_n_gpus(const struct vb_processes *processes);

/* As cuDeviceGetPCIBusId() writes it, "0000:01:00.0", but perhaps for capitals; "": not known. */
const char *vb_processes_bus_id(const struct vb_processes *processes, size_t gpu);

/* Tells each process of the GPU that has a known number of bytes. False: the driver does not say.
 */
bool vb_processes_each(struct vb_processes *processes, size_t gpu,
                       void (*tell)(void *context, uint32_t pid, uint64_t bytes), void *context);

#endif
