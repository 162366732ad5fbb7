/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in for cuDNN: plans are the real one's for the GPU that is named, and carrying them out
 * gives the convolution's numbers. Needs the real libcudnn.so.9. */
#include <math.h>
#include <string.h>

#include "config.h"
#include "cpu/convert.h"
#include "device/cudnn_backend.h"
#include "libraries.h"

enum { X, W, Y, N_SIDES, N_DIMS = 4, MAX_MADE = 512, UID = 100 };

/* Descriptors made so far, to be destroyed in reverse. */
static cudnnBackendDescriptor_t made[MAX_MADE];
static size_t n_made;

static cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type)
{
    CHECK(n_made < MAX_MADE);
    CHECK(on.cudnnBackendCreateDescriptor(type, &made[n_made]) == CUDNN_STATUS_SUCCESS);
    return made[n_made++];
}

static void destroy_all(void)
{
    while (n_made > 0)
        CHECK(on.cudnnBackendDestroyDescriptor(made[--n_made]) == CUDNN_STATUS_SUCCESS);
}

static void set(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t n, const void *values)
{
    char text[256] = "";
    cudnnStatus_t status = on.cudnnBackendSetAttribute(of, name, type, n, values);
    on.cudnnGetLastErrorString(text, sizeof text);
    CHECK(status == CUDNN_STATUS_SUCCESS, "attribute %d: %d %s", (int)name, (int)status, text);
}

static void set_other(cudnnBackendDescriptor_t of, int name, cudnnBackendDescriptor_t other)
{
    set(of, (cudnnBackendAttributeName_t)name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other);
}

static void finish(cudnnBackendDescriptor_t of)
{
    char text[256] = "";
    cudnnStatus_t status = on.cudnnBackendFinalize(of);
    on.cudnnGetLastErrorString(text, sizeof text);
    CHECK(status == CUDNN_STATUS_SUCCESS, "%d %s", (int)status, text);
}

/* ------------------------------------------------------------------------------- a convolution */

struct layer {
    struct vb_conv conv;
    int64_t dims[N_SIDES][N_DIMS], strides[N_SIDES][N_DIMS];
    size_t n[N_SIDES];
};

static struct layer make_layer(const struct vb_conv *conv)
{
    struct layer layer = { .conv = *conv };
    const int64_t dims[N_SIDES][N_DIMS] = {
        [X] = { conv->n, conv->c, conv->h, conv->w },
        [W] = { conv->k, conv->c / conv->groups, conv->kernel_h, conv->kernel_w },
        [Y] = { conv->n, conv->k, (int64_t)vb_conv_output_size(conv, conv->h, conv->kernel_h),
                (int64_t)vb_conv_output_size(conv, conv->w, conv->kernel_w) },
    };
    memcpy(layer.dims, dims, sizeof dims);
    for (int i = 0; i < N_SIDES; i++) {
        const int64_t *d = dims[i], plane = d[2] * d[3];
        const int64_t in_order[] = { d[1] * plane, plane, d[3], 1 };
        const int64_t last[] = { d[1] * plane, 1, d[3] * d[1], d[1] };
        memcpy(layer.strides[i], conv->channels_last ? last : in_order, sizeof in_order);
        layer.n[i] = (size_t)(d[0] * d[1] * plane);
    }
    return layer;
}

