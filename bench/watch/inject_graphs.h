/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_INJECT_GRAPHS_H
#define VB_WATCH_INJECT_GRAPHS_H

/* What memory nodes of CUDA graphs take has no record that CUPTI documents: the driver is asked. It
 * holds that memory from the first launch until the program has it trimmed, so that little is
 * missed between two looks, and its own mark of the most tells what was. */

/* Changes since the last look become events. Not from a callback. */
void vb_inject_graphs_look(void);

#endif
