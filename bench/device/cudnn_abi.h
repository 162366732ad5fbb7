/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CUDNN_ABI_H
#define VB_DEVICE_CUDNN_ABI_H

/* The part of cuDNN 9's binary interface that planning needs, so that a machine which has the
 * library but not its headers still asks it. Where the headers are present at build time,
 * cudnn_abi.c holds every number here against them. Private to cudnn_*.c. Source: cuDNN 9 API
 * reference, "Backend API". */

#include <stddef.h>
#include <stdint.h>

/* A backend descriptor; statuses are int, 0 for success; enums are passed as int. */
typedef void *vb_cudnn_descriptor;

enum vb_cudnn_descriptor_type {
    VB_CUDNN_CONVOLUTION = 1,
    VB_CUDNN_ENGINE = 2,
    VB_CUDNN_ENGINECFG = 3,
    VB_CUDNN_ENGINEHEUR = 4,
    VB_CUDNN_EXECUTION_PLAN = 5,
    VB_CUDNN_OPERATION_FORWARD = 10,
    VB_CUDNN_OPERATION_BACKWARD_FILTER = 11,
    VB_CUDNN_OPERATION_BACKWARD_DATA = 12,
    VB_CUDNN_OPERATIONGRAPH = 15,
    VB_CUDNN_TENSOR = 17,
    VB_CUDNN_DEVICEPROP = 38,
};

enum vb_cudnn_attribute {
    VB_CUDNN_CONVOLUTION_COMP_TYPE = 100,
    VB_CUDNN_CONVOLUTION_CONV_MODE = 101,
    VB_CUDNN_CONVOLUTION_DILATIONS = 102,
    VB_CUDNN_CONVOLUTION_FILTER_STRIDES = 103,
    VB_CUDNN_CONVOLUTION_POST_PADDINGS = 104,
    VB_CUDNN_CONVOLUTION_PRE_PADDINGS = 105,
    VB_CUDNN_CONVOLUTION_SPATIAL_DIMS = 106,
    VB_CUDNN_ENGINEHEUR_MODE = 200,
    VB_CUDNN_ENGINEHEUR_OPERATION_GRAPH = 201,
    VB_CUDNN_ENGINEHEUR_RESULTS = 202,
    VB_CUDNN_ENGINEHEUR_DEVICEPROP = 204,
    VB_CUDNN_ENGINECFG_ENGINE = 300,
    VB_CUDNN_EXECUTION_PLAN_ENGINE_CONFIG = 401,
    VB_CUDNN_EXECUTION_PLAN_WORKSPACE_SIZE = 402,
    VB_CUDNN_EXECUTION_PLAN_DEVICEPROP = 407,
    VB_CUDNN_FORWARD_ALPHA = 700, /* each direction: alpha, beta, convolution, three tensors */
    VB_CUDNN_BACKWARD_DATA_ALPHA = 706,
    VB_CUDNN_BACKWARD_FILTER_ALPHA = 712,
    VB_CUDNN_OPERATIONGRAPH_OPS = 801,
    VB_CUDNN_TENSOR_BYTE_ALIGNMENT = 900,
    VB_CUDNN_TENSOR_DATA_TYPE = 901,
    VB_CUDNN_TENSOR_DIMENSIONS = 902,
    VB_CUDNN_TENSOR_STRIDES = 903,
    VB_CUDNN_TENSOR_UNIQUE_ID = 906,
    VB_CUDNN_ENGINE_GLOBAL_INDEX = 1301,
    VB_CUDNN_ENGINE_NUMERICAL_NOTE = 1303,
    VB_CUDNN_DEVICEPROP_JSON = 2702,
};

enum vb_cudnn_attribute_type {
    VB_CUDNN_TYPE_DATA_TYPE = 1,
    VB_CUDNN_TYPE_INT64 = 3,
    VB_CUDNN_TYPE_FLOAT = 4,
    VB_CUDNN_TYPE_CONVOLUTION_MODE = 7,
    VB_CUDNN_TYPE_HEUR_MODE = 8,
    VB_CUDNN_TYPE_NUMERICAL_NOTE = 11,
    VB_CUDNN_TYPE_BACKEND_DESCRIPTOR = 15,
    VB_CUDNN_TYPE_CHAR = 24,
};

enum vb_cudnn_data { VB_CUDNN_FLOAT = 0, VB_CUDNN_HALF = 2, VB_CUDNN_BFLOAT16 = 9 };
enum { VB_CUDNN_CROSS_CORRELATION = 1 };
enum vb_cudnn_heuristic { VB_CUDNN_FALLBACK = 2, VB_CUDNN_MODE_A = 3 };
enum vb_cudnn_note {
    VB_CUDNN_NOTE_TENSOR_CORE = 0,
    VB_CUDNN_NOTE_DOWN_CONVERT = 1,
    VB_CUDNN_NOTE_NONDETERMINISTIC = 4,
};

#endif
