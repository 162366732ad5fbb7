/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_HOST_H
#define VB_DEVICE_HOST_H

/* What Linux says of this machine and of this process. 0 or "" where it does not say. */

#include <stddef.h>
#include <stdint.h>

/* What a process may still take without swapping: the least of the machine's memory, the control
 * group's and the process's own limit (ulimit -v). */
uint64_t vb_host_available_bytes(void);

/* The most memory that this process had in use at once, since it was executed. */
uint64_t vb_host_peak_rss_bytes(void);

/* Processors that this process may run on, at least 1. */
uint32_t vb_host_threads(void);

/* The processor's name: "Intel(R) Xeon(R) Gold 6240". */
void vb_host_product(char *text, size_t room);

#endif
