/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_BOTH_H
#define VB_BASE_BOTH_H

/* VB_BOTH begins a function of plain arithmetic that C and CUDA have in common. */

#ifdef __CUDACC__
#define VB_BOTH static inline __host__ __device__
#else
#define VB_BOTH static inline
#endif

#endif
