/* SPDX-License-Identifier: Apache-2.0 */
#include "libraries.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct cuda cuda;
struct cupti cupti;
CUcontext context;

static void *open_library(const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", getenv("VRAMBENCH_CUDA_LIBS"), name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    return library;
}

static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

static void load_cuda(void)
{
    void *library = open_library("libcuda.so.1");
    find(library, "cuInit", &cuda.init);
    find(library, "cuDevicePrimaryCtxRetain", &cuda.retain);
    find(library, "cuDevicePrimaryCtxRelease_v2", &cuda.release);
    find(library, "cuCtxSetCurrent", &cuda.set_current);
    find(library, "cuMemAlloc_v2", &cuda.alloc);
    find(library, "cuMemAllocAsync", &cuda.alloc_async);
    find(library, "cuMemFreeAsync", &cuda.free_async);
    find(library, "cuMemFree_v2", &cuda.give);
    find(library, "cuMemCreate", &cuda.create);
    find(library, "cuMemRelease", &cuda.let_go);
    find(library, "cuStreamCreate", &cuda.create_stream);
    find(library, "cuStreamDestroy_v2", &cuda.destroy_stream);
    find(library, "cuStreamSynchronize", &cuda.wait);
    find(library, "cuMemsetD8Async", &cuda.set);
    find(library, "cuStreamBeginCapture_v2", &cuda.begin_capture);
    find(library, "cuStreamEndCapture", &cuda.end_capture);
    find(library, "cuGraphInstantiateWithFlags", &cuda.instantiate);
    find(library, "cuGraphLaunch", &cuda.launch);
    find(library, "cuDeviceGraphMemTrim", &cuda.trim_graphs);
    find(library, "cuGraphExecDestroy", &cuda.destroy_executable);
    find(library, "cuGraphDestroy", &cuda.destroy_graph);
}

void load_cupti(void)
{
    void *library = open_library("libcupti.so.13");
    find(library, "cuptiSubscribe", &cupti.subscribe);
    find(library, "cuptiUnsubscribe", &cupti.unsubscribe);
    find(library, "cuptiActivityRegisterCallbacks", &cupti.register_callbacks);
    find(library, "cuptiActivityEnable", &cupti.enable);
    find(library, "cuptiActivityFlushAll", &cupti.flush_all);
    find(library, "cuptiActivityGetNextRecord", &cupti.get_next_record);
}

void open_cuda(void)
{
    if (cuda.init == NULL)
        load_cuda();
    CHECK(cuda.init(0) == CUDA_SUCCESS);
    CHECK(cuda.retain(&context, 0) == CUDA_SUCCESS);
    CHECK(cuda.set_current(context) == CUDA_SUCCESS);
}

void close_cuda(void)
{
    CHECK(cuda.release(0) == CUDA_SUCCESS);
}

CUdeviceptr take(size_t mib)
{
    CUdeviceptr address = 0;
    CHECK(cuda.alloc(&address, mib * MIB) == CUDA_SUCCESS);
    return address;
}

void give(CUdeviceptr address)
{
    CHECK(cuda.give(address) == CUDA_SUCCESS);
}

void rest(unsigned int ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000L };
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}
