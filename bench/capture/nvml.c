/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/nvml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/library.h"
#include "capture/nvml_abi.h"

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2 };
enum { SENSOR_GPU = 0 };

/* nvmlMemory_t; `used` holds what the driver keeps for itself. */
struct memory {
    unsigned long long total, free, used;
};

/* Each that was not asked for as optional is there. */
struct table {
    int (*init)(void);
    int (*shutdown)(void);
    int (*get_handle)(const char *bus_id, void **device);
    const char *(*get_error)(int result);
    int (*get_driver_version)(char *text, unsigned int room);
    int (*get_memory)(void *device, struct memory *memory);
    int (*get_processes)(void *device, unsigned int *n, struct vb_nvml_process *processes);
    int (*get_clock)(void *device, int clock, unsigned int *mhz);
    int (*get_temperature)(void *device, int sensor, unsigned int *celsius);
    int (*get_power)(void *device, unsigned int *milliwatts);
    int (*get_power_limit)(void *device, unsigned int *milliwatts);
    int (*get_throttle)(void *device, unsigned long long *reasons);
    int (*get_ecc)(void *device, int *now, int *after_start);
};

static const struct vb_symbol symbols[] = {
    { "nvmlInit_v2", offsetof(struct table, init), false },
    { "nvmlShutdown", offsetof(struct table, shutdown), false },
    { "nvmlDeviceGetHandleByPciBusId_v2", offsetof(struct table, get_handle), false },
    { "nvmlErrorString", offsetof(struct table, get_error), true },
    { "nvmlSystemGetDriverVersion", offsetof(struct table, get_driver_version), true },
    { "nvmlDeviceGetMemoryInfo", offsetof(struct table, get_memory), true },
    { "nvmlDeviceGetComputeRunningProcesses_v3", offsetof(struct table, get_processes), true },
    { "nvmlDeviceGetClockInfo", offsetof(struct table, get_clock), true },
    { "nvmlDeviceGetTemperature", offsetof(struct table, get_temperature), true },
    { "nvmlDeviceGetPowerUsage", offsetof(struct table, get_power), true },
    { "nvmlDeviceGetEnforcedPowerLimit", offsetof(struct table, get_power_limit), true },
    { "nvmlDeviceGetCurrentClocksThrottleReasons", offsetof(struct table, get_throttle), true },
    { "nvmlDeviceGetEccMode", offsetof(struct table, get_ecc), true },
};

struct vb_nvml {
    struct table table;
    struct vb_library library;
    void *device; /* NULL: there is nothing to read */
    bool is_initialized;
    char driver_version[96];
    char why[512];
    bool has_used_at_start;
    uint64_t used_at_start;
    bool is_pid_anothers; /* our id was in the list before we can be: it is another namespace's */
};

static void refuse(struct vb_nvml *nvml, const char *call, int result)
{
    const char *text = nvml->table.get_error != NULL ? nvml->table.get_error(result) : NULL;
    (void)snprintf(nvml->why, sizeof nvml->why, "no NVML: %.200s says %.200s (%d)", call,
                   text != NULL ? text : "an error", result);
}

static bool read_memory(const struct vb_nvml *nvml, struct memory *out)
{
    struct memory memory = { 0 };
    if (nvml->table.get_memory == NULL ||
        nvml->table.get_memory(nvml->device, &memory) != VB_NVML_SUCCESS)
        return false;
    *out = memory;
    return memory.used != VB_NVML_NOT_AVAILABLE;
}

/* The bytes of the process with our id. The list may grow between being counted and being read. */
static bool find_process(const struct vb_nvml *nvml, uint64_t *bytes)
{
    enum { TRIES = 4 };
    bool is_found = false;
    unsigned int room = 64;
    struct vb_nvml_process *processes = NULL;
    int result = nvml->table.get_processes != NULL ? VB_NVML_INSUFFICIENT_SIZE : VB_NVML_SUCCESS;
    unsigned int n = 0;
    for (int i = 0; i < TRIES && result == VB_NVML_INSUFFICIENT_SIZE; i++) {
        struct vb_nvml_process *grown = realloc(processes, room * sizeof *grown);
        if (grown == NULL)
            break;
        processes = grown;
        memset(processes, 0, room * sizeof *processes);
        n = room;
        result = nvml->table.get_processes(nvml->device, &n, processes);
        room = n > room ? n + 16 : 2 * room;
    }
    for (unsigned int i = 0; result == VB_NVML_SUCCESS && i < n; i++) {
        if (processes[i].pid != (unsigned int)getpid() ||
            processes[i].used_bytes == VB_NVML_NOT_AVAILABLE)
            continue;
        *bytes = processes[i].used_bytes;
        is_found = true;
    }
    free(processes);
    return is_found;
}

