/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_EMULATED_EMULATED_H
#define TESTS_EMULATED_EMULATED_H

/* What the four stand-ins share, in libemulated.so: the settings, the log of violations, the
 * calls' counts and injected faults, the handles that live, the device's memory, the streams' work
 * and the activity records that the work leaves. All is under one lock, which emulated_begin()
 * takes and emulated_end() gives back.
 */

#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/gpu_spec.h"

#define EMULATED_API __attribute__((visibility("default")))

/* settings.c ---------------------------------------------------------------------------------- */

struct emulated_settings {
    bool is_valid;
    struct vb_gpu_spec gpu;
    uint64_t capacity_bytes; /* of the device */
    uint64_t cudnn_bytes;    /* of the device's memory that a cuDNN handle takes */
};
EMULATED_API const struct emulated_settings *emulated_settings(void);
/* An integer of the GPU's JSON; 0: there is none. */
EMULATED_API int64_t emulated_property(const char *key);
/* Whether the comma-separated list in that environment variable has `name`, or `name`=NUMBER. */
EMULATED_API bool emulated_option(const char *variable, const char *name, uint64_t *number);

/* call.c -------------------------------------------------------------------------------------- */

enum emulated_needs { NEEDS_NOTHING, NEEDS_INIT, NEEDS_CONTEXT };
struct emulated_call {
    const char *function;
    uint32_t cbid, correlation;
    uint64_t start;
    bool is_driver, is_injected;
    int injected;
};

/* Counts the call; the status that it is to have before it does anything: that of a fault that is
 * injected, of an error that sticks, of a context that is not there. */
EMULATED_API int emulated_begin(struct emulated_call *call, const char *function, uint32_t cbid,
                                enum emulated_needs needs);
/* Returns `status`. */
EMULATED_API int emulated_end(struct emulated_call *call, int status);
/* A call that gives something back does so even where a fault is injected, as the real ones do. */
static inline bool emulated_goes_on(const struct emulated_call *call, int status)
{
    return status == 0 || call->is_injected;
}

void emulated_lock(void);
void emulated_unlock(void);

/* The driver's state: one device, its primary context, the error that sticks. */
struct emulated_driver {
    bool is_initialised;
    struct emulated_object *context;
    uint32_t retained;
    int sticky;
    int process; /* that has initialised it: it is of no use to its children */
};
EMULATED_API struct emulated_driver *emulated_driver(void);
/* This thread's. */
EMULATED_API struct emulated_object **emulated_current(void);
EMULATED_API uint64_t emulated_now(void); /* CLOCK_MONOTONIC in ns */

/* walk.c: the status that this call is to fail with, in a process of its own; 0: none */
int emulated_walk(const char *function, uint64_t nth);
/* Whether what kernels compute is left out: in a walk's children, where so is asked. */
EMULATED_API bool emulated_is_idle(void);
/* Whether there is a walk, in which no thread but one may be. */
EMULATED_API bool emulated_walks(void);

/* log.c: one line each to the file that VRAMBENCH_EMULATED_LOG names, else to stderr */
EMULATED_API void emulated_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* object.c: what handles point to -------------------------------------------------------------- */

enum emulated_kind {
    EMULATED_CONTEXT,
    EMULATED_STREAM,
    EMULATED_EVENT,
    EMULATED_MODULE,
    EMULATED_FUNCTION, /* goes with its module */
    EMULATED_PHYSICAL, /* of cuMemCreate() */
    EMULATED_GRAPH,
    EMULATED_EXECUTABLE, /* made of a graph */
    EMULATED_CUDNN_HANDLE,
    EMULATED_DESCRIPTOR,
    EMULATED_SUBSCRIBER,
    EMULATED_N_KINDS
};
struct emulated_object {
    enum emulated_kind kind;
    uint32_t id;
    struct emulated_object *next;
};
/* `bytes` of zeros that begin with the object; never NULL. */
EMULATED_API void *emulated_object_make(enum emulated_kind kind, size_t bytes);
EMULATED_API void emulated_object_drop(void *object);
/* Whether it lives and is of that kind; says in the log where not. */
EMULATED_API bool emulated_object_is(const void *object, enum emulated_kind kind,
                                     const char *function);
EMULATED_API struct emulated_object *emulated_object_first(void);
/* A line for each that lives and is meant. */
enum emulated_left { EMULATED_ALL, EMULATED_OF_CONTEXT, EMULATED_NOT_DRIVERS };
EMULATED_API void emulated_objects_left(const char *when, enum emulated_left which);

/* memory.c --------------------------------------------------------------------------------------
 */

EMULATED_API int emulated_allocate(const struct emulated_call *call, uint64_t bytes, uint64_t pc,
                                   uint64_t *address);
EMULATED_API int emulated_free(const struct emulated_call *call, uint64_t address, uint64_t pc);
/* Out of the device's default pool, which grows and never shrinks. */
EMULATED_API int emulated_allocate_from_pool(const struct emulated_call *call, uint64_t bytes,
                                             uint64_t pc, uint64_t *address);
