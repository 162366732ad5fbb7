/* SPDX-License-Identifier: Apache-2.0 */
/* A GPU's file is JSON that cuDNN itself reads. All that cuDNN would refuse is refused here first,
 * with the file, the line and the key, because cuDNN only says that some check failed.
 */
#include "device/gpu_spec.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"

#define GPU_README "sweeps/gpus/README.md"

/* The context where a file has no contextGiB: the line of sweeps/gpus/README.md through seven
 * published figures, 0.0358 GiB and so many bytes for each thread that can be resident. */
#define CONTEXT_BASE_BYTES ((uint64_t)38454697)
#define CONTEXT_THREAD_BYTES ((uint64_t)2247)

/* With eager loading every kernel of PyTorch, cuDNN and cuBLAS for the GPU is in its memory from
 * the start: this much, and for the threads the same as above. It is the mean of what three
 * published figures of Pascal, Volta and Turing leave (633, 728 and 654 MiB), and two of Ampere
 * (1216 and 1417 MiB), whose first libraries, CUDA 11 and cuDNN 8, are that much larger; the README
 * has them with their sources. */
#define EAGER_KERNEL_BYTES VB_MIB(672)
#define EAGER_KERNEL_BYTES_AMPERE VB_MIB(1317)
enum { AMPERE = 800 };

/* What cuDNN reads. The smallest and the largest value that it can make sense of: its own fields
 * are 32 bits wide but for the memory. `n` is how many integers; 0 is a text. */
static const struct key {
    char name[32];
    unsigned n;
    json_int_t least, most;
} keys[] = {
    { "cudaDeviceId", 1, 0, INT32_MAX },
    { "deviceVer", 1, 300, 9999 },
    { "driverVer", 1, 0, INT32_MAX },
    { "maxGridSize", 3, 1, INT32_MAX },
    { "maxBlockSize", 3, 1, INT32_MAX },
    { "regsPerBlock", 1, 1, INT32_MAX },
    { "multiProcessorCount", 1, 1, 65536 },
    { "warpSize", 1, 1, 1024 },
    { "maxSharedMemoryPerBlock", 1, 1, INT32_MAX },
    { "maxSharedMemoryPerBlockOptin", 1, 1, INT32_MAX },
    { "reservedSharedMemoryPerBlock", 1, 0, INT32_MAX },
    { "maxRegistersPerSM", 1, 1, INT32_MAX },
    { "maxCtasPerSM", 1, 1, 65536 },
    { "maxThreadsPerBlock", 1, 1, 65536 },
    { "maxThreadsPerSM", 1, 1, 65536 },
    { "pciDeviceId", 1, 0, INT32_MAX },
    { "isTccDriver", 1, 0, 1 },
    { "supportCoopLaunch", 1, 0, 1 },
    { "smClockRateKHz", 1, 1, INT32_MAX },
    { "memClockRateKHz", 1, 1, INT32_MAX },
    { "l2CacheSize", 1, 0, INT32_MAX },
    { "totalGlobalMem", 1, 1 << 20, INT64_MAX },
    { "deviceName", 0, 0, 0 },
};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* A file while it is read. */
struct reader {
    const char *where;
    const char *text;
    json_t *root;
};

/* The line of the first `"key"` in the text: a key stands before its value, and a value equal to a
 * key is not to be expected. */
static int line_of(const struct reader *reader, const char *key)
{
    int line = 1;
    size_t length = strlen(key);
    for (const char *at = reader->text; *at != '\0'; at++) {
        if (*at == '\n')
            line++;
        if (*at == '"' && strncmp(at + 1, key, length) == 0 && at[length + 1] == '"')
            return line;
    }
    return 1;
}

static enum vb_status check_integer(const struct reader *reader, const struct key *key,
                                    const json_t *value, struct vb_error *err)
{
    json_int_t found = json_integer_value(value);
    if (json_is_integer(value) && found >= key->least && found <= key->most)
        return VB_OK;
    if (json_is_integer(value))
        return vb_fail(err, VB_E_INPUT,
                       "%s:%d: %s is %" JSON_INTEGER_FORMAT ", must be from %" JSON_INTEGER_FORMAT
                       " to %" JSON_INTEGER_FORMAT,
                       reader->where, line_of(reader, key->name), key->name, found, key->least,
                       key->most);
    return vb_fail(err, VB_E_INPUT, "%s:%d: %s must be an integer", reader->where,
                   line_of(reader, key->name), key->name);
}

