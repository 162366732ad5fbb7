/* SPDX-License-Identifier: Apache-2.0 */
/* libcuda.so.1: graphs, with memory nodes, built by capture. A graph's nodes are done in the order
 * in which they were captured.
 *
 * What its memory nodes take together at the fullest is held from the first launch on, for all
 * graphs to share, until the device is trimmed. CUPTI documents no record of that: none is made.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "cuda_call.h"

#define GRANULE_BYTES ((uint64_t)32 << 20)

/* What a capture, its graph and what is made of that share. */
struct nodes {
    int n_users;
    struct emulated_chain work;
    struct taken {
        struct taken *next;
        uint64_t address, bytes;
        bool is_freed; /* by a node */
    } * taken;
    uint64_t bytes, most_bytes; /* that memory nodes hold, after the last of them and at most */
};

struct graph {
    struct emulated_object object; /* of an executable too */
    struct nodes *nodes;
};

struct capture {
    struct capture *next;
    struct emulated_stream *stream;
    struct nodes *nodes;
    CUstreamCaptureMode mode;
    pthread_t thread;
    bool is_spoilt;
};

static struct capture *captures;
static _Thread_local CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
static uint64_t held_bytes, most_held_bytes;

/* ----------------------------------------------------------------------------------- nodes */

static void *make(size_t bytes)
{
    void *made = calloc(1, bytes);
    if (made == NULL)
        abort();
    return made;
}

static void drop_nodes(struct nodes *nodes)
{
    if (--nodes->n_users > 0)
        return;
    emulated_chain_drop(&nodes->work);
    while (nodes->taken != NULL) {
        struct taken *first = nodes->taken;
        nodes->taken = first->next;
        emulated_address_give(first->address);
        free(first);
    }
    free(nodes);
}

static struct graph *make_graph(enum emulated_kind kind, struct nodes *nodes)
{
    struct graph *made = emulated_object_make(kind, sizeof *made);
    made->nodes = nodes;
    nodes->n_users++;
    return made;
}

static int take_in(struct nodes *nodes, uint64_t bytes, uint64_t *address)
{
    const int status = emulated_address_take(bytes, address);
    if (status != 0)
        return status;
    struct taken *made = make(sizeof *made);
    *made = (struct taken){ nodes->taken, *address, bytes, false };
    nodes->taken = made;
    nodes->bytes += bytes;
    nodes->most_bytes = nodes->bytes > nodes->most_bytes ? nodes->bytes : nodes->most_bytes;
    return 0;
}

static int free_in(struct nodes *nodes, uint64_t address)
{
    struct taken *found = nodes->taken;
    while (found != NULL && (found->address != address || found->is_freed))
        found = found->next;
    if (found == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    found->is_freed = true;
    nodes->bytes -= found->bytes;
    return 0;
}

/* --------------------------------------------------------------------------------- capture */

static struct capture **find_capture(const struct emulated_stream *stream)
{
    struct capture **at = &captures;
    while (*at != NULL && (*at)->stream != stream)
        at = &(*at)->next;
    return at;
}

int emulated_unsafe_call(void)
{
    bool is_prohibited = false;
    for (struct capture *at = captures; at != NULL; at = at->next) {
        const bool is_own = pthread_equal(at->thread, pthread_self()) != 0;
        if (mode == CU_STREAM_CAPTURE_MODE_RELAXED || at->mode == CU_STREAM_CAPTURE_MODE_RELAXED ||
            (!is_own &&
             (mode != CU_STREAM_CAPTURE_MODE_GLOBAL || at->mode != CU_STREAM_CAPTURE_MODE_GLOBAL)))
            continue;
        at->is_spoilt = is_prohibited = true;
    }
    return is_prohibited ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : 0;
}

bool emulated_spoils_capture(const struct emulated_stream *stream)
{
    struct capture *found = *find_capture(stream);
    if (found != NULL)
        found->is_spoilt = true;
    return found != NULL;
}

int emulated_capture_allocation(const struct emulated_stream *stream, uint64_t bytes,
                                uint64_t *address)
{
    return take_in((*find_capture(stream))->nodes, bytes, address);
}

int emulated_capture_release(const struct emulated_stream *stream, uint64_t address)
{
    return free_in((*find_capture(stream))->nodes, address);
}

CUresult EMULATED_API cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *exchanged)
{
    struct emulated_call call;
    int status = BEGIN(cuThreadExchangeStreamCaptureMode, NEEDS_INIT);
    if (status == 0 && *exchanged > CU_STREAM_CAPTURE_MODE_RELAXED)
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0) {
        const CUstreamCaptureMode before = mode;
        mode = *exchanged;
        *exchanged = before;
    }
    return END(status);
}

