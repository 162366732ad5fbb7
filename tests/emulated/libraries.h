/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_EMULATED_LIBRARIES_H
#define TESTS_EMULATED_LIBRARIES_H

/* The stand-ins as a program sees them, opened by their paths, and cases that run in a process
 * each, since the libraries read the environment once and say what is left at the end.
 */

#include <cuda.h>
#include <cudnn_graph.h>
#include <cupti.h>
#include <stdio.h>
#include <stdlib.h>

/* The header gives this name to another version of it. */
#undef cuEventElapsedTime
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);

#define CUDA_FUNCTIONS(X)                                                                          \
    X(cuInit)                                                                                      \
    X(cuDeviceGet)                                                                                 \
    X(cuDeviceGetName)                                                                             \
    X(cuDeviceGetAttribute)                                                                        \
    X(cuDeviceTotalMem)                                                                            \
    X(cuDevicePrimaryCtxRetain)                                                                    \
    X(cuDevicePrimaryCtxRelease)                                                                   \
    X(cuCtxSetCurrent)                                                                             \
    X(cuModuleLoadFatBinary)                                                                       \
    X(cuModuleUnload)                                                                              \
    X(cuModuleGetFunction)                                                                         \
    X(cuMemAlloc)                                                                                  \
    X(cuMemFree)                                                                                   \
    X(cuMemGetInfo)                                                                                \
    X(cuMemcpyHtoDAsync)                                                                           \
    X(cuMemcpyDtoHAsync)                                                                           \
    X(cuMemcpyDtoDAsync)                                                                           \
    X(cuMemsetD8Async)                                                                             \
    X(cuStreamCreate)                                                                              \
    X(cuStreamDestroy)                                                                             \
    X(cuStreamSynchronize)                                                                         \
    X(cuEventCreate)                                                                               \
    X(cuEventRecord)                                                                               \
    X(cuEventSynchronize)                                                                          \
    X(cuEventElapsedTime)                                                                          \
    X(cuEventDestroy)                                                                              \
    X(cuLaunchKernel)                                                                              \
    X(cuMemAllocAsync)                                                                             \
    X(cuMemFreeAsync)                                                                              \
    X(cuThreadExchangeStreamCaptureMode)                                                           \
    X(cuStreamBeginCapture)                                                                        \
    X(cuStreamEndCapture)                                                                          \
    X(cuGraphInstantiateWithFlags)                                                                 \
    X(cuGraphLaunch)                                                                               \
    X(cuGraphExecDestroy)                                                                          \
    X(cuGraphDestroy)                                                                              \
    X(cuDeviceGraphMemTrim)                                                                        \
    X(cuDeviceGetGraphMemAttribute)                                                                \
    X(cuGetErrorName)

#define CUPTI_FUNCTIONS(X)                                                                         \
    X(cuptiSubscribe)                                                                              \
    X(cuptiUnsubscribe)                                                                            \
    X(cuptiActivityRegisterCallbacks)                                                              \
    X(cuptiActivityEnable)                                                                         \
    X(cuptiActivityDisable)                                                                        \
    X(cuptiActivityFlushAll)                                                                       \
    X(cuptiActivityGetNextRecord)                                                                  \
    X(cuptiActivityGetNumDroppedRecords)                                                           \
    X(cuptiActivityPushExternalCorrelationId)                                                      \
    X(cuptiActivityPopExternalCorrelationId)                                                       \
    X(cuptiGetTimestamp)

#define CUDNN_FUNCTIONS(X)                                                                         \
    X(cudnnGetVersion)                                                                             \
    X(cudnnGetLastErrorString)                                                                     \
    X(cudnnCreate)                                                                                 \
    X(cudnnDestroy)                                                                                \
    X(cudnnSetStream)                                                                              \
    X(cudnnBackendCreateDescriptor)                                                                \
    X(cudnnBackendDestroyDescriptor)                                                               \
    X(cudnnBackendFinalize)                                                                        \
    X(cudnnBackendSetAttribute)                                                                    \
    X(cudnnBackendGetAttribute)                                                                    \
    X(cudnnBackendExecute)

/* As NVML's reference has them. */
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_process {
    unsigned int pid;
    unsigned long long used;
    unsigned int gpu_instance, compute_instance;
};
int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, void **device);
int nvmlDeviceGetMemoryInfo(void *device, struct nvml_memory *memory);
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *n,
                                            struct nvml_process *processes);
int nvmlDeviceGetClockInfo(void *device, int type, unsigned int *mhz);
#define NVML_FUNCTIONS(X)                                                                          \
    X(nvmlInit_v2)                                                                                 \
    X(nvmlShutdown)                                                                                \
    X(nvmlDeviceGetHandleByPciBusId_v2)                                                            \
    X(nvmlDeviceGetMemoryInfo)                                                                     \
    X(nvmlDeviceGetComputeRunningProcesses_v3)                                                     \
    X(nvmlDeviceGetClockInfo)

#define MEMBER(name) __typeof__(name) *name;
struct libraries {
    CUDA_FUNCTIONS(MEMBER)
    CUPTI_FUNCTIONS(MEMBER)
    CUDNN_FUNCTIONS(MEMBER)
    NVML_FUNCTIONS(MEMBER)
};
extern struct libraries on; /* open within a case */

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                  \
            (void)fprintf(stderr, " " __VA_ARGS__);                                                \
            (void)fputc('\n', stderr);                                                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { MAX_SETTINGS = 3, MAX_LINES = 6 };
struct test_case {
    const char *law;
    void (*run)(void);
    const char *settings[MAX_SETTINGS]; /* "NAME=value" */
    const char *lines[MAX_LINES];       /* the log has a line with each, and no others */
};

/* Runs all, each in a child that has opened the libraries in `folder`; how many failed. */
int run_cases(const char *folder, const struct test_case *cases, size_t n);

/* The context made current, a stream; both given back by stop(). */
CUstream start(void);
void stop(CUstream stream);

#endif