static enum vb_status check_key(const struct reader *reader, const struct key *key,
                                struct vb_error *err)
{
    const json_t *value = json_object_get(reader->root, key->name);
    if (value == NULL)
        return vb_fail(err, VB_E_INPUT,
                       "%s: key %s is missing; cuDNN needs it (" GPU_README " has them all)",
                       reader->where, key->name);
    if (key->n == 0) {
        if (!json_is_string(value) || json_string_length(value) == 0)
            return vb_fail(err, VB_E_INPUT, "%s:%d: %s must be a text", reader->where,
                           line_of(reader, key->name), key->name);
        return VB_OK;
    }
    if (key->n == 1)
        return check_integer(reader, key, value, err);

    if (!json_is_array(value) || json_array_size(value) != key->n)
        return vb_fail(err, VB_E_INPUT, "%s:%d: %s must be a list of %u integers", reader->where,
                       line_of(reader, key->name), key->name, key->n);
    for (size_t i = 0; i < key->n; i++) {
        enum vb_status status = check_integer(reader, key, json_array_get(value, i), err);
        if (status != VB_OK)
            return status;
    }
    return VB_OK;
}

/* A number of ours, which may be absent (0) but not negative or absurd. */
static enum vb_status read_number(const struct reader *reader, const json_t *object,
                                  const char *name, double most, double *out, struct vb_error *err)
{
    const json_t *value = json_object_get(object, name);
    double number = json_number_value(value);

    if (value != NULL && (!json_is_number(value) || number < 0.0 || number > most))
        return vb_fail(err, VB_E_INPUT, "%s:%d: %s must be a number from 0 to %g", reader->where,
                       line_of(reader, name), name, most);
    *out = number;
    return VB_OK;
}

static enum vb_status read_speeds(const struct reader *reader, struct vb_gpu_spec *spec,
                                  struct vb_error *err)
{
    const json_t *peak = json_object_get(reader->root, "peakTflops");
    if (peak != NULL && !json_is_object(peak))
        return vb_fail(err, VB_E_INPUT, "%s:%d: peakTflops must be an object of fp32, tf32, fp16",
                       reader->where, line_of(reader, "peakTflops"));

    const struct {
        const json_t *object;
        const char *name;
        double unit;
        double *out;
    } numbers[] = {
        { reader->root, "memoryBandwidthGBs", 1e9, &spec->bandwidth_bytes_per_second },
        { peak, "fp32", 1e12, &spec->fp32_flops },
        { peak, "tf32", 1e12, &spec->tf32_flops },
        { peak, "fp16", 1e12, &spec->fp16_flops },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double number = 0.0;
        enum vb_status status =
            read_number(reader, numbers[i].object, numbers[i].name, 1e6, &number, err);
        if (status != VB_OK)
            return status;
        *numbers[i].out = number * numbers[i].unit;
    }
    return VB_OK;
}

static uint64_t integer_of(const struct reader *reader, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(reader->root, key));
}

static enum vb_status read_context(const struct reader *reader, struct vb_gpu_spec *spec,
                                   struct vb_error *err)
{
    double gib = 0.0;
    enum vb_status status = read_number(reader, reader->root, "contextGiB", 1e3, &gib, err);
    if (status != VB_OK)
        return status;

    /* Both factors are at most 65536: no product here can overflow. */
    uint64_t thread_bytes = CONTEXT_THREAD_BYTES * integer_of(reader, "multiProcessorCount") *
                            integer_of(reader, "maxThreadsPerSM");
    spec->context_bytes = json_object_get(reader->root, "contextGiB") != NULL
                              ? (uint64_t)(gib * (double)VB_GIB(1))
                              : CONTEXT_BASE_BYTES + thread_bytes;
    if (spec->context_bytes >= spec->capacity_bytes)
        return vb_fail(err, VB_E_INPUT,
                       "%s:%d: totalGlobalMem is %" PRIu64
                       " B, not more than the context's %" PRIu64 " B; it is in bytes",
                       reader->where, line_of(reader, "totalGlobalMem"), spec->capacity_bytes,
                       spec->context_bytes);

