/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: each wraps one of the real cuDNN's. Where the caller gives a handle, the real one
 * gets the properties of the GPU that VRAMBENCH_EMULATED_GPU names, so that the plans and their
 * workspaces are those that the virtual device gets for it.
 */
#include <stdlib.h>
#include <string.h>

#include "cudnn_wrapped.h"

#define BEGIN(name) emulated_begin(&call, #name, 0, NEEDS_NOTHING)
#define END(status) ((cudnnStatus_t)emulated_end(&call, (int)(status)))

enum { MAX_OTHERS = 128 };

static void release(struct wrapped *of)
{
    if (of == NULL || --of->references > 0)
        return;
    while (of->attributes != NULL) {
        struct attribute *attribute = of->attributes;
        of->attributes = attribute->next;
        for (int64_t i = 0; attribute->others != NULL && i < attribute->n; i++)
            release(attribute->others[i]);
        free(attribute->others);
        free(attribute->values);
        free(attribute);
    }
    release(of->graph);
    free(of);
}

const struct attribute *emulated_attribute(const struct wrapped *of, int name)
{
    const struct attribute *at = of->attributes;
    while (at != NULL && at->name != name)
        at = at->next;
    return at;
}

struct wrapped *emulated_other(const struct wrapped *of, int name)
{
    const struct attribute *found = emulated_attribute(of, name);
    return found != NULL && found->others != NULL && found->n > 0 ? found->others[0] : NULL;
}

struct wrapped *emulated_graph_of(struct wrapped *of)
{
    static const struct {
        int type, attribute;
    } ways[] = {
        { CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH },
        { CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_OPERATION_GRAPH },
        { CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_ENGINE },
        { CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG },
    };
    if (of == NULL || of->type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
        return of;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && of->graph == NULL; i++) {
        if (ways[i].type == of->type)
            return emulated_graph_of(emulated_other(of, ways[i].attribute));
    }
    return of->graph;
}

cudnnStatus_t EMULATED_API cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                        cudnnBackendDescriptor_t *out)
{
    struct emulated_call call;
    int status = BEGIN(cudnnBackendCreateDescriptor);
    const struct vb_cudnn *cudnn = emulated_real();
    void *made = NULL;
    if (status == 0)
        status = cudnn == NULL ? CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED
                               : cudnn->create((int)type, &made);
    if (status == 0) {
        struct descriptor *descriptor =
            emulated_object_make(EMULATED_DESCRIPTOR, sizeof *descriptor);
        descriptor->wrapped = calloc(1, sizeof *descriptor->wrapped);
        if (descriptor->wrapped == NULL)
            abort();
        *descriptor->wrapped = (struct wrapped){ .type = (int)type, .references = 1, .real = made };
        *out = descriptor;
    }
    return END(status);
}

static struct wrapped *wrapped_of(void *handle, const char *function)
{
    return emulated_object_is(handle, EMULATED_DESCRIPTOR, function)
               ? ((struct descriptor *)handle)->wrapped
               : NULL;
}

cudnnStatus_t EMULATED_API cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle)
{
    struct emulated_call call;
    int status = BEGIN(cudnnBackendDestroyDescriptor);
    if (!emulated_goes_on(&call, status))
        return END(status);
    struct wrapped *wrapped = wrapped_of(handle, call.function);
    if (wrapped == NULL)
        return END(CUDNN_STATUS_BAD_PARAM);
    (void)emulated_real()->destroy(wrapped->real);
    wrapped->real = NULL;
    release(wrapped);
    emulated_object_drop(handle);
    return END(status);
}

static size_t bytes_of(int type)
{
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
        return 1;
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    case CUDNN_TYPE_FRACTION:
        return 16;
    default:
        return 4;
    }
}

/* The wrapped and the real ones of an array of handles; false: one is none, or has no real one. */
static bool unwrap(const void *values, int64_t n, struct wrapped **wrapped, void **reals,
                   const char *function)
{
    if (n > MAX_OTHERS) {
        emulated_log("%s: %lld descriptors at once are not emulated", function, (long long)n);
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        void *handle = NULL;
        memcpy(&handle, (const char *)values + (size_t)i * sizeof handle, sizeof handle);
        wrapped[i] = wrapped_of(handle, function);
        if (wrapped[i] == NULL)
            return false;
        reals[i] = wrapped[i]->real;
    }
    return true;
}

/* What was set last is found first. */
static void remember(struct wrapped *of, int name, int type, int64_t n, const void *values,
                     struct wrapped *const *others)
{
    struct attribute *made = calloc(1, sizeof *made);
    const size_t bytes = (size_t)n * bytes_of(type);
    void *copy = malloc(bytes + 1);
    if (made == NULL || copy == NULL)
        abort();
    *made = (struct attribute){ .next = of->attributes, .name = name, .type = type, .n = n };
    if (others != NULL) {
        made->others = memcpy(copy, others, bytes);
        for (int64_t i = 0; i < n; i++)
            others[i]->references++;
    } else {
        made->values = memcpy(copy, values, bytes);
    }
    of->attributes = made;
}

