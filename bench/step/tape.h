/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_TAPE_H
#define VB_STEP_TAPE_H

/* A tape: eager execution and autograd, with sizes in the place of numbers.
 *
 * Each operator (layers.h, math.h) takes and gives variables as PyTorch does: it allocates its
 * result, and where a gradient will be asked for it leaves a node that keeps what the backward pass
 * needs. A storage lives while somebody holds it: a variable of the program being traced (hold,
 * drop), a node's saved tensors, a gradient on its way. The last drop emits its FREE.
 * vb_tape_backward() then runs the nodes as autograd's engine does. So the lifetimes follow from
 * the rules, and no list of events is written down anywhere. Source: torch-memory.md, part A,
 * section 4.
 *
 * Host memory that runs out is noted in the program (program->failed); everything after it does
 * nothing.
 */

#include "step/program.h"
#include "step/torch.h"

enum { VB_MAX_GRADIENTS = 32 }; /* inputs, and outputs, of one node */

/* A tensor as autograd sees it. Passed by value: copies share the storage and count as one holder.
 */
struct vb_variable {
    uint32_t storage; /* tensor of the program whose memory it is; VB_NONE: undefined */
    struct vb_shape shape;
    uint64_t offset;               /* where its elements lie in the storage: in elements, as */
    uint32_t strides[VB_MAX_DIMS]; /* struct vb_operand has them */
    enum vb_dtype dtype;
    bool is_dense;   /* no gaps: covers its storage's stretch, in some order */
    bool is_ordered; /* dense, and in the order of its axes: what .contiguous() gives */
    bool requires_grad;
    uint32_t node;      /* that made it; VB_NONE for a leaf */
    uint32_t output;    /* which of the node's */
    uint32_t parameter; /* a leaf that gets a gradient, unless it is frozen; else VB_NONE */
};

struct vb_tape;
struct vb_node;

/* Fills the gradients of the node's inputs from those of its outputs; either may be undefined. What
 * it gives is held once for each; what it is given stays the caller's. */
typedef void vb_backward(struct vb_tape *tape, const struct vb_node *node,
                         const struct vb_variable *outputs, struct vb_variable *inputs);

struct vb_node {
    vb_backward *backward;
    const char *module;
    uint32_t n_inputs, n_outputs, n_saved;
    struct vb_variable
        *inputs; /* what they were: shape, type, where their gradient goes; not held */
    struct vb_variable *buffers; /* gradients that have come, one an output */
    struct vb_variable *saved;   /* held until the node has run */
    double a;                    /* the operator's number */
    const void *detail;          /* what else it needs, in the arena */
};

/* autocast's memory of a leaf that it has cast: it knows it by its tensor. */
struct vb_cast {
    struct vb_variable leaf;
    struct vb_variable cast;
};

enum { VB_JOINED_NAMES = 2048 };

/* A name that was made of these: batches ask for the same again and again. */
struct vb_joined_name {
    const char *module, *what; /* known by their addresses */
    const char *name[2];       /* of a tensor in the forward, of one in the backward pass */
};

struct vb_tape {
    struct vb_program *program;
    const struct vb_torch *torch;
    uint32_t *holders; /* of each tensor of the program */
    size_t holders_room;
    uint32_t *counted; /* in which batch each was last counted as saved; 0: in none */
    size_t counted_room;
    uint32_t batch; /* of the run, from 1 */
    struct vb_node *nodes;
    size_t n_nodes, nodes_room;
    size_t n_made;                 /* the most there were: these have room for what they save */
    struct vb_variable *gradients; /* one a parameter */
    uint32_t n_parameters;
    const char **parameter_names;
    enum vb_category category;                           /* of what is allocated next */
    const char *module;                                  /* in which it is */
    struct vb_joined_name joined_names[VB_JOINED_NAMES]; /* where a hash of theirs says */
    bool is_backward;
    bool is_grad_off;    /* torch.no_grad() */
    bool is_eval;        /* model.eval(): batch normalisation keeps no statistics ... */
    bool frozen_in_eval; /* that of frozen layers is so in training too */
    bool is_fused;       /* ... and with model.fuse() is part of the convolution */
    bool autocast;
    enum vb_dtype autocast_dtype;
    struct vb_cast *casts;
    size_t n_casts, casts_room;
    /* The workspace of cuBLAS's handle in the forward and in the backward thread, made at the
     * thread's first product and kept; 0: made, or none. */
    uint64_t cublas_bytes[2];
    struct vb_saved *saved_sum; /* where what nodes save is counted; NULL: nowhere */
};

/* A shape of these dimensions: an object with an address, as long as its block lasts. */
#define VB_SHAPE(...)                                                                              \
    ((struct vb_shape){ sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), { __VA_ARGS__ } })
