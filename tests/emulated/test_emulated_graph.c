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

static void find_no_room(void)
{
    CUstream stream = start();
    CUdeviceptr a = 0;
    CUgraphExec executable = NULL;
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    CHECK(on.cuMemAllocAsync(&a, 900 * (size_t)MIB, stream) == CUDA_SUCCESS);
    CUgraph graph = end_capture(stream);
    CHECK(on.cuGraphInstantiateWithFlags(&executable, graph, 0) == CUDA_ERROR_NOT_SUPPORTED);
    CHECK(on.cuGraphDestroy(graph) == CUDA_SUCCESS);
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    CHECK(on.cuMemAllocAsync(&a, 900 * (size_t)MIB, stream) == CUDA_SUCCESS);
    CHECK(on.cuMemFreeAsync(a, stream) == CUDA_SUCCESS);
    graph = end_capture(stream);
    executable = instantiate(graph);
    CHECK(on.cuGraphLaunch(executable, stream) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(held(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) == 0);
    CHECK(on.cuGraphExecDestroy(executable) == CUDA_SUCCESS);
    CHECK(on.cuGraphDestroy(graph) == CUDA_SUCCESS);
    stop(stream);
}

/* What a thread asks while another captures, and what becomes of both. */
struct question {
    CUstreamCaptureMode capture, thread;
    CUresult answer, end;
};

static void *ask(void *data)
{
    const struct question *question = data;
    CUstreamCaptureMode mode = question->thread;
    cuuint64_t bytes = 0;
    CHECK(on.cuThreadExchangeStreamCaptureMode(&mode) == CUDA_SUCCESS);
    CHECK(mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
    CHECK(on.cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH, &bytes) ==
          question->answer);
    return NULL;
}

static void end_as(CUstream stream, CUresult expected)
{
    CUgraph graph = NULL;
    CHECK(on.cuStreamEndCapture(stream, &graph) == expected);
    CHECK((graph != NULL) == (expected == CUDA_SUCCESS));
    CHECK(graph == NULL || on.cuGraphDestroy(graph) == CUDA_SUCCESS);
}

static void ask_of_others(void)
{
    static struct question questions[] = {
        { CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_GLOBAL,
          CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED },
        { CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CUDA_SUCCESS,
          CUDA_SUCCESS },
        { CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_RELAXED, CUDA_SUCCESS,
          CUDA_SUCCESS },
        { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_GLOBAL, CUDA_SUCCESS,
          CUDA_SUCCESS },
        { CU_STREAM_CAPTURE_MODE_RELAXED, CU_STREAM_CAPTURE_MODE_GLOBAL, CUDA_SUCCESS,
          CUDA_SUCCESS },
    };
    CUstream stream = start();
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        pthread_t thread;
        CHECK(on.cuStreamBeginCapture(stream, questions[i].capture) == CUDA_SUCCESS);
        CHECK(pthread_create(&thread, NULL, ask, &questions[i]) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        end_as(stream, questions[i].end);
    }
    stop(stream);
}

/* What the capture's own thread does. */
static void spoil_own(void)
{
    CUstream stream = start();
    CUdeviceptr a = 0;
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) == CUDA_SUCCESS);
    CHECK(on.cuMemAlloc(&a, 1) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    end_as(stream, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
    CHECK(on.cuMemAlloc(&a, 1) == CUDA_SUCCESS && on.cuMemFree(a) == CUDA_SUCCESS);
    end_as(stream, CUDA_SUCCESS);
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
    CHECK(on.cuStreamSynchronize(stream) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    end_as(stream, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    stop(stream);
}

/* With a capture that goes on: all of it goes. */
static void release_too_early(void)
{
    CUstream stream = start();
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    (void)instantiate(end_capture(stream));
    CHECK(on.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
    CHECK(on.cuDevicePrimaryCtxRelease(0) == CUDA_SUCCESS);
    CUdeviceptr a = 0;
    stream = start();
    CHECK(on.cuMemAlloc(&a, 1) == CUDA_SUCCESS && on.cuMemFree(a) == CUDA_SUCCESS);
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
    { "a graph's memory that it does not free, or for which there is no room",
      find_no_room,
      { "VRAMBENCH_EMULATED_MEMORY=1073741824" },
      { NULL } },
    { "an unsafe call of another thread spoils a capture where both are global",
      ask_of_others,
      { NULL },
      { NULL } },
    { "an unsafe call spoils its own thread's capture", spoil_own, { NULL }, { NULL } },
    { "graphs and captures go with the context",
      release_too_early,
      { NULL },
      { "context released: stream", "context released: graph",
        "context released: executable graph" } },
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
