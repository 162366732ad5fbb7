/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_PROC_H
#define VB_WATCH_PROC_H

#include <stdint.h>

/* When the process began, in ticks since the machine did: with its id it names it for good. 0:
 * there is none of that id, or it is dead. Source: proc(5), the 22nd field of its stat. */
uint64_t vb_proc_start_ticks(int pid);

#endif
