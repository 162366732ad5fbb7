/* SPDX-License-Identifier: Apache-2.0 */
/* The device's memory, which is the host's. Each allocation lies below the one before, as the cpu
 * and virtual devices' segments do, with a gap below it that nothing is mapped to. No address is
 * given twice: what is used after it was freed ends the process, or is found by looking.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "emulated.h"

#define GRANULE_BYTES ((uint64_t)2 << 20)
#define LARGEST_HOLE_BYTES ((uint64_t)1 << 44)
#define LEAST_HOLE_BYTES ((uint64_t)1 << 30)
#define FILLED_BYTES ((uint64_t)256 << 20) /* larger ones are not filled, to spare the host */

#define POOL_GRANULE_BYTES ((uint64_t)32 << 20)
#define POOL_ADDRESS ((uint64_t)1 << 20) /* of the pool itself: no allocation has it */

enum owner { OWN, OF_POOL, OF_GRAPH }; /* whose bytes an allocation's are */
struct allocation {
    uint64_t address, asked_bytes, bytes;
    enum owner owner;
};

static struct allocation *live;
static size_t n_live, room;
static uint64_t live_bytes, physical_bytes, top, lowest;
static struct emulated_pool pool = { .address = POOL_ADDRESS };

static void *at(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* The middle of the largest hole there is, as the cpu device has it. */
static uint64_t find_place(void)
{
    for (uint64_t bytes = LARGEST_HOLE_BYTES; bytes >= LEAST_HOLE_BYTES; bytes /= 2) {
        void *hole =
            mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (hole == MAP_FAILED)
            continue;
        (void)munmap(hole, bytes);
        return ((uint64_t)(uintptr_t)hole + bytes / 2) & ~(GRANULE_BYTES - 1);
    }
    abort();
}

uint64_t emulated_live_bytes(void)
{
    return live_bytes + physical_bytes + pool.bytes;
}

uint64_t emulated_free_bytes(void)
{
    const struct emulated_settings *settings = emulated_settings();
    const uint64_t taken = settings->gpu.context_bytes + emulated_live_bytes();
    return settings->capacity_bytes > taken ? settings->capacity_bytes - taken : 0;
}

static bool make_room(void)
{
    if (n_live < room)
        return true;
    size_t more = room > 0 ? 2 * room : 64;
    struct allocation *grown = realloc(live, more * sizeof *live);
    if (grown == NULL)
        return false;
    live = grown;
    room = more;
    return true;
}

/* NULL: the host has no room for it. */
static struct allocation *map(uint64_t bytes, uint64_t whole)
{
    if (top == 0)
        top = lowest = find_place();
    const uint64_t place = lowest - whole - GRANULE_BYTES;
    void *memory = mmap(at(place), whole, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (whole <= FILLED_BYTES)
        memset(memory, 0xff, whole);
    live[n_live] = (struct allocation){ place, bytes, whole, OWN };
    lowest = place;
    return &live[n_live++];
}

int emulated_allocate(const struct emulated_call *call, uint64_t bytes, uint64_t pc,
                      uint64_t *address)
{
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    const uint64_t whole = vb_round_up(bytes, GRANULE_BYTES);
    if (whole > emulated_free_bytes() || !make_room())
        return CUDA_ERROR_OUT_OF_MEMORY;
    const struct allocation *made = map(bytes, whole);
    if (made == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    live_bytes += whole;
    *address = made->address;
    emulated_record_memory(call, true, made->address, bytes, pc, NULL);
    emulated_processes_tell();
    return CUDA_SUCCESS;
}

int emulated_allocate_from_pool(const struct emulated_call *call, uint64_t bytes, uint64_t pc,
                                uint64_t *address)
{
    const uint64_t whole = vb_round_up(bytes, GRANULE_BYTES);
    const uint64_t used = pool.used_bytes + bytes;
    const uint64_t held = vb_round_up(used, POOL_GRANULE_BYTES);
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (held < bytes || !make_room() ||
        (held > pool.bytes && held - pool.bytes > emulated_free_bytes()))
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct allocation *made = map(bytes, whole);
    if (made == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->owner = OF_POOL;
    pool.used_bytes = used;
    pool.bytes = held > pool.bytes ? held : pool.bytes;
    *address = made->address;
    emulated_record_memory(call, true, made->address, bytes, pc, &pool);
    emulated_processes_tell();
    return CUDA_SUCCESS;
}

static size_t find(uint64_t address)
{
    size_t i = 0;
    while (i < n_live && live[i].address != address)
        i++;
    return i;
}

static void unmap(size_t i)
{
    (void)munmap(at(live[i].address), live[i].bytes);
    live[i] = live[--n_live];
}

int emulated_free(const struct emulated_call *call, uint64_t address, uint64_t pc)
{
    const size_t i = find(address);
    if (i == n_live || live[i].owner == OF_GRAPH) {
        emulated_log("%s: 0x%llx is no live allocation%s", call->function,
                     (unsigned long long)address,
                     emulated_is_stale(address) ? ", it was freed" : "");
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (live[i].owner == OF_POOL)
        pool.used_bytes -= live[i].asked_bytes;
    else
        live_bytes -= live[i].bytes;
    emulated_record_memory(call, false, address, live[i].asked_bytes, pc,
                           live[i].owner == OF_POOL ? &pool : NULL);
    unmap(i);
    emulated_processes_tell();
    return CUDA_SUCCESS;
}

int emulated_address_take(uint64_t bytes, uint64_t *address)
{
    const uint64_t whole = vb_round_up(bytes, GRANULE_BYTES);
    if (bytes == 0 || whole == UINT64_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    struct allocation *made = make_room() ? map(bytes, whole) : NULL;
    if (made == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->owner = OF_GRAPH;
    *address = made->address;
    return CUDA_SUCCESS;
}

void emulated_address_give(uint64_t address)
{
    const size_t i = find(address);
    if (i < n_live)
        unmap(i);
}

int emulated_physical_take(uint64_t bytes)
{
    if (bytes == 0 || bytes % GRANULE_BYTES != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > emulated_free_bytes())
        return CUDA_ERROR_OUT_OF_MEMORY;
    physical_bytes += bytes;
    emulated_processes_tell();
    return CUDA_SUCCESS;
}

void emulated_physical_give(uint64_t bytes)
{
    physical_bytes -= bytes;
    emulated_processes_tell();
}

static bool is_inside(uint64_t address, uint64_t bytes)
{
    for (size_t i = 0; i < n_live; i++) {
        if (address >= live[i].address && bytes <= live[i].asked_bytes &&
            address - live[i].address <= live[i].asked_bytes - bytes)
            return true;
    }
    return false;
}

bool emulated_is_stale(uint64_t address)
{
    return address >= lowest && address < top && !is_inside(address, 1);
}

bool emulated_holds(const char *function, uint64_t address, uint64_t bytes)
{
    if (is_inside(address, bytes))
        return true;
    emulated_log("%s: %llu B at 0x%llx are not inside a live allocation%s", function,
                 (unsigned long long)bytes, (unsigned long long)address,
                 emulated_is_stale(address) ? ", but in a freed one or beyond its end" : "");
    return false;
}

void emulated_memory_left(const char *when)
{
    for (size_t i = 0; i < n_live; i++) {
        if (live[i].owner != OF_GRAPH) /* the graph itself is told */
            emulated_log("%s: allocation of %llu B", when, (unsigned long long)live[i].asked_bytes);
    }
}

void emulated_memory_drop(void)
{
    while (n_live > 0) {
        n_live--;
        (void)munmap(at(live[n_live].address), live[n_live].bytes);
    }
    live_bytes = physical_bytes = pool.bytes = pool.used_bytes = 0;
}
