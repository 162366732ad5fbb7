/* SPDX-License-Identifier: Apache-2.0 */
/* An NVML that does what a test tells it: VB_FAKE_NVML lists NAME=NUMBER, where a function's name
 * is what it returns and any other a figure. Built a second time without the functions that need
 * not be there (VB_FAKE_BARE). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct memory {
    unsigned long long total, free, used;
};

struct process {
    unsigned int pid;
    unsigned long long used;
    unsigned int gpu_instance, compute_instance;
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, void **device);

static unsigned long long told(const char *name, unsigned long long otherwise)
{
    const char *text = getenv("VB_FAKE_NVML");
    size_t length = strlen(name);
    while (text != NULL && *text != '\0') {
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return strtoull(text + length + 1, NULL, 10);
        text += strcspn(text, ",");
        text += *text == ',';
    }
    return otherwise;
}

int nvmlInit_v2(void)
{
    return (int)told("nvmlInit_v2", 0);
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, void **device)
{
    static int card;
    *device = &card;
    return strcmp(bus_id, "0000:01:00.0") == 0 ? 0 : 6;
}

#ifndef VB_FAKE_BARE
static int result(const char *name)
{
    return (int)told(name, told("all", 0));
}

const char *nvmlErrorString(int status);
int nvmlSystemGetDriverVersion(char *text, unsigned int room);
int nvmlDeviceGetMemoryInfo(void *device, struct memory *out);
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *n, struct process *out);
int nvmlDeviceGetClockInfo(void *device, int clock, unsigned int *out);
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *out);
int nvmlDeviceGetPowerUsage(void *device, unsigned int *out);
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *out);
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out);
int nvmlDeviceGetEccMode(void *device, int *now, int *pending);

const char *nvmlErrorString(int status)
{
    return status == 6 ? "Not Found" : "Some Error";
}

int nvmlSystemGetDriverVersion(char *text, unsigned int room)
{
    (void)snprintf(text, room, "580.65.06");
    return result("nvmlSystemGetDriverVersion");
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *out)
{
    (void)device;
    out->total = 10000;
    out->used = told("used", 100);
    out->free = out->total - out->used;
    return result("nvmlDeviceGetMemoryInfo");
}

/* `others` processes, then ours with `process` bytes if told. */
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *n, struct process *out)
{
    (void)device;
    unsigned int others = (unsigned int)told("others", 1);
    unsigned long long ours = told("process", 0);
    unsigned int needed = others + (ours > 0), room = *n;
    *n = needed;
    if (room < needed)
        return 7;
    for (unsigned int i = 0; i < others; i++)
        out[i] = (struct process){ 1, 77, ~0u, ~0u };
    if (ours > 0)
        out[others] = (struct process){ (unsigned int)getpid(), ours, ~0u, ~0u };
    return result("nvmlDeviceGetComputeRunningProcesses_v3");
}

int nvmlDeviceGetClockInfo(void *device, int clock, unsigned int *out)
{
    (void)device;
    *out = clock == 1 ? 1500 : clock == 2 ? 9000 : 1;
    return result("nvmlDeviceGetClockInfo");
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *out)
{
    (void)device;
    (void)sensor;
    *out = 65;
    return result("nvmlDeviceGetTemperature");
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *out)
{
    (void)device;
    *out = 300000;
    return result("nvmlDeviceGetPowerUsage");
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *out)
{
    (void)device;
    *out = 350000;
    return result("nvmlDeviceGetEnforcedPowerLimit");
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out)
{
    (void)device;
    *out = 0x44;
    return result("nvmlDeviceGetCurrentClocksThrottleReasons");
}

int nvmlDeviceGetEccMode(void *device, int *now, int *pending)
{
    (void)device;
    *now = 1;
    *pending = 0;
    return result("nvmlDeviceGetEccMode");
}
#endif