cudnnStatus_t EMULATED_API cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle,
                                                    cudnnBackendAttributeName_t name,
                                                    cudnnBackendAttributeType_t type, int64_t n,
                                                    const void *values)
{
    struct emulated_call call;
    struct wrapped *others[MAX_OTHERS];
    void *reals[MAX_OTHERS];
    int status = BEGIN(cudnnBackendSetAttribute);
    if (status != 0)
        return END(status);
    struct wrapped *of = wrapped_of(handle, call.function);
    const bool is_other = type == CUDNN_TYPE_BACKEND_DESCRIPTOR;
    if (of == NULL || n < 0 || (n > 0 && values == NULL) ||
        (is_other && !unwrap(values, n, others, reals, call.function)))
        return END(CUDNN_STATUS_BAD_PARAM);
    if (type == CUDNN_TYPE_HANDLE) {
        void *given = NULL;
        memcpy(&given, values, sizeof given);
        if (!emulated_object_is(given, EMULATED_CUDNN_HANDLE, call.function))
            return END(CUDNN_STATUS_BAD_PARAM);
    } else if (name != CUDNN_ATTR_DEVICEPROP_DEVICE_ID) {
        status = emulated_real()->set(of->real, (int)name, (int)type, n,
                                      is_other ? (const void *)reals : values);
    }
    if (status == 0)
        remember(of, (int)name, (int)type, n, values, is_other ? others : NULL);
    return END(status);
}

/* The real descriptor of the GPU's properties, made once; NULL: cuDNN does not take them. */
static void *device_properties(void)
{
    static void *device;
    const struct vb_cudnn *cudnn = emulated_real();
    const char *json = emulated_settings()->gpu.json;
    void *made = NULL;
    if (device != NULL)
        return device;
    if (json == NULL || cudnn->create(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &made) != 0)
        return NULL;
    if (cudnn->set(made, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                   (int64_t)strlen(json), json) != 0 ||
        cudnn->finalize(made) != 0) {
        (void)cudnn->destroy(made);
        return NULL;
    }
    device = made;
    return device;
}

/* Puts the device's properties where the caller has given a handle in their place. */
static int give_device(struct wrapped *of)
{
    static const struct {
        int type, attribute;
    } places[] = {
        { CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP },
        { CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_DEVICEPROP },
        { CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP },
    };
    const struct vb_cudnn *cudnn = emulated_real();
    const char *json = emulated_settings()->gpu.json;
    const struct wrapped *graph = emulated_graph_of(of);
    const bool has_handle =
        emulated_attribute(of, CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != NULL ||
        (graph != NULL && emulated_attribute(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE) != NULL);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i].type != of->type || !has_handle ||
            emulated_attribute(of, places[i].attribute) != NULL)
            continue;
        void *device = device_properties();
        return cudnn->set(of->real, places[i].attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device);
    }
    if (of->type == CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR && json != NULL &&
        emulated_attribute(of, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION) == NULL)
        return cudnn->set(of->real, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                          (int64_t)strlen(json), json);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t EMULATED_API cudnnBackendFinalize(cudnnBackendDescriptor_t handle)
{
    struct emulated_call call;
    int status = BEGIN(cudnnBackendFinalize);
    if (status != 0)
        return END(status);
    struct wrapped *of = wrapped_of(handle, call.function);
    if (of == NULL)
        return END(CUDNN_STATUS_BAD_PARAM);
    status = give_device(of);
    if (status == 0)
        status = emulated_real()->finalize(of->real);
    int64_t n = 0;
    if (status == 0 && of->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
        status = emulated_real()->get(of->real, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                      CUDNN_TYPE_INT64, 1, &n, &of->workspace_bytes);
    return END(status);
}

/* Descriptors that it fills belong to the same graph. */
cudnnStatus_t EMULATED_API cudnnBackendGetAttribute(cudnnBackendDescriptor_t handle,
                                                    cudnnBackendAttributeName_t name,
                                                    cudnnBackendAttributeType_t type, int64_t room,
                                                    int64_t *n, void *values)
{
    struct emulated_call call;
    struct wrapped *others[MAX_OTHERS];
    void *reals[MAX_OTHERS];
    int64_t there = 0;
    int status = BEGIN(cudnnBackendGetAttribute);
    if (status != 0)
        return END(status);
    struct wrapped *of = wrapped_of(handle, call.function);
    const bool is_other = type == CUDNN_TYPE_BACKEND_DESCRIPTOR && values != NULL;
    if (of == NULL || (is_other && !unwrap(values, room, others, reals, call.function)))
        return END(CUDNN_STATUS_BAD_PARAM);
    status = emulated_real()->get(of->real, (int)name, (int)type, room, &there,
                                  is_other ? (void *)reals : values);
    if (n != NULL)
        *n = there;
    struct wrapped *graph = emulated_graph_of(of);
    for (int64_t i = 0; status == 0 && is_other && i < there && i < room; i++) {
        if (graph == NULL || others[i]->graph != NULL)
            continue;
        others[i]->graph = graph;
        graph->references++;
    }
    return END(status);
}
