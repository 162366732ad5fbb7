/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs of the driver's stand-in: captured, launched, with memory of their own. */
#include <pthread.h>
#include <stdint.h>

#include "libraries.h"

enum { MIB = 1 << 20, N = 1000 };

static CUgraph end_capture(CUstream stream)
{
    CUgraph graph = NULL;
    CHECK(on.cuStreamEndCapture(stream, &graph) == CUDA_SUCCESS && graph != NULL);
    return graph;
}

static CUgraphExec instantiate(CUgraph graph)
{
    CUgraphExec made = NULL;
    CHECK(on.cuGraphInstantiateWithFlags(&made, graph, 0) == CUDA_SUCCESS);
    return made;
}

static unsigned int read_byte(CUdeviceptr address, CUstream stream)
{
    unsigned char byte = 0;
    CHECK(on.cuMemcpyDtoHAsync(&byte, address, 1, stream) == CUDA_SUCCESS);
    CHECK(on.cuStreamSynchronize(stream) == CUDA_SUCCESS);
    return byte;
}

static void fill(CUdeviceptr address, unsigned char value, CUstream stream)
{
    CHECK(on.cuMemsetD8Async(address, value, N, stream) == CUDA_SUCCESS);
}

static uint64_t held(CUgraphMem_attribute what)
{
    cuuint64_t bytes = UINT64_MAX;
    CHECK(on.cuDeviceGetGraphMemAttribute(0, what, &bytes) == CUDA_SUCCESS);
    return bytes;
}

/* Nothing is done when it is captured, all of it each time that it is launched. */
static void capture_work(void)
{
    CUstream stream = start();
    CUdeviceptr a = 0;
    CHECK(on.cuMemAlloc(&a, N) == CUDA_SUCCESS);
    fill(a, 1, stream);
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) ==
          CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuStreamSynchronize(stream) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    fill(a, 2, stream);
    CUgraph graph = end_capture(stream);
    CUgraphExec executable = instantiate(graph);
    CHECK(on.cuGraphDestroy(graph) == CUDA_SUCCESS); /* what was made of it lives on */
    CHECK(read_byte(a, stream) == 1);
    for (int i = 0; i < 2; i++) {
        CHECK(on.cuGraphLaunch(executable, stream) == CUDA_SUCCESS);
        CHECK(read_byte(a, stream) == 2);
        fill(a, 3, stream);
        CHECK(read_byte(a, stream) == 3);
    }
    CHECK(on.cuGraphExecDestroy(executable) == CUDA_SUCCESS);
    CHECK(on.cuMemFree(a) == CUDA_SUCCESS);
    stop(stream);
}

