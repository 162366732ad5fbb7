/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_ONEDNN_PLAN_H
#define VB_CPU_ONEDNN_PLAN_H

/* A plan: how oneDNN computes a call, made once for each shape and kept. It is a list of steps:
 * operands of a type or with strides that oneDNN has no kernel for are copied into scratch, what
 * lies otherwise than the primitive wants it is reordered, the primitive runs, and back. All memory
 * is the call's operands and its workspace. One thread at a time. */

#include "base/arena.h"
#include "cpu/kernel.h"
#include "cpu/onednn.h"

enum { VB_PLAN_OPERANDS = 3, VB_PLAN_MEMORIES = 12, VB_PLAN_STEPS = 8, VB_PLAN_KEY_WORDS = 64 };

struct vb_plan_memory {
    dnnl_memory_t memory;
    uint32_t operand; /* whose memory it is; VB_NONE: the workspace's ... */
    uint64_t at;      /* ... from this byte on */
};

struct vb_plan_step {
    dnnl_primitive_t primitive; /* NULL: a copy between operand ... */
    dnnl_exec_arg_t args[VB_PLAN_OPERANDS + 1];
    int n_args;
    uint32_t operand;
    uint64_t at;               /* ... and workspace, */
    bool is_back;              /* to the operand, */
    struct vb_operand ends[2]; /* which lie so: from, to */
};

struct vb_plan {
    struct vb_plan *next; /* of the same hash */
    uint32_t key[VB_PLAN_KEY_WORDS];
    struct vb_plan_memory memories[VB_PLAN_MEMORIES];
    size_t n_memories;
    struct vb_plan_step steps[VB_PLAN_STEPS];
    size_t n_steps;
    uint64_t workspace_bytes;
};

enum { VB_PLAN_SLOTS = 512 };

struct vb_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* scratch is the user's */
    struct vb_arena arena;      /* of the plans */
    struct vb_plan *slots[VB_PLAN_SLOTS];
};

/* An operand as a primitive sees it. The axes may be other ones over the same memory (groups). */
struct vb_plan_side {
    int arg; /* DNNL_ARG_SRC, .. */
    dnnl_query_t query;
    bool is_result;
    bool is_copied; /* what is described is a copy in the workspace, dense, of the plan's type */
    int n_dims;
    dnnl_dims_t dims, strides;
};

/* Describes the call's operand for a primitive that computes in `dtype`. */
struct vb_plan_side vb_plan_side_of(const struct vb_call *call, uint32_t operand,
                                    enum vb_dtype dtype);

/* The channels lie last, without gaps. */
bool vb_plan_is_channels_last(const struct vb_plan_side *side);

dnnl_data_type_t vb_onednn_type(enum vb_dtype dtype);

/* The steps around the primitive that `desc` describes. `sides` are the call's operands. */
dnnl_status_t vb_plan_wire(struct vb_onednn *onednn, struct vb_plan *plan,
                           const struct vb_call *call, enum vb_dtype dtype,
                           const_dnnl_primitive_desc_t desc, const struct vb_plan_side *sides);

/* Those who fill an empty plan. */
dnnl_status_t vb_plan_conv(struct vb_onednn *onednn, struct vb_plan *plan,
                           const struct vb_call *call);
dnnl_status_t vb_plan_matmul(struct vb_onednn *onednn, struct vb_plan *plan,
                             const struct vb_call *call);

#endif