    uint64_t kernel_bytes =
        spec->compute_capability >= AMPERE ? EAGER_KERNEL_BYTES_AMPERE : EAGER_KERNEL_BYTES;
    spec->context_eager_bytes = kernel_bytes + thread_bytes;
    if (spec->context_eager_bytes < spec->context_bytes)
        spec->context_eager_bytes = spec->context_bytes;
    if (spec->context_eager_bytes > spec->capacity_bytes)
        spec->context_eager_bytes = spec->capacity_bytes;
    return VB_OK;
}

/* Hashes the values that cuDNN reads, written in one way whatever their order in the file. */
static uint64_t identity_of(const struct reader *reader)
{
    uint64_t hash = VB_HASH_START;
    for (size_t i = 0; i < N_KEYS; i++) {
        const json_t *value = json_object_get(reader->root, keys[i].name);
        if (keys[i].n == 0) {
            hash = vb_hash(hash, json_string_value(value), json_string_length(value));
            continue;
        }
        for (size_t j = 0; j < keys[i].n; j++) {
            json_int_t number =
                json_integer_value(keys[i].n == 1 ? value : json_array_get(value, j));
            hash = vb_hash(hash, &number, sizeof number);
        }
    }
    return hash;
}

static enum vb_status read_spec(const struct reader *reader, struct vb_gpu_spec *spec,
                                struct vb_error *err)
{
    if (!json_is_object(reader->root))
        return vb_fail(err, VB_E_INPUT, "%s:1: a GPU's file is one JSON object", reader->where);
    for (size_t i = 0; i < N_KEYS; i++) {
        enum vb_status status = check_key(reader, &keys[i], err);
        if (status != VB_OK)
            return status;
    }
    (void)snprintf(spec->product, sizeof spec->product, "%s",
                   json_string_value(json_object_get(reader->root, "deviceName")));
    spec->compute_capability = (uint32_t)integer_of(reader, "deviceVer");
    spec->capacity_bytes = integer_of(reader, "totalGlobalMem");
    spec->identity = identity_of(reader);

    enum vb_status status = read_context(reader, spec, err);
    if (status != VB_OK)
        return status;
    return read_speeds(reader, spec, err);
}

enum vb_status vb_gpu_spec_parse(const char *name, const char *where, const char *text,
                                 size_t bytes, struct vb_gpu_spec *out, struct vb_error *err)
{
    /* A copy that ends in 0, for cuDNN and for the lines of errors. */
    char *json = malloc(bytes + 1);
    if (json == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", where);
    if (bytes > 0)
        memcpy(json, text, bytes);
    json[bytes] = '\0';

    enum vb_status status;
    struct vb_gpu_spec spec = { .json = json };
    (void)snprintf(spec.name, sizeof spec.name, "%s", name);

    json_error_t fault;
    json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL) {
        status = vb_fail(err, VB_E_INPUT, "%s:%d: not JSON: %s", where,
                         fault.line > 0 ? fault.line : 1, fault.text);
        goto out;
    }
    const struct reader reader = { where, json, root };
    status = read_spec(&reader, &spec, err);
    if (status == VB_OK) {
        *out = spec;
        json = NULL;
    }

out:
    json_decref(root);
    free(json);
    return status;
}

void vb_gpu_spec_clear(struct vb_gpu_spec *spec)
{
    free(spec->json);
    *spec = (struct vb_gpu_spec){ 0 };
}

const char *vb_gpu_spec_architecture(uint32_t compute_capability)
{
    static const struct {
        uint32_t since;
        const char *name;
    } architectures[] = {
        { 1000, "Blackwell" }, { 900, "Hopper" }, { 890, "Ada" },    { 800, "Ampere" },
        { 750, "Turing" },     { 700, "Volta" },  { 600, "Pascal" }, { 500, "Maxwell" },
    };
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        if (compute_capability >= architectures[i].since)
            return architectures[i].name;
    }
    return "Kepler";
}
