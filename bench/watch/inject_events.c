/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/inject_events.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/cupti_memory.h"
#include "watch/format.h"
#include "watch/inject_driver.h"
#include "watch/inject_file.h"
#include "watch/inject_loaded.h"

enum { ROOM = 2048, MOST_CALLS = 256, MOST_CODE = 128 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct vb_watch_event events[ROOM];
static size_t n_events;
static uint64_t n_dropped, n_told;
static bool is_written; /* something, since the last description */

/* Addresses of calls whose code is not described yet, each once, and stretches that are. */
static uint64_t calls[MOST_CALLS];
static size_t n_calls;
static struct {
    uint64_t from, to;
} code[MOST_CODE];
static size_t n_code;
static bool is_device_seen[VB_INJECT_MOST_DEVICES], is_device_told[VB_INJECT_MOST_DEVICES];

void vb_inject_events_lock(void)
{
    (void)pthread_mutex_lock(&mutex);
}

bool vb_inject_events_try_lock(int seconds)
{
    struct timespec until = { 0 };
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return pthread_mutex_timedlock(&mutex, &until) == 0;
}

void vb_inject_events_unlock(void)
{
    (void)pthread_mutex_unlock(&mutex);
}

static void note_call(uint64_t address)
{
    for (size_t i = 0; i < n_code; i++) {
        if (address >= code[i].from && address < code[i].to)
            return;
    }
    for (size_t i = 0; i < n_calls; i++) {
        if (calls[i] == address)
            return;
    }
    if (address != 0 && n_calls < MOST_CALLS)
        calls[n_calls++] = address;
}

static void add(struct vb_watch_event event)
{
    if (n_events == ROOM)
        vb_inject_events_write();
    events[n_events++] = event;
}

void vb_inject_events_add(const CUpti_Activity *record)
{
    struct vb_memory_event event;
    if (!vb_cupti_memory_event(record, &event))
        return;
    const struct vb_cupti_origin origin = vb_cupti_memory_origin(record);
    add((struct vb_watch_event){
        .ns = event.ns,
        .address = event.address,
        .bytes = event.bytes,
        .call_address = origin.call_address,
        .correlation = event.correlation,
        .device = origin.device,
        .kind = (uint8_t)event.kind,
        .change = (uint8_t)event.change,
        .from = (uint8_t)((origin.is_pool ? VB_WATCH_POOL : 0) |
                          (origin.is_array ? VB_WATCH_ARRAY : 0) |
                          (origin.is_variable ? VB_WATCH_VARIABLE : 0)),
    });
    if (origin.device < VB_INJECT_MOST_DEVICES)
        is_device_seen[origin.device] = true;
    note_call(origin.call_address);
}

void vb_inject_events_graphs(uint32_t device, uint64_t ns, uint64_t bytes)
{
    add((struct vb_watch_event){ .ns = ns,
                                 .address = VB_WATCH_GRAPHS_ADDRESS,
                                 .bytes = bytes,
                                 .device = device,
                                 .kind = VB_MEMORY_DEVICE,
                                 .change = VB_MEMORY_RESIZED,
                                 .from = VB_WATCH_GRAPHS });
}

bool vb_inject_events_has_device(uint32_t device)
{
    return device < VB_INJECT_MOST_DEVICES && is_device_seen[device];
}

void vb_inject_events_dropped(uint64_t n)
{
    n_dropped += n;
}

void vb_inject_events_write(void)
{
    if (n_events > 0 &&
        !vb_inject_file_write(VB_WATCH_EVENTS, events, n_events * sizeof *events, NULL, 0))
        n_dropped += n_events;
    is_written = is_written || n_events > 0;
    n_events = 0;
    if (n_dropped > n_told)
        vb_inject_file_dropped(n_dropped);
    n_told = n_dropped;
}

/* Looked for without the lock, which the loader's may be waited for with. */
static void describe_call(uint64_t address)
{
    struct vb_loaded_code found;
    if (!vb_loaded_code_at(address, &found))
        return;
    const struct vb_watch_module module = { found.from, found.to, found.offset };
    vb_inject_events_lock();
    bool is_told = false;
    for (size_t i = 0; i < n_code; i++)
        is_told = is_told || code[i].from == found.from;
    if (!is_told && n_code < MOST_CODE) {
        code[n_code].from = found.from;
        code[n_code++].to = found.to;
        (void)vb_inject_file_write(VB_WATCH_MODULE, &module, sizeof module, found.path,
                                   strlen(found.path));
    }
    vb_inject_events_unlock();
}

static void describe_device(uint32_t device)
{
    struct vb_watch_device told = { .device = device };
    if (!vb_inject_driver_bus_id(device, told.bus_id, sizeof told.bus_id))
        return;
    vb_inject_events_lock();
    (void)vb_inject_file_write(VB_WATCH_DEVICE, &told, sizeof told, NULL, 0);
    vb_inject_events_unlock();
}

void vb_inject_events_describe(bool *is_any)
{
    uint64_t seen[MOST_CALLS];
    bool is_new[VB_INJECT_MOST_DEVICES] = { false };
    vb_inject_events_lock();
    size_t n = n_calls;
    memcpy(seen, calls, n * sizeof *seen);
    n_calls = 0;
    for (size_t i = 0; i < VB_INJECT_MOST_DEVICES; i++) {
        is_new[i] = is_device_seen[i] && !is_device_told[i];
        is_device_told[i] = is_device_seen[i];
    }
    *is_any = is_written;
    is_written = false;
    vb_inject_events_unlock();
    for (size_t i = 0; i < n; i++)
        describe_call(seen[i]);
    for (uint32_t i = 0; i < VB_INJECT_MOST_DEVICES; i++) {
        if (is_new[i])
            describe_device(i);
    }
}