static cudnnBackendDescriptor_t make_tensor(const struct layer *layer, int side)
{
    static const int32_t types[] = { [VB_CONV_FP32] = CUDNN_DATA_FLOAT,
                                     [VB_CONV_FP16] = CUDNN_DATA_HALF,
                                     [VB_CONV_BF16] = CUDNN_DATA_BFLOAT16 };
    const int64_t uid = UID + side, alignment = 16;
    cudnnBackendDescriptor_t of = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(of, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &types[layer->conv.type]);
    set(of, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, N_DIMS, layer->dims[side]);
    set(of, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, N_DIMS, layer->strides[side]);
    set(of, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    set(of, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    finish(of);
    return of;
}

static cudnnBackendDescriptor_t make_window(const struct vb_conv *conv)
{
    const int64_t two = 2, pads[] = { conv->pad, conv->pad };
    const int64_t strides[] = { conv->stride, conv->stride };
    const int64_t dilations[] = { conv->dilation, conv->dilation };
    const int32_t type = CUDNN_DATA_FLOAT, mode = CUDNN_CROSS_CORRELATION;
    cudnnBackendDescriptor_t of = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(of, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    set(of, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(of, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(of, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    set(of, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    set(of, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    set(of, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations);
    finish(of);
    return of;
}

static cudnnBackendDescriptor_t make_graph(const struct layer *layer, cudnnHandle_t handle)
{
    static const struct {
        cudnnBackendDescriptorType_t type;
        int alpha;
    } operations[] = {
        [VB_CONV_FORWARD] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA },
        [VB_CONV_BACKWARD_DATA] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA },
        [VB_CONV_BACKWARD_FILTER] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA },
    };
    const float alpha = 1.0F, beta = 0.0F;
    const int first = operations[layer->conv.direction].alpha;
    cudnnBackendDescriptor_t x = make_tensor(layer, X), w = make_tensor(layer, W),
                             y = make_tensor(layer, Y), window = make_window(&layer->conv);
    cudnnBackendDescriptor_t op = make(operations[layer->conv.direction].type);
    set(op, (cudnnBackendAttributeName_t)first, CUDNN_TYPE_FLOAT, 1, &alpha);
    set(op, (cudnnBackendAttributeName_t)(first + 1), CUDNN_TYPE_FLOAT, 1, &beta);
    set_other(op, first + 2, window);
    set_other(op, first + 3, w);
    set_other(op, first + 4, x);
    set_other(op, first + 5, y);
    finish(op);
    cudnnBackendDescriptor_t graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    set_other(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, op);
    finish(graph);
    return graph;
}

/* The first plan of mode A that can be made, and its workspace. */
static cudnnBackendDescriptor_t make_plan(const struct layer *layer, cudnnHandle_t handle,
                                          int64_t *workspace)
{
    enum { MOST = 8 };
    const int32_t mode = CUDNN_HEUR_MODE_A;
    cudnnBackendDescriptor_t configurations[MOST];
    int64_t n = 0;
    cudnnBackendDescriptor_t graph = make_graph(layer, handle);
    cudnnBackendDescriptor_t heuristics = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_other(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finish(heuristics);
    for (int i = 0; i < MOST; i++)
        configurations[i] = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    CHECK(on.cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST, &n,
                                      configurations) == CUDNN_STATUS_SUCCESS);
    for (int64_t i = 0; i < n; i++) {
        cudnnBackendDescriptor_t plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
        set_other(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configurations[i]);
        if (on.cudnnBackendFinalize(plan) != CUDNN_STATUS_SUCCESS)
            continue;
        CHECK(on.cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                          CUDNN_TYPE_INT64, 1, &n,
                                          workspace) == CUDNN_STATUS_SUCCESS);
        return plan;
    }
    CHECK(false, "no plan");
    return NULL;
}

/* -------------------------------------------------------------------------------------- numbers */

static size_t type_bytes(enum vb_conv_type type)
{
    return type == VB_CONV_FP32 ? 4 : 2;
}

static double get(const struct layer *layer, const void *data, size_t i)
{
    const uint16_t *narrow = data;
    if (layer->conv.type == VB_CONV_FP32)
        return (double)((const float *)data)[i];
    return layer->conv.type == VB_CONV_FP16 ? (double)vb_float_of_half(narrow[i])
                                            : (double)vb_float_of_bfloat(narrow[i]);
}

static void put(const struct layer *layer, void *data, size_t i, float value)
{
    uint16_t *narrow = data;
    if (layer->conv.type == VB_CONV_FP32)
        ((float *)data)[i] = value;
    else if (layer->conv.type == VB_CONV_FP16)
        narrow[i] = vb_half_of_float(value);
    else
        narrow[i] = vb_bfloat_of_float(value);
}

static size_t at(const struct layer *layer, int side, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t *strides = layer->strides[side];
    return (size_t)(a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3]);
}

/* Adds the products of one element of y to what is wanted. */
static void add_products(const struct layer *layer, void *const *data, int result,
                         const int64_t *place, double *want)
{
    const struct vb_conv *conv = &layer->conv;
    const int64_t *w = layer->dims[W], *x = layer->dims[X];
    const size_t yi = at(layer, Y, place[0], place[1], place[2], place[3]);
    const int64_t channel = place[1] / (conv->k / conv->groups) * w[1];
    for (int64_t c = 0; c < w[1]; c++) {
        for (int64_t i = 0; i < w[2]; i++) {
            for (int64_t j = 0; j < w[3]; j++) {
                const int64_t h = place[2] * conv->stride + i * conv->dilation - conv->pad;
                const int64_t v = place[3] * conv->stride + j * conv->dilation - conv->pad;
                if (h < 0 || h >= x[2] || v < 0 || v >= x[3])
                    continue;
                const size_t xi = at(layer, X, place[0], channel + c, h, v);
                const size_t wi = at(layer, W, place[1], c, i, j);
                if (result == Y)
                    want[yi] += get(layer, data[X], xi) * get(layer, data[W], wi);
                else if (result == X)
                    want[xi] += get(layer, data[Y], yi) * get(layer, data[W], wi);
                else
                    want[wi] += get(layer, data[Y], yi) * get(layer, data[X], xi);
            }
        }
    }
}

static double *reference(const struct layer *layer, void *const *data, int result)
{
    double *want = calloc(layer->n[result], sizeof *want);
    const int64_t *y = layer->dims[Y];
    int64_t place[N_DIMS];
    for (place[0] = 0; place[0] < y[0]; place[0]++)
        for (place[1] = 0; place[1] < y[1]; place[1]++)
            for (place[2] = 0; place[2] < y[2]; place[2]++)
                for (place[3] = 0; place[3] < y[3]; place[3]++)
                    add_products(layer, data, result, place, want);
    return want;
}

static void compare(const struct layer *layer, void *const *data, int result, const void *got)
{
    static const double tolerances[] = {
        [VB_CONV_FP32] = 1e-5, [VB_CONV_FP16] = 0x1p-10, [VB_CONV_BF16] = 0x1p-7
    };
    double *want = reference(layer, data, result), largest = 0.0;
    for (size_t i = 0; i < layer->n[result]; i++)
        largest = fmax(largest, fabs(want[i]));
    CHECK(largest > 0.0);
    for (size_t i = 0; i < layer->n[result]; i++) {
        const double value = get(layer, got, i);
        CHECK(fabs(value - want[i]) <= tolerances[layer->conv.type] * largest,
              "element %zu of tensor %d is %g, must be %g", i, result, value, want[i]);
    }
    free(want);
}

/* ---------------------------------------------------------------------------------- the device */

struct tensors {
    void *host[N_SIDES];
    CUdeviceptr device[N_SIDES], workspace;
};

static CUdeviceptr allocate(size_t bytes)
{
    CUdeviceptr address = 0;
    CHECK(on.cuMemAlloc(&address, bytes) == CUDA_SUCCESS);
    return address;
}

static struct tensors make_tensors(const struct layer *layer, size_t workspace, CUstream stream)
{
    struct tensors made_tensors = { .workspace = workspace > 0 ? allocate(workspace) : 0 };
    uint64_t state = 1;
    for (int i = 0; i < N_SIDES; i++) {
        const size_t bytes = layer->n[i] * type_bytes(layer->conv.type);
        made_tensors.host[i] = malloc(bytes);
        for (size_t j = 0; j < layer->n[i]; j++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            put(layer, made_tensors.host[i], j, (float)(state >> 40) / 8388608.0F - 1.0F);
        }
        made_tensors.device[i] = allocate(bytes);
        CHECK(on.cuMemcpyHtoDAsync(made_tensors.device[i], made_tensors.host[i], bytes, stream) ==
              CUDA_SUCCESS);
    }
    return made_tensors;
}

/* Giving back device memory waits for copies that still read the host's. */
static void drop_tensors(struct tensors *tensors)
{
    for (int i = 0; i < N_SIDES; i++) {
        CHECK(on.cuMemFree(tensors->device[i]) == CUDA_SUCCESS);
        free(tensors->host[i]);
    }
    CHECK(on.cuMemFree(tensors->workspace) == CUDA_SUCCESS);
}

static cudnnBackendDescriptor_t make_pack(const int64_t *ids, const CUdeviceptr *addresses,
                                          CUdeviceptr workspace)
{
    cudnnBackendDescriptor_t pack = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, N_SIDES, ids);
    set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, N_SIDES, addresses);
    set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finish(pack);
    return pack;
}

/* The real library beside the stand-in, asked without a handle. */
static uint64_t virtual_workspace(const struct vb_conv *conv)
{
    const struct vb_cudnn_filter none = { 0 };
    struct vb_cudnn real = { 0 };
    struct vb_gpu_spec gpu = { 0 };
    struct vb_cudnn_candidate first = { 0 };
    struct vb_error err = { "" };
    void *device = NULL;
    size_t n = 0;
    CHECK(vb_cudnn_open_at(VB_CUDA_LIBRARY_DIR, &real, &err) == VB_OK, "%s", err.text);
    CHECK(real.version == on.cudnnGetVersion());
    CHECK(vb_gpu_spec_find(getenv("VRAMBENCH_EMULATED_GPU"), &gpu, &err) == VB_OK, "%s", err.text);
    CHECK(vb_cudnn_device_open(&real, gpu.json, &device, &err) == VB_OK, "%s", err.text);
    const struct vb_cudnn_target target = { .cudnn = &real, .properties = device };
    CHECK(vb_cudnn_candidates(&target, conv, VB_CUDNN_HEURISTIC, &none, NULL, &first, 1, &n,
                              &err) == VB_OK &&
              n == 1,
          "%s", err.text);
    vb_cudnn_device_close(&real, device);
    vb_gpu_spec_clear(&gpu);
    vb_cudnn_close(&real);
    return first.workspace_bytes;
}

static const int64_t uids[] = { UID + X, UID + W, UID + Y };

static void run_layer(const struct vb_conv *conv, cudnnHandle_t handle, CUstream stream)
{
    static const int results[] = {
        [VB_CONV_FORWARD] = Y, [VB_CONV_BACKWARD_DATA] = X, [VB_CONV_BACKWARD_FILTER] = W
    };
    const struct layer layer = make_layer(conv);
    const int result = results[conv->direction];
    int64_t workspace = -1;
    cudnnBackendDescriptor_t plan = make_plan(&layer, handle, &workspace);
    CHECK(workspace >= 0 && (uint64_t)workspace == virtual_workspace(conv));
    struct tensors tensors = make_tensors(&layer, (size_t)workspace, stream);
    cudnnBackendDescriptor_t pack = make_pack(uids, tensors.device, tensors.workspace);
    const size_t bytes = layer.n[result] * type_bytes(conv->type);
    void *got = malloc(bytes);
    unsigned char scratch = 0;
    if (workspace > 0)
        CHECK(on.cuMemsetD8Async(tensors.workspace, 0, (size_t)workspace, stream) == CUDA_SUCCESS);
    CHECK(on.cuMemsetD8Async(tensors.device[result], 0xff, bytes, stream) == CUDA_SUCCESS);
    CHECK(on.cudnnBackendExecute(handle, plan, pack) == CUDNN_STATUS_SUCCESS);
    CHECK(on.cuMemcpyDtoHAsync(got, tensors.device[result], bytes, stream) == CUDA_SUCCESS);
    CHECK(isnan(get(&layer, got, 0)), "it is there before it is waited for");
    if (workspace > 0)
        CHECK(on.cuMemcpyDtoHAsync(&scratch, tensors.workspace + (size_t)workspace - 1, 1,
                                   stream) == CUDA_SUCCESS);
    CHECK(on.cuStreamSynchronize(stream) == CUDA_SUCCESS);
    CHECK(workspace == 0 || scratch == 0xff, "the workspace holds something of use");
    compare(&layer, tensors.host, result, got);
    free(got);
    drop_tensors(&tensors);
    destroy_all();
}

static cudnnHandle_t start_cudnn(CUstream stream)
{
    cudnnHandle_t handle = NULL;
    CHECK(on.cudnnCreate(&handle) == CUDNN_STATUS_SUCCESS);
    CHECK(on.cudnnSetStream(handle, stream) == CUDNN_STATUS_SUCCESS);
    return handle;
}

static void run_layers(void)
{
    static const struct vb_conv convs[] = {
        { .type = VB_CONV_FP32,
          .n = 2,
          .c = 8,
          .h = 10,
          .w = 12,
          .k = 16,
          .kernel_h = 3,
          .kernel_w = 3,
          .stride = 1,
          .pad = 1,
          .dilation = 1,
          .groups = 1 },
        { .type = VB_CONV_FP32,
          .n = 1,
          .c = 3,
          .h = 32,
          .w = 32,
          .k = 8,
          .kernel_h = 6,
          .kernel_w = 6,
          .stride = 2,
          .pad = 2,
          .dilation = 1,
          .groups = 1 },
        { .type = VB_CONV_FP16,
          .channels_last = true,
          .n = 2,
          .c = 16,
          .h = 20,
          .w = 20,
          .k = 32,
          .kernel_h = 3,
          .kernel_w = 3,
          .stride = 2,
          .pad = 1,
          .dilation = 1,
          .groups = 1 },
        { .type = VB_CONV_BF16,
          .channels_last = true,
          .n = 2,
          .c = 16,
          .h = 8,
          .w = 8,
          .k = 8,
          .kernel_h = 1,
          .kernel_w = 1,
          .stride = 1,
          .dilation = 1,
          .groups = 1 },
    };
    CUstream stream = start();
    cudnnHandle_t handle = start_cudnn(stream);
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        for (int direction = 0; direction < 3; direction++) {
            struct vb_conv conv = convs[i];
            conv.direction = (enum vb_conv_direction)direction;
            run_layer(&conv, handle, stream);
        }
    }
    CHECK(on.cudnnDestroy(handle) == CUDNN_STATUS_SUCCESS);
    stop(stream);
}

