/* SPDX-License-Identifier: Apache-2.0 */
/* libcuda.so.1: the device, its context, modules and the names of errors. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda_call.h"

/* As the driver does in each process, once, before its first cuInit() returns; what cannot be
 * loaded is passed over. Without the lock: what is loaded calls CUPTI. */
static void inject(void)
{
    const char *path = getenv("CUDA_INJECTION64_PATH");
    void *library = path != NULL && path[0] != '\0' ? dlopen(path, RTLD_NOW) : NULL;
    void *found = library != NULL ? dlsym(library, "InitializeInjection") : NULL;
    int (*initialize)(void) = NULL;
    memcpy(&initialize, &found, sizeof found);
    if (initialize != NULL)
        (void)initialize();
}

CUresult EMULATED_API cuInit(unsigned int flags)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct emulated_call call;
    int status = BEGIN(cuInit, NEEDS_NOTHING);
    if (status == 0 && flags != 0)
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == 0 && !emulated_settings()->is_valid)
        status = CUDA_ERROR_NO_DEVICE;
    if (status == 0 && emulated_driver()->process == 0)
        emulated_driver()->process = getpid();
    if (status == 0)
        emulated_driver()->is_initialised = true;
    const CUresult result = END(status);
    if (result == CUDA_SUCCESS)
        (void)pthread_once(&once, inject);
    return result;
}

CUresult EMULATED_API cuDriverGetVersion(int *version)
{
    struct emulated_call call;
    int status = BEGIN(cuDriverGetVersion, NEEDS_NOTHING);
    if (status == 0)
        *version = (int)emulated_property("driverVer");
    return END(status);
}

CUresult EMULATED_API cuDeviceGetCount(int *count)
{
    struct emulated_call call;
    int status = BEGIN(cuDeviceGetCount, NEEDS_INIT);
    if (status == 0)
        *count = 1;
    return END(status);
}

CUresult EMULATED_API cuDeviceGet(CUdevice *device, int ordinal)
{
    struct emulated_call call;
    int status = BEGIN(cuDeviceGet, NEEDS_INIT);
    if (status == 0 && ordinal != 0)
        status = CUDA_ERROR_INVALID_DEVICE;
    if (status == 0)
        *device = 0;
    return END(status);
}

static int check_device(int status, CUdevice device)
{
    return status == 0 && device != 0 ? CUDA_ERROR_INVALID_DEVICE : status;
}

CUresult EMULATED_API cuDeviceGetName(char *name, int room, CUdevice device)
{
    struct emulated_call call;
    int status = check_device(BEGIN(cuDeviceGetName, NEEDS_INIT), device);
    if (status == 0)
        (void)snprintf(name, (size_t)room, "%s", emulated_settings()->gpu.product);
    return END(status);
}

CUresult EMULATED_API cuDeviceTotalMem(size_t *bytes, CUdevice device)
{
    struct emulated_call call;
    int status = check_device(BEGIN(cuDeviceTotalMem_v2, NEEDS_INIT), device);
    if (status == 0)
        *bytes = emulated_settings()->capacity_bytes;
    return END(status);
}

CUresult EMULATED_API cuDeviceGetPCIBusId(char *text, int room, CUdevice device)
{
    struct emulated_call call;
    int status = check_device(BEGIN(cuDeviceGetPCIBusId, NEEDS_INIT), device);
    if (status == 0)
        (void)snprintf(text, (size_t)room, "0000:01:00.0");
    return END(status);
}

