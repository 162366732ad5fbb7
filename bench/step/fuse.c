/* SPDX-License-Identifier: Apache-2.0 */
#include "step/fuse.h"

#include "step/math.h"

static struct vb_variable new_tensor(struct vb_tape *tape, const char *what, struct vb_shape shape)
{
    return vb_tape_new(tape, what, &shape, VB_FLOAT32);
}

/* Replaces a tensor of the model. */
static void replace(struct vb_tape *tape, uint32_t *storage, struct vb_variable value)
{
    vb_tape_drop(tape, vb_tape_parameter(tape, VB_NONE, *storage));
    *storage = value.storage;
}

/* The weight is the product of a diagonal matrix of the normalisation's scales with the old one.
 * Vectors in between, of one number a channel, are left out. */
static void fuse(struct vb_tape *tape, const struct vb_shape *shape, uint32_t *weight,
                 uint32_t *scale)
{
    uint32_t channels = shape->dims[0];
    struct vb_variable fused = new_tensor(tape, "fused weight", *shape);
    struct vb_variable bias = new_tensor(tape, "fused bias", VB_SHAPE(channels));
    struct vb_variable old = new_tensor(tape, "weight", *shape);
    struct vb_variable diagonal = new_tensor(tape, "scales", VB_SHAPE(channels, channels));
    vb_make_cublas_workspace(tape);
    vb_done(tape, new_tensor(tape, "product", *shape));
    vb_done(tape, old);
    vb_done(tape, diagonal);
    if (tape->program->failed)
        return;
    replace(tape, weight, fused);
    replace(tape, scale, bias);
}

/* The first parameter of an operator; VB_NONE: it has none. */
static uint32_t parameter_of(const struct vb_graph *graph, uint32_t op)
{
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (graph->parameters[i].op == op)
            return i;
    }
    return VB_NONE;
}

void vb_fuse_weights(struct vb_tape *tape, const struct vb_graph *graph, uint32_t *storages)
{
    uint32_t buffer = graph->n_parameters;
    for (uint32_t i = 1; i < graph->n_ops && !tape->program->failed; i++) {
        uint32_t weight = parameter_of(graph, i - 1), scale = parameter_of(graph, i);
        if (graph->ops[i].kind != VB_BATCHNORM || weight == VB_NONE || scale == VB_NONE)
            continue;
        fuse(tape, &graph->parameters[weight].shape, &storages[weight], &storages[scale]);
        vb_tape_drop(tape, vb_tape_parameter(tape, VB_NONE, storages[scale + 1]));
        /* Its mean, its variance and its counter. */
        while (buffer < graph->n_parameters + graph->n_buffers && graph->parameters[buffer].op != i)
            vb_tape_drop(tape, vb_tape_parameter(tape, VB_NONE, storages[buffer++]));
        if (buffer < graph->n_parameters + graph->n_buffers)
            vb_tape_drop(tape, vb_tape_parameter(tape, VB_NONE, storages[buffer++]));
    }
}
