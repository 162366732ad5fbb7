/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_IMAGES_H
#define VB_KERNELS_IMAGES_H

/* The fat binaries of kernels/ in this program, one a source, as a driver loads them. A build
 * without nvcc has none of this. */

#include <stddef.h>

extern const void *const vb_kernel_images[];
extern const size_t vb_n_kernel_images;

#endif