#define VB_SCALAR ((struct vb_shape){ 0 })
extern const struct vb_variable vb_undefined;
static inline bool vb_is_defined(const struct vb_variable *variable)
{
    return variable->storage != VB_NONE;
}

/* A new tensor, held once; its axes lie in order. `what` is appended to the module's name. */
struct vb_variable vb_tape_new(struct vb_tape *tape, const char *what, const struct vb_shape *shape,
                               enum vb_dtype dtype);
/* A new image [N,C,H,W] or a convolution's weight [K,C,kh,kw], in the order that the tape has for
 * them; other shapes as above. */
struct vb_variable vb_tape_new_image(struct vb_tape *tape, const char *what,
                                     const struct vb_shape *shape, enum vb_dtype dtype);
/* A new tensor of x's shape, which lies as x does if x has no gaps. */
struct vb_variable vb_tape_new_like(struct vb_tape *tape, const char *what, struct vb_variable x,
                                    enum vb_dtype dtype);

/* Another holder of the storage, and one fewer; undefined variables are nobody's. */
struct vb_variable vb_tape_hold(struct vb_tape *tape, struct vb_variable variable);
void vb_tape_drop(struct vb_tape *tape, struct vb_variable variable);
/* `*variable = value` as Python does it: the new value is there before the old one goes. */
void vb_tape_assign(struct vb_tape *tape, struct vb_variable *variable, struct vb_variable value);

/* Emits `call`, of which `op`, the numbers and what else the operator needs are given, with these
 * operands. */
void vb_tape_apply(struct vb_tape *tape, const struct vb_call *call,
                   const struct vb_variable *operands, uint32_t n);

/* Emits a copy in another order or type, and a number in every element. */
void vb_tape_copy(struct vb_tape *tape, struct vb_variable from, struct vb_variable to);
void vb_tape_fill(struct vb_tape *tape, struct vb_variable y, double value);

/* Emits the upload of y's elements, in its type and the order of its axes, from the arena. NULL:
 * the program is only planned, or the arena had no memory. */
void vb_tape_upload(struct vb_tape *tape, struct vb_variable y, const void *data);

/* A copy of an operator's detail in the program's arena; NULL where that has no memory. */
const void *vb_tape_keep(struct vb_tape *tape, const void *detail, size_t bytes);

/* Before a product of matrices: the workspace of the thread's cuBLAS handle, if it is its first.
 * Source: torch-memory.md, part A, 2.3. */
void vb_make_cublas_workspace(struct vb_tape *tape);

/* A node for an operator of these inputs, or NULL where none of them needs a gradient. */
struct vb_node *vb_tape_node(struct vb_tape *tape, vb_backward *backward,
                             const struct vb_variable *inputs, uint32_t n_inputs,
                             uint32_t n_outputs);
/* Holds `variable` until the node has run. `node` may be NULL. */
void vb_tape_save(struct vb_tape *tape, struct vb_node *node, struct vb_variable variable);
/* A Python number that autograd keeps with the node: 8 bytes on the host, counted and never on the
 * device. `node` may be NULL. */
void vb_tape_save_number(struct vb_tape *tape, const struct vb_node *node);
/* Makes the variable the node's output. `node` may be NULL. */
void vb_tape_output(const struct vb_tape *tape, const struct vb_node *node, uint32_t output,
                    struct vb_variable *variable);

/* True where the operator's backward is to fill this input's gradient. */
static inline bool vb_needs(const struct vb_node *node, uint32_t input)
{
    return node->inputs[input].requires_grad;
}

/* A leaf: a parameter whose memory is there already. */
struct vb_variable vb_tape_parameter(const struct vb_tape *tape, uint32_t parameter,
                                     uint32_t storage);

/* loss.backward(): runs the nodes, last made first; parameters' gradients are in tape->gradients
 * after. The tape has no nodes then. */
void vb_tape_backward(struct vb_tape *tape, struct vb_variable loss);

/* The graph goes without a backward pass, as when the last output that holds it does: what its
 * nodes keep is let go, the last made first. */
void vb_tape_forget(struct vb_tape *tape);

/* What autocast makes of an argument: a copy of another type, held, or the same, held once more.
 * Leaves that ask for a gradient are cast once while the context is open. */
struct vb_variable vb_tape_cast(struct vb_tape *tape, struct vb_variable variable,
                                enum vb_dtype dtype);
/* After a backward pass in an open context: casts that it remembers are nodes of the next pass too,
 * older than all of its others. Source: torch-memory.md, part A, 4; autograd's sequence numbers. */
void vb_tape_renew_casts(struct vb_tape *tape);

/* The end of the autocast context: its memory of leaves goes. */
void vb_tape_autocast_end(struct vb_tape *tape);

#endif
