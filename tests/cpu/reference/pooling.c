/* SPDX-License-Identifier: Apache-2.0 */
/* What YOLOv9, YOLOv3-tiny and YOLO12 have beside the usual operators, each from its definition. */

#include "image.h"

/* The mean of what a window covers. */
void vb_reference_avg_pool(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    struct image x = image_of(self, op->inputs[0]), y = image_of(self, op->outputs[0]);
    const struct vb_window *window = &op->window;
    size_t taps = (size_t)window->kernel_h * window->kernel_w;
    for (size_t i = 0; i < y.n * y.c * y.h * y.w; i++) {
        size_t plane = i / (y.h * y.w), at_y = i / y.w % y.h, at_x = i % y.w;
        for (size_t k = 0; k < taps; k++) {
            size_t from =
                place(&x, plane / y.c, plane % y.c, at_y * window->stride + k / window->kernel_w,
                      at_x * window->stride + k % window->kernel_w);
            if (!is_backward)
                y.at[i] += x.at[from] / (double)taps;
            else
                x.gradient[from] += y.gradient[i] / (double)taps;
        }
    }
}

void vb_reference_pad(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    struct image x = image_of(self, op->inputs[0]), y = image_of(self, op->outputs[0]);
    for (size_t i = 0; i < x.n * x.c * x.h * x.w; i++) {
        size_t plane = i / (x.h * x.w);
        size_t to = place(&y, plane / x.c, plane % x.c, i / x.w % x.h, i % x.w);
        if (!is_backward)
            y.at[to] = x.at[i];
        else
            x.gradient[i] += y.gradient[to];
    }
}

void vb_reference_pile(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    uint32_t y = op->outputs[0];
    size_t n = vb_shape_elements(&self->graph->values[op->inputs[0]].shape);
    for (size_t i = 0; i < op->n_inputs * n; i++) {
        uint32_t x = op->inputs[i / n];
        if (!is_backward)
            self->values[y][i] = self->values[x][i % n];
        else
            self->gradients[x][i % n] += self->gradients[y][i];
    }
}

void vb_reference_sum_first(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    uint32_t x = op->inputs[0], y = op->outputs[0];
    size_t n = vb_shape_elements(&self->graph->values[y].shape);
    for (size_t i = 0; i < vb_shape_elements(&self->graph->values[x].shape); i++) {
        if (!is_backward)
            self->values[y][i % n] += self->values[x][i];
        else
            self->gradients[x][i] += self->gradients[y][i % n];
    }
}

void vb_reference_gain(struct vb_reference *self, uint32_t index, bool is_backward)
{
    const struct vb_op *op = &self->graph->ops[index];
    struct image x = image_of(self, op->inputs[0]), y = image_of(self, op->outputs[0]);
    uint32_t gain = vb_reference_parameter(self->graph, index, 0);
    for (size_t i = 0; i < x.n * x.c * x.h * x.w; i++) {
        size_t c = i / (x.h * x.w) % x.c;
        if (!is_backward) {
            y.at[i] = self->parameters[gain][c] * x.at[i];
            continue;
        }
        x.gradient[i] += self->parameters[gain][c] * y.gradient[i];
        self->parameter_gradients[gain][c] += x.at[i] * y.gradient[i];
    }
}