CUresult EMULATED_API cuDeviceGetAttribute(int *value, CUdevice_attribute attribute,
                                           CUdevice device)
{
    static const struct {
        CUdevice_attribute attribute;
        const char *key;
    } keys[] = {
        { CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, "multiProcessorCount" },
        { CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, "maxThreadsPerBlock" },
        { CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, "maxThreadsPerSM" },
        { CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, "maxCtasPerSM" },
        { CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, "maxSharedMemoryPerBlock" },
        { CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, "maxSharedMemoryPerBlockOptin" },
        { CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, "reservedSharedMemoryPerBlock" },
        { CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, "regsPerBlock" },
        { CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, "maxRegistersPerSM" },
        { CU_DEVICE_ATTRIBUTE_WARP_SIZE, "warpSize" },
        { CU_DEVICE_ATTRIBUTE_CLOCK_RATE, "smClockRateKHz" },
        { CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, "memClockRateKHz" },
        { CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, "l2CacheSize" },
        { CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, "supportCoopLaunch" },
        { CU_DEVICE_ATTRIBUTE_TCC_DRIVER, "isTccDriver" },
    };
    struct emulated_call call;
    int status = check_device(BEGIN(cuDeviceGetAttribute, NEEDS_INIT), device);
    if (status != 0)
        return END(status);
    const int capability = (int)emulated_property("deviceVer");
    size_t i = 0;
    while (i < sizeof keys / sizeof *keys && keys[i].attribute != attribute)
        i++;
    if (i < sizeof keys / sizeof *keys) {
        *value = (int)emulated_property(keys[i].key);
    } else if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) {
        *value = capability / 100;
    } else if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) {
        *value = capability / 10 % 10;
    } else if (attribute == CU_DEVICE_ATTRIBUTE_ECC_ENABLED ||
               attribute == CU_DEVICE_ATTRIBUTE_INTEGRATED) {
        *value = 0;
    } else {
        emulated_log("cuDeviceGetAttribute: attribute %d is not emulated", (int)attribute);
        status = CUDA_ERROR_INVALID_VALUE;
    }
    return END(status);
}

CUresult EMULATED_API cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice device)
{
    struct emulated_call call;
    int status = check_device(BEGIN(cuDevicePrimaryCtxRetain, NEEDS_INIT), device);
    const struct emulated_settings *settings = emulated_settings();
    struct emulated_driver *driver = emulated_driver();
    if (status == 0 && settings->capacity_bytes < settings->gpu.context_bytes)
        status = CUDA_ERROR_OUT_OF_MEMORY;
    if (status == 0) {
        if (driver->retained++ == 0)
            driver->context = emulated_object_make(EMULATED_CONTEXT, sizeof *driver->context);
        emulated_processes_tell();
        *out = (CUcontext)(void *)driver->context;
    }
    return END(status);
}

/* All that is the context's goes with it. */
static void drop_context(struct emulated_driver *driver)
{
    emulated_run_all();
    emulated_memory_left("context released");
    emulated_objects_left("context released", EMULATED_OF_CONTEXT);
    emulated_memory_drop();
    emulated_graphs_drop();
    struct emulated_object *next = NULL;
    for (struct emulated_object *at = emulated_object_first(); at != NULL; at = next) {
        next = at->next;
        if (at->kind != EMULATED_DESCRIPTOR && at->kind != EMULATED_SUBSCRIBER)
            emulated_object_drop(at);
    }
    driver->context = NULL;
    emulated_processes_tell();
}

CUresult EMULATED_API cuDevicePrimaryCtxRelease(CUdevice device)
{
    struct emulated_call call;
    int status = check_device(BEGIN(cuDevicePrimaryCtxRelease_v2, NEEDS_INIT), device);
    struct emulated_driver *driver = emulated_driver();
    if (status == 0 && driver->retained == 0) {
        emulated_log("cuDevicePrimaryCtxRelease: it is not retained");
        status = CUDA_ERROR_INVALID_CONTEXT;
    } else if (emulated_goes_on(&call, status) && driver->retained > 0 && --driver->retained == 0) {
        drop_context(driver);
    }
    return END(status);
}

