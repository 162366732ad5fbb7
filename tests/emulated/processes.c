/* SPDX-License-Identifier: Apache-2.0 */
/* What each process holds of the device, in a file that VRAMBENCH_EMULATED_PROCESSES names and all
 * map: NVML's stand-in in one process then tells of the others. Under the lock. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emulated.h"

enum { SLOTS = 256 };

struct slot {
    atomic_uint pid; /* 0: free */
    _Atomic uint64_t bytes;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct slot *slots; /* NULL: nothing is shared */
static struct slot *own;

static void map_file(void)
{
    const char *path = getenv("VRAMBENCH_EMULATED_PROCESSES");
    if (path == NULL)
        return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const bool has_room = file >= 0 && ftruncate(file, SLOTS * sizeof *slots) == 0;
    void *mapped =
        has_room ? mmap(NULL, SLOTS * sizeof *slots, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                 : MAP_FAILED;
    if (file >= 0)
        (void)close(file);
    if (mapped == MAP_FAILED)
        emulated_log("settings: VRAMBENCH_EMULATED_PROCESSES=%s: cannot be mapped", path);
    else
        slots = mapped;
}

static bool is_alive(unsigned int pid)
{
    return kill((pid_t)pid, 0) == 0;
}

/* Free, or of one that is no more. */
static struct slot *take_slot(void)
{
    const unsigned int mine = (unsigned int)getpid();
    for (size_t i = 0; i < SLOTS; i++) {
        unsigned int pid = atomic_load(&slots[i].pid);
        if ((pid == 0 || pid == mine || !is_alive(pid)) &&
            atomic_compare_exchange_strong(&slots[i].pid, &pid, mine))
            return &slots[i];
    }
    return NULL;
}

void emulated_processes_tell(void)
{
    const struct emulated_driver *driver = emulated_driver();
    (void)pthread_once(&once, map_file);
    if (slots == NULL)
        return;
    if (own == NULL)
        own = take_slot();
    const uint64_t context = driver->context != NULL ? emulated_settings()->gpu.context_bytes : 0;
    if (own != NULL)
        atomic_store(&own->bytes, context + emulated_live_bytes());
}

size_t emulated_processes_list(struct emulated_process *out, size_t room)
{
    size_t n = 0;
    (void)pthread_once(&once, map_file);
    if (slots == NULL)
        return SIZE_MAX;
    for (size_t i = 0; i < SLOTS; i++) {
        const unsigned int pid = atomic_load(&slots[i].pid);
        const uint64_t bytes = atomic_load(&slots[i].bytes);
        if (pid == 0 || bytes == 0 || !is_alive(pid))
            continue;
        if (n < room)
            out[n] = (struct emulated_process){ pid, bytes };
        n++;
    }
    return n;
}
