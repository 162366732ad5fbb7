/* SPDX-License-Identifier: Apache-2.0 */
/* libnvidia-ml.so.1. There is no header for it where it is built: types and numbers are those of
 * NVML's reference. Options in VRAMBENCH_EMULATED_NVML: README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulated.h"

#define OPTIONS "VRAMBENCH_EMULATED_NVML"
#define BEGIN(name) emulated_begin(&call, #name, 0, NEEDS_NOTHING)
#define END(status) emulated_end(&call, status)

enum {
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
};
enum { GRAPHICS_CLOCK, SM_CLOCK, MEMORY_CLOCK, N_CLOCKS };
enum { SOFTWARE_POWER_CAP = 4, IDLE = 1, MOVED_MHZ = 15, MOST_PROCESSES = 256 };

typedef struct nvmlDevice_st *nvmlDevice_t;
struct memory_info {
    unsigned long long total, free, used;
};
struct process_info {
    unsigned int pid;
    unsigned long long used_bytes;
    unsigned int gpu_instance, compute_instance;
};

struct pci_info {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

static int n_users;
static char device;
static unsigned int n_clock_reads;

int EMULATED_API nvmlInit_v2(void);
int EMULATED_API nvmlShutdown(void);
EMULATED_API const char *nvmlErrorString(int status);
int EMULATED_API nvmlSystemGetDriverVersion(char *text, unsigned int room);
int EMULATED_API nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *out);
int EMULATED_API nvmlDeviceGetCount_v2(unsigned int *n);
int EMULATED_API nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *out);
int EMULATED_API nvmlDeviceGetPciInfo_v3(nvmlDevice_t handle, struct pci_info *out);
int EMULATED_API nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, struct memory_info *out);
int EMULATED_API nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t handle, unsigned int *n,
                                                         struct process_info *out);
int EMULATED_API nvmlDeviceGetClockInfo(nvmlDevice_t handle, int type, unsigned int *mhz);
int EMULATED_API nvmlDeviceGetTemperature(nvmlDevice_t handle, int sensor, unsigned int *celsius);
int EMULATED_API nvmlDeviceGetPowerUsage(nvmlDevice_t handle, unsigned int *milliwatts);
int EMULATED_API nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t handle, unsigned int *milliwatts);
int EMULATED_API nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t handle,
                                                           unsigned long long *reasons);
int EMULATED_API nvmlDeviceGetEccMode(nvmlDevice_t handle, int *current, int *pending);

int nvmlInit_v2(void)
{
    struct emulated_call call;
    int status = BEGIN(nvmlInit_v2);
    if (status == 0 && (emulated_option(OPTIONS, "absent", NULL) || !emulated_settings()->is_valid))
        status = DRIVER_NOT_LOADED;
    if (status == 0)
        n_users++;
    return END(status);
}

int nvmlShutdown(void)
{
    struct emulated_call call;
    int status = BEGIN(nvmlShutdown);
    if (status == 0 && n_users == 0) {
        emulated_log("nvmlShutdown: it was not initialised");
        status = UNINITIALIZED;
    }
    if (emulated_goes_on(&call, status) && n_users > 0)
        n_users--;
    return END(status);
}

__attribute__((destructor)) static void finish(void)
{
    if (n_users > 0)
        emulated_log("left: NVML initialised %d times more than shut down", n_users);
}

const char *nvmlErrorString(int status)
{
    static const char *const texts[] = {
        "Success",           "Uninitialized",     "Invalid Argument",
        "Not Supported",     "No Permissions",    "Already Initialized",
        "Not Found",         "Insufficient Size", "Insufficient Power",
        "Driver Not Loaded",
    };
    const bool is_known = status >= 0 && status < (int)(sizeof texts / sizeof *texts);
    return is_known ? texts[status] : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *text, unsigned int room)
{
    struct emulated_call call;
    int status = BEGIN(nvmlSystemGetDriverVersion);
    if (status == 0 && n_users == 0)
        status = UNINITIALIZED;
    if (status == 0)
        (void)snprintf(text, room, "580.65.06 (emulated)");
    return END(status);
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *out)
{
    struct emulated_call call;
    unsigned int domain = 0, bus = 0, slot = 0;
    int status = BEGIN(nvmlDeviceGetHandleByPciBusId_v2);
    if (status == 0 && n_users == 0)
        status = UNINITIALIZED;
    if (status == 0 && (sscanf(bus_id, "%x:%x:%x.0", &domain, &bus, &slot) != 3 || domain != 0 ||
                        bus != 1 || slot != 0))
        status = NOT_FOUND;
    if (status == 0)
        *out = (nvmlDevice_t)(void *)&device;
    return END(status);
}

int nvmlDeviceGetCount_v2(unsigned int *n)
{
    struct emulated_call call;
    int status = BEGIN(nvmlDeviceGetCount_v2);
    if (status == 0 && n_users == 0)
        status = UNINITIALIZED;
    if (status == 0)
        *n = 1;
    return END(status);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *out)
{
    struct emulated_call call;
    int status = BEGIN(nvmlDeviceGetHandleByIndex_v2);
    if (status == 0 && n_users == 0)
        status = UNINITIALIZED;
    if (status == 0 && index != 0)
        status = INVALID_ARGUMENT;
    if (status == 0)
        *out = (nvmlDevice_t)(void *)&device;
    return END(status);
}

static int check_device(int status, nvmlDevice_t handle)
{
    if (status != 0)
        return status;
    return n_users == 0 ? UNINITIALIZED : (const char *)handle != &device ? INVALID_ARGUMENT : 0;
}

int nvmlDeviceGetPciInfo_v3(nvmlDevice_t handle, struct pci_info *out)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetPciInfo_v3), handle);
    if (status == 0)
        *out = (struct pci_info){ .bus_id_legacy = "0000:01:00.0",
                                  .bus = 1,
                                  .bus_id = "00000000:01:00.0" };
    return END(status);
}

static uint64_t used_bytes(void)
{
    const uint64_t context_bytes =
        emulated_driver()->context != NULL ? emulated_settings()->gpu.context_bytes : 0;
    return context_bytes + emulated_live_bytes();
}

int nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, struct memory_info *out)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetMemoryInfo), handle);
    const uint64_t total = emulated_settings()->capacity_bytes;
    if (status == 0)
        *out = (struct memory_info){ total, total - used_bytes(), used_bytes() };
    return END(status);
}

/* This one and, where a file is shared, the others. */
static size_t list_processes(struct emulated_process *out, size_t room)
{
    if (emulated_option(OPTIONS, "noprocess", NULL))
        return 0;
    const size_t n = emulated_processes_list(out, room);
    if (n != SIZE_MAX)
        return n;
    out[0] = (struct emulated_process){ (unsigned int)getpid(), used_bytes() };
    return emulated_driver()->context != NULL ? 1 : 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t handle, unsigned int *n,
                                            struct process_info *out)
{
    struct emulated_call call;
    struct emulated_process list[MOST_PROCESSES];
    int status = check_device(BEGIN(nvmlDeviceGetComputeRunningProcesses_v3), handle);
    if (status != 0)
        return END(status);
    const unsigned int room = *n;
    *n = (unsigned int)list_processes(list, MOST_PROCESSES);
    if (room < *n)
        return END(INSUFFICIENT_SIZE);
    for (unsigned int i = 0; i < *n; i++)
        out[i] = (struct process_info){ list[i].pid, list[i].bytes, UINT32_MAX, UINT32_MAX };
    return END(0);
}

