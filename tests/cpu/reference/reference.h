/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TEST_REFERENCE_H
#define VB_TEST_REFERENCE_H

/* One training step of a YOLOv5 network, worked out a second time: naive loops in double precision
 * over N, C, H, W. It reads the list of operators and shapes from the graph and shares nothing else
 * with what it is compared to.
 */

#include "model/graph.h"

struct vb_reference_box {
    uint32_t image, label;
    double x, y, w, h; /* centre and sides, shares of the image's */
};

struct vb_reference {
    const struct vb_graph *graph;
    double **values; /* one a value of the graph, each its own array, and their gradients */
    double **gradients;
    double **parameters; /* one a parameter, to be filled before the forward pass */
    double **parameter_gradients;
    double **means;     /* one an operator: of batch normalisations, a number a channel */
    double **variances; /* biased */
};

/* All arrays zeroed. Memory that runs out ends the program: these are tests. */
void vb_reference_open(struct vb_reference *self, const struct vb_graph *graph);
void vb_reference_close(struct vb_reference *self);

/* The parameter `which` of an operator: its weight, its bias. */
uint32_t vb_reference_parameter(const struct vb_graph *graph, uint32_t op, uint32_t which);

/* values[0] holds the images and the parameters are filled: fills all other values. */
void vb_reference_forward(struct vb_reference *self);

/* Gives the loss; the gradients of the predictions are set. */
double vb_reference_loss_v5(struct vb_reference *self, const struct vb_reference_box *boxes,
                            uint32_t n);

/* From the predictions' gradients all others. */
void vb_reference_backward(struct vb_reference *self);

#endif
