/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_EXPORT_GPU_H
#define VB_CLI_EXPORT_GPU_H

#include "base/error.h"

/* Prints the GPU of that name ("cuda:0") as a file of sweeps/gpus/: what cuDNN itself says of it,
 * and the context that was measured. VB_E_UNSUPPORTED: the device is no GPU that is there. Others:
 * as vb_device_open() has them. */
VB_CHECKED enum vb_status cli_export_gpu(const char *name, struct vb_error *err);

#endif