/* With "moving" they go down at each look, as those of a card that grows hot. */
int nvmlDeviceGetClockInfo(nvmlDevice_t handle, int type, unsigned int *mhz)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetClockInfo), handle);
    if (status == 0 && (type < 0 || type >= N_CLOCKS))
        status = NOT_SUPPORTED;
    if (status != 0)
        return END(status);
    *mhz = (unsigned int)(emulated_property(type == MEMORY_CLOCK ? "memClockRateKHz"
                                                                 : "smClockRateKHz") /
                          1000);
    if (type != MEMORY_CLOCK && emulated_option(OPTIONS, "moving", NULL)) {
        const unsigned int down = MOVED_MHZ * n_clock_reads++;
        *mhz = down < *mhz / 2 ? *mhz - down : *mhz / 2;
    }
    return END(0);
}

int nvmlDeviceGetTemperature(nvmlDevice_t handle, int sensor, unsigned int *celsius)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetTemperature), handle);
    if (status == 0 && sensor != 0)
        status = INVALID_ARGUMENT;
    if (status == 0)
        *celsius = 50;
    return END(status);
}

int nvmlDeviceGetPowerUsage(nvmlDevice_t handle, unsigned int *milliwatts)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetPowerUsage), handle);
    if (status == 0)
        *milliwatts = 100000;
    return END(status);
}

int nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t handle, unsigned int *milliwatts)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetEnforcedPowerLimit), handle);
    if (status == 0)
        *milliwatts = 350000;
    return END(status);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t handle, unsigned long long *reasons)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetCurrentClocksThrottleReasons), handle);
    if (status == 0)
        *reasons = emulated_option(OPTIONS, "moving", NULL) ? SOFTWARE_POWER_CAP
                   : emulated_driver()->context == NULL     ? IDLE
                                                            : 0;
    return END(status);
}

int nvmlDeviceGetEccMode(nvmlDevice_t handle, int *current, int *pending)
{
    struct emulated_call call;
    int status = check_device(BEGIN(nvmlDeviceGetEccMode), handle);
    if (status == 0)
        *current = *pending = 0;
    return END(status);
}
