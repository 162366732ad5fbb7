/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_NVML_ABI_H
#define VB_CAPTURE_NVML_ABI_H

/* What is shared of NVML's interface by those who call it. Its header is not always there and its
 * interface does not change, so what is called of it is declared here and where it is called. */

enum { VB_NVML_SUCCESS = 0, VB_NVML_ALREADY_INITIALIZED = 5, VB_NVML_INSUFFICIENT_SIZE = 7 };

/* A value that the driver does not know, of Windows' driver model and of some containers. */
#define VB_NVML_NOT_AVAILABLE (~0ull)

/* nvmlProcessInfo_t of the third version. */
struct vb_nvml_process {
    unsigned int pid;
    unsigned long long used_bytes;
    unsigned int gpu_instance, compute_instance;
};

#endif