/* Held from the first launch until it is trimmed: what is there at once, in 32 MiB. */
static void capture_memory(void)
{
    CUstream stream = start();
    CUdeviceptr a = 0, b = 0;
    size_t before = 0, after = 0, total = 0;
    CHECK(on.cuMemGetInfo(&before, &total) == CUDA_SUCCESS);
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    CHECK(on.cuMemAllocAsync(&a, 40 * MIB, stream) == CUDA_SUCCESS);
    fill(a, 5, stream);
    CHECK(on.cuMemFreeAsync(a, stream) == CUDA_SUCCESS);
    CHECK(on.cuMemFreeAsync(a, stream) == CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuMemAllocAsync(&b, 30 * MIB, stream) == CUDA_SUCCESS);
    CHECK(on.cuMemFreeAsync(b, stream) == CUDA_SUCCESS);
    CUgraph graph = end_capture(stream);
    CUgraphExec executable = instantiate(graph);
    CHECK(held(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(on.cuGraphLaunch(executable, stream) == CUDA_SUCCESS);
    CHECK(held(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT) == 64 * (uint64_t)MIB);
    CHECK(on.cuMemGetInfo(&after, &total) == CUDA_SUCCESS);
    CHECK(before - after == 64 * (size_t)MIB);
    CHECK(on.cuDeviceGraphMemTrim(0) == CUDA_SUCCESS);
    CHECK(held(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT) == 0);
    CHECK(held(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) == 64 * (uint64_t)MIB);
    CHECK(on.cuMemFree(a) == CUDA_ERROR_INVALID_VALUE);
    CHECK(on.cuGraphExecDestroy(executable) == CUDA_SUCCESS);
    CHECK(on.cuGraphDestroy(graph) == CUDA_SUCCESS);
    stop(stream);
}

static void build_by_hand(void)
{
    CUstream stream = start();
    CUgraph graph = NULL;
    CUgraphNode node = NULL;
    CUgraphExec executable = NULL;
    CUDA_MEM_ALLOC_NODE_PARAMS what = {
        .poolProps = { .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                       .location = { .type = CU_MEM_LOCATION_TYPE_DEVICE } },
        .bytesize = 900 * (size_t)MIB,
    };
    CHECK(on.cuGraphCreate(&graph, 0) == CUDA_SUCCESS);
    CHECK(on.cuGraphAddMemAllocNode(&node, graph, NULL, 0, &what) == CUDA_SUCCESS);
    CHECK(what.dptr != 0);
    CHECK(on.cuGraphInstantiateWithFlags(&executable, graph, 0) == CUDA_ERROR_NOT_SUPPORTED);
    CHECK(on.cuGraphAddMemFreeNode(&node, graph, NULL, 0, what.dptr) == CUDA_SUCCESS);
    executable = instantiate(graph);
    CHECK(on.cuGraphLaunch(executable, stream) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(held(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) == 0);
    CHECK(on.cuGraphExecDestroy(executable) == CUDA_SUCCESS);
    CHECK(on.cuGraphDestroy(graph) == CUDA_SUCCESS);
    stop(stream);
}

static void *ask(void *relaxed)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    cuuint64_t bytes = 0;
    if (relaxed != NULL)
        CHECK(on.cuThreadExchangeStreamCaptureMode(&mode) == CUDA_SUCCESS &&
              mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
    CHECK(on.cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH, &bytes) ==
          (relaxed != NULL ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
    return NULL;
}

/* What another thread asks spoils it, but for one that is relaxed, or a capture that is its own
 * thread's. */
static void spoil_captures(void)
{
    static const struct {
        CUstreamCaptureMode mode;
        const char *relaxed;
        CUresult end;
    } cases[] = {
        { CU_STREAM_CAPTURE_MODE_GLOBAL, NULL, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED },
        { CU_STREAM_CAPTURE_MODE_GLOBAL, "relaxed", CUDA_SUCCESS },
    };
    CUstream stream = start();
    CUdeviceptr a = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pthread_t thread;
        CUgraph graph = NULL;
        CHECK(on.cuStreamBeginCapture(stream, cases[i].mode) == CUDA_SUCCESS);
        CHECK(pthread_create(&thread, NULL, ask, (void *)(uintptr_t)cases[i].relaxed) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(on.cuStreamEndCapture(stream, &graph) == cases[i].end);
        CHECK((graph != NULL) == (cases[i].end == CUDA_SUCCESS));
        CHECK(graph == NULL || on.cuGraphDestroy(graph) == CUDA_SUCCESS);
    }
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) == CUDA_SUCCESS);
    CHECK(on.cuMemAlloc(&a, 1) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CUgraph graph = NULL;
    CHECK(on.cuStreamEndCapture(stream, &graph) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    stop(stream);
}

static void leave_graphs(void)
{
    CUstream stream = start();
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    (void)instantiate(end_capture(stream));
    CHECK(on.cuStreamDestroy(stream) == CUDA_SUCCESS);
}

static const struct test_case cases[] = {
    { "captured work is done at each launch", capture_work, { NULL }, { NULL } },
    { "a graph's memory is held from its launch until it is trimmed",
      capture_memory,
      { NULL },
      { "cuMemFree_v2: 0x" } },
    { "a graph built by hand, for which there is no room",
      build_by_hand,
      { "VRAMBENCH_EMULATED_MEMORY=1073741824" },
      { NULL } },
    { "an unsafe call spoils a capture", spoil_captures, { NULL }, { NULL } },
    { "graphs that are left are said",
      leave_graphs,
      { NULL },
      { "left: graph", "left: executable graph", "left: retained context" } },
};

int main(int argc, char **argv)
{
    CHECK(argc == 2, "expected the libraries' folder");
    return run_cases(argv[1], cases, sizeof cases / sizeof *cases) > 0;
}
