/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_EMULATED_CUDA_CALL_H
#define TESTS_EMULATED_CUDA_CALL_H

/* What the files of libcuda's stand-in share. */

#include <cupti_driver_cbid.h>

#include "emulated.h"

/* The frame of a call, named as the library exports it. */
#define BEGIN(name, needs)                                                                         \
    emulated_begin(&call, #name, (uint32_t)CUPTI_DRIVER_TRACE_CBID_##name, needs)
#define END(status) ((CUresult)emulated_end(&call, (int)(status)))

struct function {
    struct emulated_object object;
    const void *module;
    const char *name;
    size_t argument_bytes;
};

#endif