CUresult EMULATED_API cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode how)
{
    struct emulated_call call;
    int status = BEGIN(cuStreamBeginCapture_v2, NEEDS_CONTEXT);
    if (status != 0)
        return END(status);
    struct emulated_stream *stream = emulated_stream_of(handle, call.function);
    if (stream == NULL || handle == NULL || stream->captured != NULL ||
        how > CU_STREAM_CAPTURE_MODE_RELAXED)
        return END(CUDA_ERROR_INVALID_VALUE);
    struct capture *made = make(sizeof *made);
    *made = (struct capture){ .next = captures,
                              .stream = stream,
                              .nodes = make(sizeof *made->nodes),
                              .mode = how,
                              .thread = pthread_self() };
    made->nodes->n_users = 1; /* the capture */
    captures = made;
    stream->captured = &made->nodes->work;
    return END(0);
}

CUresult EMULATED_API cuStreamEndCapture(CUstream handle, CUgraph *out)
{
    struct emulated_call call;
    int status = BEGIN(cuStreamEndCapture, NEEDS_CONTEXT);
    if (status != 0)
        return END(status);
    struct emulated_stream *stream = emulated_stream_of(handle, call.function);
    if (stream == NULL || stream->captured == NULL)
        return END(CUDA_ERROR_ILLEGAL_STATE);
    struct capture **at = find_capture(stream), *ended = *at;
    if (ended->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
        pthread_equal(ended->thread, pthread_self()) == 0)
        return END(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    *at = ended->next;
    stream->captured = NULL;
    *out = NULL;
    if (!ended->is_spoilt)
        *out = (CUgraph)(void *)make_graph(EMULATED_GRAPH, ended->nodes);
    drop_nodes(ended->nodes);
    status = ended->is_spoilt ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : 0;
    free(ended);
    return END(status);
}

/* ---------------------------------------------------------------------------------- graphs */

/* The one that a handle points to; NULL: none, and the status says so. */
static struct graph *graph_of(const struct emulated_call *call, const void *handle,
                              enum emulated_kind kind, int *status)
{
    if (emulated_object_is(handle, kind, call->function))
        return (struct graph *)(uintptr_t)handle;
    *status = CUDA_ERROR_INVALID_VALUE;
    return NULL;
}

CUresult EMULATED_API cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph handle,
                                                  unsigned long long flags)
{
    struct emulated_call call;
    int status = BEGIN(cuGraphInstantiateWithFlags, NEEDS_CONTEXT);
    struct graph *graph = status == 0 ? graph_of(&call, handle, EMULATED_GRAPH, &status) : NULL;
    if (status == 0 && flags != 0)
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0 && graph->nodes->bytes > 0)
        status = CUDA_ERROR_NOT_SUPPORTED; /* here: memory that the graph does not free itself */
    if (status == 0)
        *out = (CUgraphExec)(void *)make_graph(EMULATED_EXECUTABLE, graph->nodes);
    return END(status);
}

