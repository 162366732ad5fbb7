/* SPDX-License-Identifier: Apache-2.0 */
/* The frame that every call of the four libraries goes through; what is left when the process ends
 * is said here too. */
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "emulated.h"

enum { MAX_FUNCTIONS = 128, STICKY = 700 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct emulated_driver driver;
static uint32_t correlation;
static struct {
    const char *function;
    uint64_t n;
} counts[MAX_FUNCTIONS];
static size_t n_counts;
static _Thread_local struct emulated_object *current;

struct emulated_driver *emulated_driver(void)
{
    return &driver;
}

struct emulated_object **emulated_current(void)
{
    return &current;
}

uint64_t emulated_now(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void emulated_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void emulated_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static uint64_t count(const char *function)
{
    size_t i = 0;
    while (i < n_counts && strcmp(counts[i].function, function) != 0)
        i++;
    if (i == MAX_FUNCTIONS)
        abort();
    if (i == n_counts)
        counts[n_counts++].function = function;
    return ++counts[i].n;
}

/* What a library says where it is not told what to say. */
static int usual_status(const struct emulated_call *call)
{
    if (call->is_driver)
        return CUDA_ERROR_INVALID_VALUE;
    return strncmp(call->function, "cudnn", 5) == 0 ? 4000 /* CUDNN_STATUS_INTERNAL_ERROR */
                                                    : 999; /* CUPTI's and NVML's unknown error */
}

/* VRAMBENCH_EMULATED_FAIL=function:nth[:status] */
static int injected_status(const struct emulated_call *call, uint64_t nth)
{
    const char *fault = getenv("VRAMBENCH_EMULATED_FAIL");
    const size_t length = strlen(call->function);
    if (fault == NULL || strncmp(fault, call->function, length) != 0 || fault[length] != ':')
        return 0;
    char *end = NULL;
    if (strtoull(fault + length + 1, &end, 10) != nth)
        return 0;
    return *end == ':' ? (int)strtol(end + 1, NULL, 10) : usual_status(call);
}

static int state_status(const struct emulated_call *call, enum emulated_needs needs)
{
    if (call->is_driver && driver.sticky != 0)
        return driver.sticky;
    if (call->is_driver && driver.process != 0 && driver.process != getpid() && !emulated_walks())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (needs >= NEEDS_INIT && !driver.is_initialised)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (needs < NEEDS_CONTEXT || (current != NULL && current == driver.context))
        return 0;
    emulated_log("%s: no context is current in this thread", call->function);
    return current == NULL ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

int emulated_begin(struct emulated_call *call, const char *function, uint32_t cbid,
                   enum emulated_needs needs)
{
    emulated_lock();
    *call = (struct emulated_call){
        .function = function,
        .cbid = cbid,
        .correlation = ++correlation,
        .start = emulated_now(),
        .is_driver = isupper((unsigned char)function[2]) != 0,
    };
    const uint64_t nth = count(function);
    const int status = state_status(call, needs);
    int injected = injected_status(call, nth);
    if (status == 0 && injected == 0)
        injected = emulated_walk(function, nth);
    if (status != 0 || injected == 0)
        return status;
    call->is_injected = true;
    call->injected = injected;
    if (call->is_driver && injected >= STICKY)
        driver.sticky = injected;
    return injected;
}

int emulated_end(struct emulated_call *call, int status)
{
    status = call->is_injected ? call->injected : status;
    if (call->is_driver)
        emulated_record_call(call, status);
    const bool is_due = emulated_activity_is_due();
    emulated_unlock();
    if (is_due)
        emulated_activity_pump();
    return status;
}

static void write_counts(void)
{
    const char *path = getenv("VRAMBENCH_EMULATED_COUNTS");
    FILE *file = path != NULL ? fopen(path, "a") : NULL;
    for (size_t i = 0; i < n_counts && file != NULL; i++)
        (void)fprintf(file, "%s %llu\n", counts[i].function, (unsigned long long)counts[i].n);
    if (file != NULL)
        (void)fclose(file);
}

/* After an error that sticks nothing can be given back to the driver. */
__attribute__((destructor)) static void finish(void)
{
    if (driver.process != 0 && driver.process != getpid() && !emulated_walks())
        return; /* a child of who has it all */
    write_counts();
    if (driver.sticky == 0)
        emulated_memory_left("left");
    emulated_objects_left("left", driver.sticky == 0 ? EMULATED_ALL : EMULATED_NOT_DRIVERS);
}
