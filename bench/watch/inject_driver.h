/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_INJECT_DRIVER_H
#define VB_WATCH_INJECT_DRIVER_H

/* What the driver in the watched process is asked: it is the one that the program has loaded, and
 * the calls need no context. One caller at a time.
 *
 * Source of what each call does: cuda.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "0000:01:00.0"; false: not told. */
bool vb_inject_driver_bus_id(uint32_t device, char *text, size_t room);

/* Bytes that the driver holds for the memory nodes of CUDA graphs, now and at most since the
 * program last reset that. False: not told. It spoils no capture of a stream. */
bool vb_inject_driver_graph_memory(uint32_t device, uint64_t *held_bytes, uint64_t *most_bytes);

#endif