static void open_device(struct vb_nvml *nvml, const char *bus_id)
{
    static const struct vb_library_query query = {
        .names = { "libnvidia-ml.so.1" },
        .symbols = symbols,
        .n_symbols = sizeof symbols / sizeof *symbols,
    };
    struct vb_error err;
    if (vb_library_open(&query, &nvml->table, &nvml->library, &err) != VB_OK) {
        (void)snprintf(nvml->why, sizeof nvml->why, "no NVML: %.490s", err.text);
        return;
    }
    int result = nvml->table.init();
    nvml->is_initialized = result == VB_NVML_SUCCESS;
    if (result != VB_NVML_SUCCESS && result != VB_NVML_ALREADY_INITIALIZED) {
        refuse(nvml, "nvmlInit_v2", result);
        return;
    }
    if (nvml->table.get_driver_version == NULL ||
        nvml->table.get_driver_version(nvml->driver_version, sizeof nvml->driver_version) !=
            VB_NVML_SUCCESS)
        nvml->driver_version[0] = '\0';
    void *device = NULL;
    result = nvml->table.get_handle(bus_id, &device);
    if (result != VB_NVML_SUCCESS || device == NULL) {
        char call[128];
        (void)snprintf(call, sizeof call, "nvmlDeviceGetHandleByPciBusId_v2(%.40s)", bus_id);
        refuse(nvml, call, result);
        return;
    }
    nvml->device = device;
}

enum vb_status vb_nvml_open(const char *bus_id, struct vb_nvml **out, struct vb_error *err)
{
    struct vb_nvml *nvml = calloc(1, sizeof *nvml);
    if (nvml == NULL)
        return vb_fail(err, VB_E_SYSTEM, "nvml: no host memory");
    open_device(nvml, bus_id);
    if (nvml->device != NULL) {
        struct memory memory;
        uint64_t bytes;
        nvml->has_used_at_start = read_memory(nvml, &memory);
        nvml->used_at_start = nvml->has_used_at_start ? memory.used : 0;
        nvml->is_pid_anothers = find_process(nvml, &bytes);
    }
    *out = nvml;
    return VB_OK;
}

void vb_nvml_close(struct vb_nvml *nvml)
{
    if (nvml == NULL)
        return;
    if (nvml->is_initialized)
        (void)nvml->table.shutdown();
    vb_library_close(&nvml->library);
    free(nvml);
}

const char *vb_nvml_why(const struct vb_nvml *nvml)
{
    return nvml != NULL ? nvml->why : "no NVML";
}

const char *vb_nvml_driver_version(const struct vb_nvml *nvml)
{
    return nvml != NULL ? nvml->driver_version : "";
}

bool vb_nvml_used_at_start(const struct vb_nvml *nvml, uint64_t *bytes)
{
    if (nvml == NULL || !nvml->has_used_at_start)
        return false;
    *bytes = nvml->used_at_start;
    return true;
}

static void read_process(const struct vb_nvml *nvml, struct vb_nvml_reading *out)
{
    if (!nvml->is_pid_anothers && find_process(nvml, &out->process_bytes)) {
        out->process_source = VB_NVML_PROCESS;
        out->has_process = true;
    } else if (out->has_used && nvml->has_used_at_start) {
        bool is_more = out->used_bytes > nvml->used_at_start;
        out->process_source = VB_NVML_DEVICE;
        out->process_bytes = is_more ? out->used_bytes - nvml->used_at_start : 0;
        out->has_process = true;
    }
}

static void read_clocks(const struct vb_nvml *nvml, struct vb_nvml_reading *out)
{
    const struct table *table = &nvml->table;
    unsigned int value = 0;
    out->has_sm_clock = table->get_clock != NULL &&
                        table->get_clock(nvml->device, CLOCK_SM, &value) == VB_NVML_SUCCESS;
    out->sm_clock_mhz = out->has_sm_clock ? value : 0;
    out->has_memory_clock = table->get_clock != NULL &&
                            table->get_clock(nvml->device, CLOCK_MEMORY, &value) == VB_NVML_SUCCESS;
    out->memory_clock_mhz = out->has_memory_clock ? value : 0;
}

static void read_power_and_heat(const struct vb_nvml *nvml, struct vb_nvml_reading *out)
{
    const struct table *table = &nvml->table;
    unsigned int value = 0;
    out->has_temperature =
        table->get_temperature != NULL &&
        table->get_temperature(nvml->device, SENSOR_GPU, &value) == VB_NVML_SUCCESS;
    out->temperature_celsius = out->has_temperature ? value : 0;
    out->has_power =
        table->get_power != NULL && table->get_power(nvml->device, &value) == VB_NVML_SUCCESS;
    out->power_mw = out->has_power ? value : 0;
    out->has_power_limit = table->get_power_limit != NULL &&
                           table->get_power_limit(nvml->device, &value) == VB_NVML_SUCCESS;
    out->power_limit_mw = out->has_power_limit ? value : 0;
}

void vb_nvml_read(struct vb_nvml *nvml, struct vb_nvml_reading *out)
{
    *out = (struct vb_nvml_reading){ 0 };
    if (nvml == NULL || nvml->device == NULL)
        return;
    const struct table *table = &nvml->table;
    struct memory memory;
    out->has_used = read_memory(nvml, &memory);
    out->used_bytes = out->has_used ? memory.used : 0;
    out->has_total = out->has_used && memory.total != 0;
    out->total_bytes = out->has_total ? memory.total : 0;
    read_process(nvml, out);
    read_clocks(nvml, out);
    read_power_and_heat(nvml, out);

    unsigned long long reasons = 0;
    out->has_throttle = table->get_throttle != NULL &&
                        table->get_throttle(nvml->device, &reasons) == VB_NVML_SUCCESS;
    out->throttle_reasons = out->has_throttle ? reasons : 0;
    int now = 0, after_start = 0;
    out->has_ecc = table->get_ecc != NULL &&
                   table->get_ecc(nvml->device, &now, &after_start) == VB_NVML_SUCCESS;
    out->ecc_is_on = out->has_ecc && now != 0;
}
