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

/* cuda_graph.c: the status of a call that may be unsafe while a stream is captured, which it spoils
 * where it is prohibited. */
int emulated_unsafe_call(void);
/* Whether that stream is captured, which a call that then cannot be spoils. */
bool emulated_spoils_capture(const struct emulated_stream *stream);
/* A memory node of what that stream is captured to. */
int emulated_capture_allocation(const struct emulated_stream *stream, uint64_t bytes,
                                uint64_t *address);
int emulated_capture_release(const struct emulated_stream *stream, uint64_t address);
/* The device's memory is gone with its context. */
void emulated_graphs_drop(void);

#endif