static const struct vb_conv small = { .type = VB_CONV_FP16,
                                      .n = 1,
                                      .c = 32,
                                      .h = 64,
                                      .w = 64,
                                      .k = 64,
                                      .kernel_h = 3,
                                      .kernel_w = 3,
                                      .stride = 2,
                                      .pad = 1,
                                      .dilation = 1,
                                      .groups = 1,
                                      .direction = VB_CONV_FORWARD };

static void misuse_pack(void)
{
    static const int64_t wrong[] = { UID + X, UID + W, UID + W };
    const struct layer layer = make_layer(&small);
    CUstream stream = start();
    cudnnHandle_t handle = start_cudnn(stream);
    int64_t workspace = 0;
    char text[256] = "";
    cudnnBackendDescriptor_t plan = make_plan(&layer, handle, &workspace);
    CHECK(workspace > 16, "it needs one that has a workspace");
    struct tensors tensors = make_tensors(&layer, (size_t)workspace, stream);
    CUdeviceptr odd[N_SIDES], *right = tensors.device;
    memcpy(odd, right, sizeof odd);
    odd[X] += 4;
    const CUdeviceptr freed = allocate(64);
    CHECK(on.cuMemFree(freed) == CUDA_SUCCESS);
    CHECK(on.cudnnBackendExecute(handle, plan, make_pack(wrong, right, tensors.workspace)) ==
          CUDNN_STATUS_BAD_PARAM);
    on.cudnnGetLastErrorString(text, sizeof text);
    CHECK(strstr(text, "is given") != NULL, "%s", text);
    CHECK(on.cudnnBackendExecute(handle, plan, make_pack(uids, odd, tensors.workspace)) ==
          CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
    odd[X] = freed;
    CHECK(on.cudnnBackendExecute(handle, plan, make_pack(uids, odd, tensors.workspace)) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(on.cudnnBackendExecute(handle, plan, make_pack(uids, right, tensors.workspace + 1)) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(on.cudnnBackendExecute(handle, plan, make_pack(uids, right, 0)) ==
          CUDNN_STATUS_BAD_PARAM);
    drop_tensors(&tensors);
    destroy_all();
    CHECK(on.cudnnDestroy(handle) == CUDNN_STATUS_SUCCESS);
    stop(stream);
}

/* The tool's own way to a plan and through it. */
static void run_tool(void)
{
    static const int results[] = { Y, X, W };
    const struct vb_cudnn_filter none = { 0 };
    struct vb_cudnn library = { 0 };
    struct vb_error err = { "" };
    CUstream stream = start();
    CHECK(vb_cudnn_open(&library, &err) == VB_OK, "%s", err.text);
    struct vb_cudnn_target target = { .cudnn = &library };
    CHECK(library.create_handle(&target.handle) == 0);
    CHECK(library.set_stream(target.handle, stream) == 0);
    for (int direction = 0; direction < 3; direction++) {
        struct vb_conv conv = small;
        struct vb_cudnn_candidate first = { 0 };
        size_t n = 0;
        conv.direction = (enum vb_conv_direction)direction;
        struct vb_cudnn_bag *bag = vb_cudnn_bag_new(&library);
        CHECK(vb_cudnn_candidates(&target, &conv, VB_CUDNN_HEURISTIC, &none, bag, &first, 1, &n,
                                  &err) == VB_OK &&
                  n == 1,
              "%s", err.text);
        const struct layer layer = make_layer(&conv);
        struct tensors tensors = make_tensors(&layer, first.workspace_bytes, stream);
        const struct vb_cudnn_operands operands = { (void *)(uintptr_t)tensors.device[X],
                                                    (void *)(uintptr_t)tensors.device[W],
                                                    (void *)(uintptr_t)tensors.device[Y],
                                                    (void *)(uintptr_t)tensors.workspace };
        const int result = results[direction];
        const size_t bytes = layer.n[result] * type_bytes(conv.type);
        void *got = malloc(bytes);
        CHECK(vb_cudnn_execute(&target, first.plan, &operands, &err) == VB_OK, "%s", err.text);
        CHECK(on.cuMemcpyDtoHAsync(got, tensors.device[result], bytes, stream) == CUDA_SUCCESS);
        CHECK(on.cuStreamSynchronize(stream) == CUDA_SUCCESS);
        compare(&layer, tensors.host, result, got);
        free(got);
        vb_cudnn_bag_drop(bag);
        drop_tensors(&tensors);
    }
    CHECK(library.destroy_handle(target.handle) == 0);
    vb_cudnn_close(&library);
    stop(stream);
}

static void leave_descriptors(void)
{
    CUstream stream = start();
    size_t before = 0, after = 0, total = 0;
    CHECK(on.cuMemGetInfo(&before, &total) == CUDA_SUCCESS);
    cudnnHandle_t handle = start_cudnn(stream);
    CHECK(on.cuMemGetInfo(&after, &total) == CUDA_SUCCESS && before - after == (8 << 20));
    (void)make_tensor(
        &(struct layer){ .conv = small, .dims = { { 1, 1, 1, 1 } }, .strides = { { 1, 1, 1, 1 } } },
        X);
    CHECK(handle != NULL);
}

static void read_properties(void)
{
    enum { ROOM = 16384 };
    static char json[ROOM];
    int64_t n = 0;
    const int32_t device = 0;
    cudnnBackendDescriptor_t properties = make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    set(properties, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &device);
    finish(properties);
    CHECK(on.cudnnBackendGetAttribute(properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                      CUDNN_TYPE_CHAR, ROOM, &n, json) == CUDNN_STATUS_SUCCESS);
    CHECK(n > 0 && strstr(json, "T4") != NULL, "%s", json);
    destroy_all();
}

static void fail_to_execute(void)
{
    const struct layer layer = make_layer(&small);
    CUstream stream = start();
    cudnnHandle_t handle = start_cudnn(stream);
    int64_t workspace = 0;
    cudnnBackendDescriptor_t plan = make_plan(&layer, handle, &workspace);
    struct tensors tensors = make_tensors(&layer, (size_t)workspace, stream);
    cudnnBackendDescriptor_t pack = make_pack(uids, tensors.device, tensors.workspace);
    CHECK(on.cudnnBackendExecute(handle, plan, pack) == CUDNN_STATUS_EXECUTION_FAILED);
    CHECK(on.cudnnBackendExecute(handle, plan, pack) == CUDNN_STATUS_SUCCESS);
    drop_tensors(&tensors);
    destroy_all();
    CHECK(on.cudnnDestroy(handle) == CUDNN_STATUS_SUCCESS);
    stop(stream);
}

#define T4 "VRAMBENCH_EMULATED_GPU=t4"
#define RTX3090 "VRAMBENCH_EMULATED_GPU=rtx3090"
static const struct test_case cases[] = {
    { "plans are those of the GPU that is named, and compute", run_layers, { RTX3090 }, { NULL } },
    { "so they are for another GPU", run_layers, { "VRAMBENCH_EMULATED_GPU=rtx4090" }, { NULL } },
    { "the tool's own plans compute", run_tool, { RTX3090 }, { NULL } },
    { "what is given to a plan fits it",
      misuse_pack,
      { RTX3090 },
      { "is given 2 times", "aligned to 16 B", "are not inside a live" } },
    { "descriptors and handles that are left are said",
      leave_descriptors,
      { T4 },
      { "left: cuDNN descriptor", "left: cuDNN handle", "left: allocation of 8388608 B",
        "left: stream", "left: retained context" } },
    { "the device's properties are those of the file", read_properties, { T4 }, { NULL } },
    { "an execution may fail",
      fail_to_execute,
      { T4, "VRAMBENCH_EMULATED_FAIL=cudnnBackendExecute:1:5000" },
      { NULL } },
};

int main(int argc, char **argv)
{
    struct vb_cudnn real = { 0 };
    struct vb_error err = { "" };
    CHECK(argc == 2, "expected the libraries' folder");
    CHECK(setenv("VRAMBENCH_CUDA_LIBS", argv[1], 1) == 0);
    if (vb_cudnn_open_at(VB_CUDA_LIBRARY_DIR, &real, &err) != VB_OK) {
        (void)printf("skipped: %s\n", err.text);
        return 77;
    }
    vb_cudnn_close(&real);
    return run_cases(argv[1], cases, sizeof cases / sizeof *cases) > 0;
}
