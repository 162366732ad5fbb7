/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_PROGRAM_H
#define VB_STEP_PROGRAM_H

/* A program: a point compiled to a linear list of instructions. Allocate a tensor, free a tensor,
 * run an operator, enter a phase. Devices execute it and decide nothing about lifetimes.
 *
 * Workspaces are not in it: how large they are is the device's answer, so who executes the program
 * asks for one before it runs a convolution and gives it back after.
 *
 * The instructions are, in order: the set-up (weights and what stays for the run), the first step,
 * and the loop, which is one steady step. What a steady step leaves alive for the next one goes by
 * another tensor at its end than at its start: `carries` says which becomes which.
 */

#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "model/op.h"
#include "record/record.h"
#include "step/operator.h"

enum vb_dtype { VB_BOOL, VB_UINT8, VB_INT64, VB_FLOAT16, VB_BFLOAT16, VB_FLOAT32 };
enum { VB_N_DTYPES = 6 };
extern const char *const vb_dtype_names[VB_N_DTYPES];
extern const uint64_t vb_dtype_bytes[VB_N_DTYPES];

struct vb_tensor {
    const char *name; /* "model.0.conv.weight", "model.2.m.0.cv1.bn/output" */
    struct vb_shape shape;
    enum vb_dtype dtype;
    enum vb_category category;
    uint64_t bytes; /* requested; 0 bytes take no memory at all */
};

/* A tensor or a part of one as an operator sees it: element (i,j,..) lies at `offset` + i
 * strides[0]
 * + j strides[1] + .., counted in elements of the tensor's type. A stride of 0 repeats. */
struct vb_operand {
    uint32_t tensor;     /* VB_NONE: none is given */
    enum vb_dtype dtype; /* the tensor's */
    struct vb_shape shape;
    uint64_t offset;
    uint32_t strides[VB_MAX_DIMS];
};

/* Of a convolution or a pooling: x is [n,c,h,w], y has k channels. */
struct vb_call_window {
    uint32_t n, c, h, w, k;
    struct vb_window window;
    uint32_t groups;
};

enum { VB_MAX_OPERANDS = 10 };
#define VB_NONE UINT32_MAX

/* One operator to run. */
struct vb_call {
    enum vb_operator op;
    enum vb_dtype dtype; /* of a convolution's or a product's arithmetic; else fp32 */
    const char *module;  /* "model.0.conv"; "" outside the model */
    double flops;
    uint64_t bytes;                      /* read and written */
    double a, b;                         /* the operator's numbers */
    const void *data;                    /* VB_OP_UPLOAD: what to copy, in the arena */
    const struct vb_call_window *window; /* of operators that have one; else NULL */
    /* As the operator has them; NULL where the program is only to be planned. */
    const struct vb_operand *operands;
    uint32_t n_operands;
};

/* Whether calls say what they read and write, so that a device can run them, and how it wants
 * images and the weights of convolutions to lie: in the order of their axes, or with the channels
 * last. */
enum vb_layout { VB_ONLY_PLANNED, VB_IN_ORDER, VB_CHANNELS_LAST };

enum vb_instruction_kind { VB_ALLOC, VB_FREE, VB_RUN, VB_PHASE, VB_MARK };

/* What a run does to its pool, or is asked about, between operators. */
enum vb_mark {
    VB_MARK_STEP,       /* a batch is done */
    VB_MARK_EPOCH,      /* the first epoch's last batch is: its GPU_mem is printed */
    VB_MARK_LATER,      /* a later epoch's is */
    VB_MARK_EMPTY,      /* torch.cuda.empty_cache() ... */
    VB_MARK_EMPTY_FULL, /* ... where more than empties_above_percent of the device is reserved */
    VB_MARK_EMPTY_FULL_BEFORE, /* the same with empties_before_percent */
    VB_MARK_PROFILE,           /* AutoBatch reads what is free */
    VB_MARK_SIZE,      /* and what is reserved for the next batch size; adds that to its last ... */
    VB_MARK_SIZE_MORE, /* ... reading */
    VB_MARK_PART,      /* + enum vb_part: this part of the run begins */
};

struct vb_instruction {
    enum vb_instruction_kind kind;
    uint32_t index; /* of a tensor, of a call; a phase or a mark itself */
};

struct vb_carry {
    uint32_t end;   /* tensor alive at the end of the loop */
    uint32_t start; /* that it is when the loop begins again */
};

/* Sums of distinct storages that autograd keeps for backward, parameters and buffers left out. */
struct vb_saved {
    uint64_t bytes;
    uint32_t count;
};

struct vb_program {
    struct vb_arena *arena; /* borrowed; all of the program lives in it */
    struct vb_tensor *tensors;
    size_t n_tensors, tensors_room;
    struct vb_call *calls;
    size_t n_calls, calls_room;
    struct vb_instruction *instructions;
    size_t n_instructions, instructions_room;
    size_t first_step;     /* instruction with which the first step begins */
    size_t second_step;    /* and a second that is not steady yet; loop_start where there is none */
    size_t loop_start;     /* and the steady one, which may be repeated ... */
    size_t loop_end;       /* ... up to here. A run has none: its instructions are walked once */
    uint32_t loop_batches; /* in the loop */
    bool deterministic;    /* what cuDNN is asked for */
    bool fixed_algorithms; /* if so, through its v7 interface */
    bool benchmark;
    struct vb_carry *carries;
    size_t n_carries, carries_room;
    struct vb_saved saved_forward; /* by the model, the input batch included */
    struct vb_saved saved_loss;    /* by the loss, beyond that */
    uint32_t empties_above_percent, empties_before_percent; /* as the recipe says */
    uint32_t n_profiled;                                    /* batch sizes that AutoBatch tries */
    enum vb_layout layout;
    /* Scalars that hold the loss of the last batch when the first step is done, and when the loop's
     * body is. */
    uint32_t first_loss, loss;
    bool lazy_modules; /* kernels are loaded when first used: the context is smaller */
    bool failed;       /* host memory ran out: what follows was dropped */
};

/* Each appends; where host memory runs out `failed` is set and 0 returned. */
uint32_t vb_program_tensor(struct vb_program *program, const struct vb_tensor *tensor);
void vb_program_emit(struct vb_program *program, enum vb_instruction_kind kind, uint32_t index);
void vb_program_run(struct vb_program *program, const struct vb_call *call);
void vb_program_carry(struct vb_program *program, uint32_t end, uint32_t start);

/* Appends the listing, one instruction a line with the bytes alive after it, 80 columns where names
 * allow. `csv`: the same as comma-separated values with a header. */
void vb_program_print(const struct vb_program *program, bool csv, struct vb_text *out);

#endif
