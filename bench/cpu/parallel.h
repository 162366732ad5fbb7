/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_PARALLEL_H
#define VB_CPU_PARALLEL_H

/* One loop over all threads, the only place where the kernels of this folder divide their work. */

#include <stddef.h>
#include <stdint.h>

/* How many threads the loops of the calling thread take from now on, those of oneDNN too; 0: all
 * that the machine has. */
void vb_parallel_threads(uint32_t threads);

/* Calls body(context, begin, end) for stretches of 0 .. n that do not overlap, and returns when all
 * are done. Stretches begin at multiples of `grain`; a single one where n is not larger. The same n
 * and number of threads give the same stretches. */
void vb_parallel(size_t n, size_t grain, void (*body)(void *context, size_t begin, size_t end),
                 void *context);

#endif
