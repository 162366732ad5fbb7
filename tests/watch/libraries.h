/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_WATCH_LIBRARIES_H
#define TESTS_WATCH_LIBRARIES_H

/* The driver and CUPTI as the watched program calls them: opened in the folder that
 * VRAMBENCH_CUDA_LIBS names, as one that is linked to them would have them. */

#include <cuda.h>
#include <cupti.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

enum { MIB = 1 << 20, BROKEN = 70 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "program: line %d: %s\n", __LINE__, #condition);                 \
            _exit(BROKEN);                                                                         \
        }                                                                                          \
    } while (0)

struct cuda {
    CUresult (*init)(unsigned int flags);
    CUresult (*retain)(CUcontext *out, CUdevice device);
    CUresult (*release)(CUdevice device);
    CUresult (*set_current)(CUcontext context);
    CUresult (*alloc)(CUdeviceptr *out, size_t bytes);
    CUresult (*alloc_async)(CUdeviceptr *out, size_t bytes, CUstream stream);
    CUresult (*free_async)(CUdeviceptr address, CUstream stream);
    CUresult (*give)(CUdeviceptr address);
    CUresult (*create)(CUmemGenericAllocationHandle *out, size_t bytes,
                       const CUmemAllocationProp *what, unsigned long long flags);
    CUresult (*let_go)(CUmemGenericAllocationHandle handle);
    CUresult (*create_stream)(CUstream *out, unsigned int flags);
    CUresult (*destroy_stream)(CUstream stream);
    CUresult (*wait)(CUstream stream);
    CUresult (*set)(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream);
    CUresult (*begin_capture)(CUstream stream, CUstreamCaptureMode mode);
    CUresult (*end_capture)(CUstream stream, CUgraph *out);
    CUresult (*instantiate)(CUgraphExec *out, CUgraph graph, unsigned long long flags);
    CUresult (*launch)(CUgraphExec executable, CUstream stream);
    CUresult (*trim_graphs)(CUdevice device);
    CUresult (*destroy_executable)(CUgraphExec executable);
    CUresult (*destroy_graph)(CUgraph graph);
};
extern struct cuda cuda;

struct cupti {
    CUptiResult (*subscribe)(CUpti_SubscriberHandle *out, CUpti_CallbackFunc callback, void *data);
    CUptiResult (*unsubscribe)(CUpti_SubscriberHandle handle);
    CUptiResult (*register_callbacks)(CUpti_BuffersCallbackRequestFunc requested,
                                      CUpti_BuffersCallbackCompleteFunc completed);
    CUptiResult (*enable)(CUpti_ActivityKind kind);
    CUptiResult (*flush_all)(uint32_t flag);
    CUptiResult (*get_next_record)(uint8_t *buffer, size_t n_bytes, CUpti_Activity **record);
};
extern struct cupti cupti;

extern CUcontext context; /* of the device, once it is open */

/* The device's primary context is this thread's. */
void open_cuda(void);
void close_cuda(void);
void load_cupti(void);

CUdeviceptr take(size_t mib);
void give(CUdeviceptr address);

/* As long as that, also where signals interrupt it. */
void rest(unsigned int ms);

#endif