/* Memory without an address; no record is made of it. */
EMULATED_API int emulated_physical_take(uint64_t bytes);
EMULATED_API void emulated_physical_give(uint64_t bytes);
/* An address with something behind it that is no part of the device's memory, for a memory node of
 * a graph: what it takes is taken by emulated_physical_take(). */
EMULATED_API int emulated_address_take(uint64_t bytes, uint64_t *address);
EMULATED_API void emulated_address_give(uint64_t address);
/* Whether all of it is in one live allocation; says in the log where not. */
EMULATED_API bool emulated_holds(const char *function, uint64_t address, uint64_t bytes);
/* Whether it is an address that allocations have had and none has now. */
EMULATED_API bool emulated_is_stale(uint64_t address);
EMULATED_API uint64_t emulated_live_bytes(void);
EMULATED_API uint64_t emulated_free_bytes(void);
EMULATED_API void emulated_memory_left(const char *when);
EMULATED_API void emulated_memory_drop(void);

/* processes.c: what the processes that share a file hold ----------------------------------------
 */

/* What this one holds changed. */
EMULATED_API void emulated_processes_tell(void);
/* Up to `room` of those that live and hold something; how many there are. SIZE_MAX: no file. */
struct emulated_process {
    unsigned int pid;
    uint64_t bytes;
};
EMULATED_API size_t emulated_processes_list(struct emulated_process *out, size_t room);

/* queue.c: what streams still have to do --------------------------------------------------------
 */

struct emulated_work;
typedef void emulated_run(const struct emulated_work *work);
struct emulated_work {
    struct emulated_work *next;
    emulated_run *run;
    uint32_t stream, correlation;
    uint64_t queued;
    size_t bytes; /* of the data */
    _Alignas(max_align_t) unsigned char data[];
};
struct emulated_chain {
    struct emulated_work *first, *last;
};
struct emulated_stream {
    struct emulated_object object;
    bool is_blocking; /* waits for the default stream, and it for this */
    struct emulated_chain work;
    struct emulated_chain *captured; /* what is queued goes here instead; NULL: nowhere */
};
struct emulated_event {
    struct emulated_object object;
    bool has_time;
    uint32_t asked, done; /* records queued and passed */
    struct emulated_stream *stream;
    uint64_t time;
};
/* NULL: it is no stream, the log says so. The NULL handle is the default stream. */
EMULATED_API struct emulated_stream *emulated_stream_of(CUstream handle, const char *function);
/* Queues `run` with a copy of `bytes` of data. */
EMULATED_API void emulated_queue(const struct emulated_call *call, struct emulated_stream *stream,
                                 emulated_run *run, const void *data, size_t bytes);
/* Queues all that was captured. */
EMULATED_API void emulated_queue_again(const struct emulated_call *call,
                                       struct emulated_stream *stream,
                                       const struct emulated_chain *captured);
EMULATED_API void emulated_chain_drop(struct emulated_chain *chain);
EMULATED_API void emulated_run_stream(struct emulated_stream *stream);
EMULATED_API void emulated_run_until(struct emulated_event *event);
EMULATED_API void emulated_run_all(void);

/* activity.c: records for CUPTI -----------------------------------------------------------------
 */

EMULATED_API void emulated_activity_enable(uint32_t kind, bool is_on);
/* What hands records on, called without the lock. */
EMULATED_API void emulated_activity_hook(void (*pump)(void));
EMULATED_API bool emulated_external_push(uint32_t kind, uint64_t id);
EMULATED_API bool emulated_external_pop(uint32_t kind, uint64_t *id);
struct emulated_record {
    size_t bytes;
    unsigned char data[256];
};
/* The records so far, to be freed; `*n` of them. */
EMULATED_API struct emulated_record *emulated_activity_take(size_t *n);
struct emulated_pool {
    uint64_t address, bytes, used_bytes;
};
/* `pool`: what it comes out of; NULL: of none. */
void emulated_record_memory(const struct emulated_call *call, bool is_allocation, uint64_t address,
                            uint64_t bytes, uint64_t pc, const struct emulated_pool *pool);
EMULATED_API void emulated_record_call(const struct emulated_call *call, int status);
struct emulated_launch {
    const char *name; /* lives as long as the process */
    uint32_t grid[3], block[3];
};
EMULATED_API void emulated_record_kernel(const struct emulated_work *work,
                                         const struct emulated_launch *launch, uint64_t start);
EMULATED_API void emulated_record_memset(const struct emulated_work *work, uint8_t value,
                                         uint64_t bytes, uint64_t start);
bool emulated_activity_is_due(void);
void emulated_activity_pump(void);

/* kernel.c: the kernels that can be launched ----------------------------------------------------
 */

/* Bytes of the kernel's one argument; 0: there is no such kernel. `*kept` is its name,
 * which stays. */
EMULATED_API size_t emulated_kernel_find(const char *name, const char **kept);
EMULATED_API bool emulated_kernel_run(const struct emulated_launch *launch, const void *argument);
/* The one kernel that is always there: writes `value` n times. */
#define EMULATED_FILL "vb_emulated_fill"
struct emulated_fill {
    uint64_t address;
    uint32_t n;
    float value;
};

#endif
