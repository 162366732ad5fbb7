/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/inject_driver.h"

#include <dlfcn.h>
#include <string.h>

#include "capture/cupti_table.h" /* and the driver's types with it */
#include "watch/inject_loaded.h"

static struct {
    bool is_open;
    CUresult (*exchange_mode)(CUstreamCaptureMode *mode);
    CUresult (*get_bus_id)(char *text, int room, CUdevice device);
    CUresult (*get_graph_memory)(CUdevice device, CUgraphMem_attribute what, void *value);
} driver;

/* A driver that is older than a function lacks it. */
static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
}

static void open_driver(void)
{
    char path[4096];
    void *library = vb_loaded_find("libcuda.so", path, sizeof path)
                        ? dlopen(path, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE)
                        : NULL;
    driver.is_open = true;
    if (library == NULL)
        return;
    find(library, "cuThreadExchangeStreamCaptureMode", &driver.exchange_mode);
    find(library, "cuDeviceGetPCIBusId", &driver.get_bus_id);
    find(library, "cuDeviceGetGraphMemAttribute", &driver.get_graph_memory);
    (void)dlclose(library);
}

bool vb_inject_driver_bus_id(uint32_t device, char *text, size_t room)
{
    if (!driver.is_open)
        open_driver();
    return driver.get_bus_id != NULL &&
           driver.get_bus_id(text, (int)room, (CUdevice)device) == CUDA_SUCCESS;
}

/* A call that may be unsafe ends captures that other threads have begun globally, which is the
 * usual way, unless the mode of its own thread is relaxed. */
bool vb_inject_driver_graph_memory(uint32_t device, uint64_t *held_bytes, uint64_t *most_bytes)
{
    const CUdevice of = (CUdevice)device;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    if (!driver.is_open)
        open_driver();
    if (driver.exchange_mode == NULL || driver.get_graph_memory == NULL ||
        driver.exchange_mode(&mode) != CUDA_SUCCESS)
        return false;
    bool is_told = driver.get_graph_memory(of, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT,
                                           held_bytes) == CUDA_SUCCESS &&
                   driver.get_graph_memory(of, CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH, most_bytes) ==
                       CUDA_SUCCESS;
    (void)driver.exchange_mode(&mode); /* as it was */
    return is_told;
}