static int hold(uint64_t bytes)
{
    const uint64_t whole = vb_round_up(bytes, GRANULE_BYTES);
    if (whole <= held_bytes)
        return 0;
    const int status = emulated_physical_take(whole - held_bytes);
    if (status != 0)
        return status;
    held_bytes = whole;
    most_held_bytes = whole > most_held_bytes ? whole : most_held_bytes;
    return 0;
}

CUresult EMULATED_API cuGraphLaunch(CUgraphExec handle, CUstream stream_handle)
{
    struct emulated_call call;
    int status = BEGIN(cuGraphLaunch, NEEDS_CONTEXT);
    const struct graph *graph =
        status == 0 ? graph_of(&call, handle, EMULATED_EXECUTABLE, &status) : NULL;
    struct emulated_stream *stream =
        graph != NULL ? emulated_stream_of(stream_handle, call.function) : NULL;
    if (status == 0 && stream == NULL)
        status = CUDA_ERROR_INVALID_HANDLE;
    if (status == 0 && emulated_spoils_capture(stream))
        status = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (status == 0)
        status = hold(graph->nodes->most_bytes);
    if (status == 0)
        emulated_queue_again(&call, stream, &graph->nodes->work);
    return END(status);
}

static int drop_graph(const struct emulated_call *call, const void *handle, enum emulated_kind kind,
                      int status)
{
    struct graph *graph =
        emulated_goes_on(call, status) ? graph_of(call, handle, kind, &status) : NULL;
    if (graph == NULL)
        return status;
    emulated_run_all(); /* memory of it may be in use */
    drop_nodes(graph->nodes);
    emulated_object_drop(graph);
    return status;
}

CUresult EMULATED_API cuGraphExecDestroy(CUgraphExec handle)
{
    struct emulated_call call;
    int status = BEGIN(cuGraphExecDestroy, NEEDS_INIT);
    return END(drop_graph(&call, handle, EMULATED_EXECUTABLE, status));
}

CUresult EMULATED_API cuGraphDestroy(CUgraph handle)
{
    struct emulated_call call;
    int status = BEGIN(cuGraphDestroy, NEEDS_INIT);
    return END(drop_graph(&call, handle, EMULATED_GRAPH, status));
}

/* ---------------------------------------------------------------------------------- memory */

CUresult EMULATED_API cuDeviceGraphMemTrim(CUdevice device)
{
    struct emulated_call call;
    int status = BEGIN(cuDeviceGraphMemTrim, NEEDS_INIT);
    if (status == 0 && device != 0)
        status = CUDA_ERROR_INVALID_DEVICE;
    if (status == 0) {
        emulated_run_all();
        emulated_physical_give(held_bytes);
        held_bytes = 0;
    }
    return END(status);
}

/* Whether a capture bears it is not documented: here it does not. */
CUresult EMULATED_API cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute what,
                                                   void *value)
{
    struct emulated_call call;
    int status = BEGIN(cuDeviceGetGraphMemAttribute, NEEDS_INIT);
    if (status == 0)
        status = emulated_unsafe_call();
    if (status == 0 && device != 0)
        status = CUDA_ERROR_INVALID_DEVICE;
    if (status == 0 && what == CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT)
        *(cuuint64_t *)value = held_bytes;
    else if (status == 0 && what == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
        *(cuuint64_t *)value = most_held_bytes;
    else if (status == 0)
        status = CUDA_ERROR_INVALID_VALUE;
    return END(status);
}

/* The objects themselves are dropped by who drops them all. */
void emulated_graphs_drop(void)
{
    for (struct emulated_object *at = emulated_object_first(); at != NULL; at = at->next) {
        if (at->kind == EMULATED_GRAPH || at->kind == EMULATED_EXECUTABLE)
            drop_nodes(((struct graph *)at)->nodes);
    }
    while (captures != NULL) {
        struct capture *first = captures;
        captures = first->next;
        drop_nodes(first->nodes);
        free(first);
    }
    held_bytes = 0;
}