CUresult EMULATED_API cuCtxSetCurrent(CUcontext context)
{
    struct emulated_call call;
    int status = BEGIN(cuCtxSetCurrent, NEEDS_INIT);
    struct emulated_object *object = (struct emulated_object *)(void *)context;
    if (status == 0 && context != NULL &&
        !emulated_object_is(object, EMULATED_CONTEXT, call.function))
        status = CUDA_ERROR_INVALID_CONTEXT;
    if (emulated_goes_on(&call, status) || context == NULL)
        *emulated_current() = object;
    return END(status);
}

CUresult EMULATED_API cuModuleLoadFatBinary(CUmodule *out, const void *image)
{
    static const uint32_t magic = 0xBA55ED50;
    struct emulated_call call;
    int status = BEGIN(cuModuleLoadFatBinary, NEEDS_CONTEXT);
    if (status == 0 && (image == NULL || memcmp(image, &magic, sizeof magic) != 0)) {
        emulated_log("%s: that is no fat binary", call.function);
        status = image == NULL ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_IMAGE;
    }
    if (status == 0)
        *out = emulated_object_make(EMULATED_MODULE, sizeof(struct emulated_object));
    return END(status);
}

CUresult EMULATED_API cuModuleUnload(CUmodule module)
{
    struct emulated_call call;
    int status = BEGIN(cuModuleUnload, NEEDS_CONTEXT);
    if (!emulated_goes_on(&call, status))
        return END(status);
    if (!emulated_object_is(module, EMULATED_MODULE, call.function))
        return END(CUDA_ERROR_INVALID_HANDLE);
    emulated_run_all();
    struct emulated_object *next = NULL;
    for (struct emulated_object *at = emulated_object_first(); at != NULL; at = next) {
        next = at->next;
        if (at->kind == EMULATED_FUNCTION &&
            ((struct function *)at)->module == (const void *)module)
            emulated_object_drop(at);
    }
    emulated_object_drop(module);
    return END(status);
}

CUresult EMULATED_API cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name)
{
    struct emulated_call call;
    int status = BEGIN(cuModuleGetFunction, NEEDS_CONTEXT);
    const char *kept = NULL;
    if (status != 0)
        return END(status);
    if (!emulated_object_is(module, EMULATED_MODULE, call.function))
        return END(CUDA_ERROR_INVALID_HANDLE);
    const size_t bytes = emulated_kernel_find(name, &kept);
    if (bytes == 0)
        return END(CUDA_ERROR_NOT_FOUND);
    struct function *made = emulated_object_make(EMULATED_FUNCTION, sizeof *made);
    made->module = module;
    made->name = kept;
    made->argument_bytes = bytes;
    *out = (CUfunction)(void *)made;
    return END(0);
}

static const struct {
    CUresult status;
    const char *name, *text;
} errors[] = {
#define ERROR(name, text)                                                                          \
    {                                                                                              \
        name, #name, text                                                                          \
    }
    ERROR(CUDA_SUCCESS, "no error"),
    ERROR(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    ERROR(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    ERROR(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    ERROR(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    ERROR(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    ERROR(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    ERROR(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    ERROR(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"),
    ERROR(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    ERROR(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    ERROR(CUDA_ERROR_NOT_READY, "device not ready"),
    ERROR(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    ERROR(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed"),
    ERROR(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    ERROR(CUDA_ERROR_UNKNOWN, "unknown error"),
#undef ERROR
};

static size_t find_error(CUresult status)
{
    size_t i = 0;
    while (i < sizeof errors / sizeof *errors && errors[i].status != status)
        i++;
    return i;
}

/* Both answer after an error that sticks, too. */
CUresult EMULATED_API cuGetErrorName(CUresult status, const char **out)
{
    const size_t i = find_error(status);
    *out = i < sizeof errors / sizeof *errors ? errors[i].name : NULL;
    return *out != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult EMULATED_API cuGetErrorString(CUresult status, const char **out)
{
    const size_t i = find_error(status);
    *out = i < sizeof errors / sizeof *errors ? errors[i].text : NULL;
    return *out != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
