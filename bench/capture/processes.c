/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/processes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/library.h"
#include "capture/nvml_abi.h"

enum { MOST_GPUS = 64, TRIES = 4 };

/* nvmlPciInfo_t of the third version. */
struct pci {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

struct table {
    int (*init)(void);
    int (*shutdown)(void);
    int (*get_count)(unsigned int *n);
    int (*get_handle)(unsigned int index, void **device);
    int (*get_processes)(void *device, unsigned int *n, struct vb_nvml_process *processes);
    int (*get_pci)(void *device, struct pci *pci);
    const char *(*get_error)(int result);
};

static const struct vb_symbol symbols[] = {
    { "nvmlInit_v2", offsetof(struct table, init), false },
    { "nvmlShutdown", offsetof(struct table, shutdown), false },
    { "nvmlDeviceGetCount_v2", offsetof(struct table, get_count), false },
    { "nvmlDeviceGetHandleByIndex_v2", offsetof(struct table, get_handle), false },
    { "nvmlDeviceGetComputeRunningProcesses_v3", offsetof(struct table, get_processes), false },
    { "nvmlDeviceGetPciInfo_v3", offsetof(struct table, get_pci), true },
    { "nvmlErrorString", offsetof(struct table, get_error), true },
};

struct gpu {
    void *device;
    char bus_id[32];
};

struct vb_processes {
    struct table table;
    struct vb_library library;
    bool is_initialized;
    struct gpu gpus[MOST_GPUS];
    size_t n_gpus;
    struct vb_nvml_process *list;
    unsigned int room;
    char why[512];
};

static void refuse(struct vb_processes *processes, const char *call, int result)
{
    const char *text =
        processes->table.get_error != NULL ? processes->table.get_error(result) : NULL;
    (void)snprintf(processes->why, sizeof processes->why, "no NVML: %s says %.200s (%d)", call,
                   text != NULL ? text : "an error", result);
}

static void find_gpus(struct vb_processes *processes)
{
    const struct table *table = &processes->table;
    unsigned int n = 0;
    int result = table->init();
    processes->is_initialized = result == VB_NVML_SUCCESS;
    if (result != VB_NVML_SUCCESS) {
        refuse(processes, "nvmlInit_v2", result);
        return;
    }
    result = table->get_count(&n);
    if (result != VB_NVML_SUCCESS) {
        refuse(processes, "nvmlDeviceGetCount_v2", result);
        return;
    }
    for (unsigned int i = 0; i < n && i < MOST_GPUS; i++) {
        struct gpu *gpu = &processes->gpus[processes->n_gpus];
        struct pci pci = { .bus_id = "" };
        if (table->get_handle(i, &gpu->device) != VB_NVML_SUCCESS)
            continue; /* one that this user may not have */
        if (table->get_pci != NULL && table->get_pci(gpu->device, &pci) == VB_NVML_SUCCESS)
            (void)snprintf(gpu->bus_id, sizeof gpu->bus_id, "%04X:%02X:%02X.0", pci.domain, pci.bus,
                           pci.device);
        processes->n_gpus++;
    }
}

enum vb_status vb_processes_open(struct vb_processes **out, struct vb_error *err)
{
    static const struct vb_library_query query = {
        .names = { "libnvidia-ml.so.1" },
        .symbols = symbols,
        .n_symbols = sizeof symbols / sizeof *symbols,
    };
    struct vb_error inner;
    struct vb_processes *processes = calloc(1, sizeof *processes);
    if (processes == NULL)
        return vb_fail(err, VB_E_SYSTEM, "nvml: no host memory");
    if (vb_library_open(&query, &processes->table, &processes->library, &inner) == VB_OK)
        find_gpus(processes);
    else
        (void)snprintf(processes->why, sizeof processes->why, "no NVML: %.490s", inner.text);
    *out = processes;
    return VB_OK;
}

void vb_processes_close(struct vb_processes *processes)
{
    if (processes == NULL)
        return;
    if (processes->is_initialized)
        (void)processes->table.shutdown();
    vb_library_close(&processes->library);
    free(processes->list);
    free(processes);
}

const char *vb_processes_why(const struct vb_processes *processes)
{
    return processes->why;
}

size_t vb_processes_n_gpus(const struct vb_processes *processes)
{
    return processes->n_gpus;
}

const char *vb_processes_bus_id(const struct vb_processes *processes, size_t gpu)
{
    return processes->gpus[gpu].bus_id;
}

/* The list may grow between being counted and being read. */
static bool read_list(struct vb_processes *processes, void *device, unsigned int *n)
{
    int result = VB_NVML_INSUFFICIENT_SIZE;
    for (int i = 0; i < TRIES && result == VB_NVML_INSUFFICIENT_SIZE; i++) {
        unsigned int room = processes->room > 0 ? 2 * processes->room : 64;
        if (i > 0 || processes->list == NULL) {
            struct vb_nvml_process *grown = realloc(processes->list, room * sizeof *grown);
            if (grown == NULL)
                return false;
            processes->list = grown;
            processes->room = room;
        }
        *n = processes->room;
        result = processes->table.get_processes(device, n, processes->list);
    }
    return result == VB_NVML_SUCCESS;
}

bool vb_processes_each(struct vb_processes *processes, size_t gpu,
                       void (*tell)(void *context, uint32_t pid, uint64_t bytes), void *context)
{
    unsigned int n = 0;
    if (!read_list(processes, processes->gpus[gpu].device, &n))
        return false;
    for (unsigned int i = 0; i < n; i++) {
        if (processes->list[i].used_bytes != VB_NVML_NOT_AVAILABLE)
            tell(context, processes->list[i].pid, processes->list[i].used_bytes);
    }
    return true;
}
