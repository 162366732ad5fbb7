/* SPDX-License-Identifier: Apache-2.0 */
/* The operators one after the other, each from its definition. Every value has an array of its own,
 * also where the graph says that it shares another's storage. */

#include "image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPSILON 1e-3

static void *zeroed(size_t n, size_t size)
{
    void *memory = calloc(n + 1, size);
    if (memory == NULL) {
        fprintf(stderr, "no memory left for the reference\n");
        abort();
    }
    return memory;
}

static double **arrays(size_t n)
{
    return zeroed(n, sizeof(double *));
}

static double *numbers(const struct vb_shape *shape)
{
    return zeroed(vb_shape_elements(shape), sizeof(double));
}

void vb_reference_open(struct vb_reference *self, const struct vb_graph *graph)
{
    *self = (struct vb_reference){ graph,
                                   arrays(graph->n_values),
                                   arrays(graph->n_values),
                                   arrays(graph->n_parameters),
                                   arrays(graph->n_parameters),
                                   arrays(graph->n_ops),
                                   arrays(graph->n_ops) };
    for (uint32_t i = 0; i < graph->n_values; i++) {
        self->values[i] = numbers(&graph->values[i].shape);
        self->gradients[i] = numbers(&graph->values[i].shape);
    }
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        self->parameters[i] = numbers(&graph->parameters[i].shape);
        self->parameter_gradients[i] = numbers(&graph->parameters[i].shape);
    }
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        if (graph->ops[i].kind != VB_BATCHNORM)
            continue;
        size_t channels = graph->values[graph->ops[i].outputs[0]].shape.dims[1];
        self->means[i] = zeroed(channels, sizeof(double));
        self->variances[i] = zeroed(channels, sizeof(double));
    }
}

static void free_all(double **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void vb_reference_close(struct vb_reference *self)
{
    const struct vb_graph *graph = self->graph;
    free_all(self->values, graph->n_values);
    free_all(self->gradients, graph->n_values);
    free_all(self->parameters, graph->n_parameters);
    free_all(self->parameter_gradients, graph->n_parameters);
    free_all(self->means, graph->n_ops);
    free_all(self->variances, graph->n_ops);
}

uint32_t vb_reference_parameter(const struct vb_graph *graph, uint32_t op, uint32_t which)
{
    uint32_t first = 0;
    while (first < graph->n_parameters && graph->parameters[first].op != op)
        first++;
    return first + which;
}

/* Where a window's tap lies in the input; false: in the padding. */
static bool tap(const struct vb_window *window, const struct image *x, size_t out_y, size_t out_x,
                size_t ky, size_t kx, size_t *y_in, size_t *x_in)
{
    long y = (long)(out_y * window->stride + ky * window->dilation) - (long)window->pad;
    long z = (long)(out_x * window->stride + kx * window->dilation) - (long)window->pad;
    *y_in = (size_t)y;
    *x_in = (size_t)z;
    return y >= 0 && z >= 0 && y < (long)x->h && z < (long)x->w;
}

/* What a convolution's walk over all products does with each. */
struct conv {
    const struct vb_op *op;
    struct image x, y;
    const double *weight;
    double *weight_gradient;
    bool is_backward;
};

static void conv_output(const struct conv *conv, size_t n, size_t k, size_t out_y, size_t out_x)
{
    const struct vb_window *window = &conv->op->window;
    const struct image *x = &conv->x;
    size_t at = place(&conv->y, n, k, out_y, out_x);
    size_t channels = x->c / conv->op->groups;
    size_t first = k / (conv->y.c / conv->op->groups) * channels;
    for (size_t c = 0; c < channels; c++) {
        for (size_t ky = 0; ky < window->kernel_h; ky++) {
            for (size_t kx = 0; kx < window->kernel_w; kx++) {
                size_t y_in, x_in;
                size_t w = ((k * channels + c) * window->kernel_h + ky) * window->kernel_w + kx;
                if (!tap(window, x, out_y, out_x, ky, kx, &y_in, &x_in))
                    continue;
                size_t from = place(x, n, first + c, y_in, x_in);
                if (!conv->is_backward) {
                    conv->y.at[at] += x->at[from] * conv->weight[w];
                    continue;
                }
                x->gradient[from] += conv->y.gradient[at] * conv->weight[w];
                conv->weight_gradient[w] += conv->y.gradient[at] * x->at[from];
            }
        }
    }
}

static void run_conv(struct vb_reference *self, uint32_t index, bool is_backward)
{
    const struct vb_op *op = &self->graph->ops[index];
    uint32_t weight = vb_reference_parameter(self->graph, index, 0);
    struct conv conv = { op,
                         image_of(self, op->inputs[0]),
                         image_of(self, op->outputs[0]),
                         self->parameters[weight],
                         self->parameter_gradients[weight],
                         is_backward };
    for (size_t n = 0; n < conv.y.n; n++) {
        for (size_t k = 0; k < conv.y.c; k++) {
            for (size_t y = 0; y < conv.y.h; y++) {
                for (size_t x = 0; x < conv.y.w; x++) {
                    size_t at = place(&conv.y, n, k, y, x);
                    if (!is_backward)
                        conv.y.at[at] = op->has_bias ? self->parameters[weight + 1][k] : 0;
                    else if (op->has_bias)
                        self->parameter_gradients[weight + 1][k] += conv.y.gradient[at];
                    conv_output(&conv, n, k, y, x);
                }
            }
        }
    }
}

static void norm_forward(struct vb_reference *self, uint32_t index)
{
    const struct vb_op *op = &self->graph->ops[index];
    struct image x = image_of(self, op->inputs[0]), y = image_of(self, op->outputs[0]);
    uint32_t weight = vb_reference_parameter(self->graph, index, 0);
    size_t plane = x.h * x.w;
    double count = (double)(x.n * plane);
    for (size_t c = 0; c < x.c; c++) {
        double mean = 0, variance = 0;
        for (size_t n = 0; n < x.n; n++) {
            for (size_t i = 0; i < plane; i++)
                mean += x.at[place(&x, n, c, 0, 0) + i] / count;
        }
        for (size_t n = 0; n < x.n; n++) {
            for (size_t i = 0; i < plane; i++)
                variance += pow(x.at[place(&x, n, c, 0, 0) + i] - mean, 2) / count;
        }
        for (size_t n = 0; n < x.n; n++) {
            for (size_t i = 0; i < plane; i++) {
                size_t at = place(&x, n, c, 0, 0) + i;
                y.at[at] =
                    (x.at[at] - mean) / sqrt(variance + EPSILON) * self->parameters[weight][c] +
                    self->parameters[weight + 1][c];
            }
        }
        self->means[index][c] = mean;
        self->variances[index][c] = variance;
    }
}

/* With z = (x - mean) / deviation: dx = weight / deviation (dy - mean(dy) - z mean(dy z)). */
static void norm_backward(struct vb_reference *self, uint32_t index)
{
    const struct vb_op *op = &self->graph->ops[index];
    struct image x = image_of(self, op->inputs[0]), y = image_of(self, op->outputs[0]);
    uint32_t weight = vb_reference_parameter(self->graph, index, 0);
    size_t plane = x.h * x.w;
    double count = (double)(x.n * plane);
    for (size_t c = 0; c < x.c; c++) {
        double deviation = sqrt(self->variances[index][c] + EPSILON);
        double sum = 0, product = 0;
        for (size_t n = 0; n < x.n; n++) {
            for (size_t i = 0; i < plane; i++) {
                size_t at = place(&x, n, c, 0, 0) + i;
                sum += y.gradient[at];
                product += y.gradient[at] * (x.at[at] - self->means[index][c]) / deviation;
            }
        }
        for (size_t n = 0; n < x.n; n++) {
            for (size_t i = 0; i < plane; i++) {
                size_t at = place(&x, n, c, 0, 0) + i;
                double z = (x.at[at] - self->means[index][c]) / deviation;
                x.gradient[at] += self->parameters[weight][c] / deviation *
                                  (y.gradient[at] - sum / count - z * product / count);
            }
        }
        self->parameter_gradients[weight][c] += product;
        self->parameter_gradients[weight + 1][c] += sum;
    }
}

static void run_silu(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    uint32_t x = op->inputs[0], y = op->outputs[0];
    size_t n = vb_shape_elements(&self->graph->values[x].shape);
    for (size_t i = 0; i < n; i++) {
        double v = self->values[x][i];
        double s = 1 / (1 + exp(-v));
        if (!is_backward)
            self->values[y][i] = v * s;
        else
            self->gradients[x][i] += self->gradients[y][i] * (s + v * s * (1 - s));
    }
}

/* The place of the largest in the window; the first of several. */
static size_t largest(const struct vb_window *window, const struct image *x, size_t n, size_t c,
                      size_t out_y, size_t out_x)
{
    size_t best = SIZE_MAX;
    for (size_t ky = 0; ky < window->kernel_h; ky++) {
        for (size_t kx = 0; kx < window->kernel_w; kx++) {
            size_t y_in, x_in;
            if (!tap(window, x, out_y, out_x, ky, kx, &y_in, &x_in))
                continue;
            size_t at = place(x, n, c, y_in, x_in);
            if (best == SIZE_MAX || x->at[at] > x->at[best])
                best = at;
        }
    }
    return best;
}

static void run_max_pool(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    struct image x = image_of(self, op->inputs[0]), y = image_of(self, op->outputs[0]);
    for (size_t n = 0; n < y.n; n++) {
        for (size_t c = 0; c < y.c; c++) {
            for (size_t i = 0; i < y.h * y.w; i++) {
                size_t from = largest(&op->window, &x, n, c, i / y.w, i % y.w);
                size_t at = place(&y, n, c, 0, 0) + i;
                if (!is_backward)
                    y.at[at] = x.at[from];
                else
                    x.gradient[from] += y.gradient[at];
            }
        }
    }
}

static void run_upsample(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    struct image x = image_of(self, op->inputs[0]), y = image_of(self, op->outputs[0]);
    for (size_t n = 0; n < y.n; n++) {
        for (size_t c = 0; c < y.c; c++) {
            for (size_t i = 0; i < y.h * y.w; i++) {
                size_t from = place(&x, n, c, i / y.w / (y.h / x.h), i % y.w / (y.w / x.w));
                size_t at = place(&y, n, c, 0, 0) + i;
                if (!is_backward)
                    y.at[at] = x.at[from];
                else
                    x.gradient[from] += y.gradient[at];
            }
        }
    }
}

/* Channels `first` on of `whole` are those of `part`: copied one way, or added up the other way in
 * the gradients. */
static void move_channels(const struct image *whole, const struct image *part, size_t first,
                          bool to_whole, bool is_backward)
{
    size_t length = part->c * part->h * part->w;
    for (size_t n = 0; n < part->n; n++) {
        size_t there = place(whole, n, first, 0, 0), here = n * length;
        for (size_t i = 0; i < length; i++) {
            if (!is_backward && to_whole)
                whole->at[there + i] = part->at[here + i];
            else if (!is_backward)
                part->at[here + i] = whole->at[there + i];
            else if (to_whole)
                part->gradient[here + i] += whole->gradient[there + i];
            else
                whole->gradient[there + i] += part->gradient[here + i];
        }
    }
}

static void run_concat(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    struct image y = image_of(self, op->outputs[0]);
    size_t first = 0;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        struct image x = image_of(self, op->inputs[i]);
        move_channels(&y, &x, first, true, is_backward);
        first += x.c;
    }
}

/* A value of four axes, the third of which takes the place of the channels. */
static struct image heads_of(const struct vb_reference *self, uint32_t value)
{
    const struct image image = image_of(self, value);
    return (struct image){ image.n * image.c, image.h, image.w, 1, image.at, image.gradient };
}

static void run_split(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    bool is_heads = op->axis == 2;
    struct image x = is_heads ? heads_of(self, op->inputs[0]) : image_of(self, op->inputs[0]);
    size_t first = 0;
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        struct image y = is_heads ? heads_of(self, op->outputs[i]) : image_of(self, op->outputs[i]);
        move_channels(&x, &y, first, false, is_backward);
        first += y.c;
    }
}

static void run_add(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    uint32_t a = op->inputs[0], b = op->inputs[1], y = op->outputs[0];
    size_t n = vb_shape_elements(&self->graph->values[y].shape);
    for (size_t i = 0; i < n; i++) {
        if (!is_backward) {
            self->values[y][i] = self->values[a][i] + self->values[b][i];
            continue;
        }
        self->gradients[a][i] += self->gradients[y][i];
        self->gradients[b][i] += self->gradients[y][i];
    }
}

/* Where element i of y is in x, whose axes lie in another order. */
static size_t permuted(const struct vb_shape *x, const struct vb_shape *y, const uint32_t *order,
                       size_t i)
{
    size_t from = 0;
    for (uint32_t axis = y->n_dims; axis-- > 0; i /= y->dims[axis]) {
        size_t at = i % y->dims[axis];
        for (uint32_t k = order[axis] + 1; k < x->n_dims; k++)
            at *= x->dims[k];
        from += at;
    }
    return from;
}

/* x [..,m,n] to y [..,n,m]; of other kinds, x as it lies or its axes in another order. */
static size_t moved(const struct vb_shape *x, const struct vb_shape *y, const struct vb_op *op,
                    size_t i)
{
    if (op->kind == VB_TRANSPOSE) {
        size_t rows = y->dims[y->n_dims - 2], columns = y->dims[y->n_dims - 1];
        size_t row = i / columns % rows, column = i % columns;
        return i / (rows * columns) * rows * columns + column * rows + row;
    }
    return op->kind == VB_PERMUTE ? permuted(x, y, op->order, i) : i;
}

static void run_reshape(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    uint32_t x = op->inputs[0], y = op->outputs[0];
    const struct vb_shape *shape = &self->graph->values[y].shape;
    size_t n = vb_shape_elements(shape);
    for (size_t i = 0; i < n; i++) {
        size_t from = moved(&self->graph->values[x].shape, shape, op, i);
        if (!is_backward)
            self->values[y][i] = self->values[x][from];
        else
            self->gradients[x][from] += self->gradients[y][i];
    }
}

/* x [b,m,k], z [b,k,n], y [b,m,n]: with each product, y += x z; or x' += y' z, z' += x y'. */
static void run_matmul(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    uint32_t x = op->inputs[0], z = op->inputs[1], y = op->outputs[0];
    const uint32_t *dims = self->graph->values[y].shape.dims;
    size_t inner = self->graph->values[x].shape.dims[2];
    for (size_t row = 0; row < (size_t)dims[0] * dims[1]; row++) {
        for (size_t j = 0; j < dims[2]; j++) {
            size_t to = row * dims[2] + j;
            for (size_t k = 0; k < inner; k++) {
                size_t a = row * inner + k, b = (row / dims[1] * inner + k) * dims[2] + j;
                if (!is_backward) {
                    self->values[y][to] += self->values[x][a] * self->values[z][b];
                    continue;
                }
                self->gradients[x][a] += self->gradients[y][to] * self->values[z][b];
                self->gradients[z][b] += self->gradients[y][to] * self->values[x][a];
            }
        }
    }
}

static void run_scale(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    uint32_t x = op->inputs[0], y = op->outputs[0];
    size_t n = vb_shape_elements(&self->graph->values[y].shape);
    for (size_t i = 0; i < n; i++) {
        if (is_backward)
            self->gradients[x][i] += op->factor * self->gradients[y][i];
        else
            self->values[y][i] = op->factor * self->values[x][i];
    }
}

/* y = exp(x) / their sum along the last axis; x' = y (y' - sum of y y'). */
static void run_softmax(struct vb_reference *self, const struct vb_op *op, bool is_backward)
{
    const struct vb_shape *shape = &self->graph->values[op->outputs[0]].shape;
    size_t length = shape->dims[shape->n_dims - 1], n = vb_shape_elements(shape);
    for (size_t first = 0; first < n; first += length) {
        const double *x = self->values[op->inputs[0]] + first;
        double *y = self->values[op->outputs[0]] + first;
        double *to = self->gradients[op->inputs[0]] + first, sum = 0;
        const double *from = self->gradients[op->outputs[0]] + first;
        for (size_t i = 0; i < length; i++)
            sum += is_backward ? y[i] * from[i] : exp(x[i]);
        for (size_t i = 0; i < length; i++) {
            if (is_backward)
                to[i] += y[i] * (from[i] - sum);
            else
                y[i] = exp(x[i]) / sum;
        }
    }
}

static void run_op(struct vb_reference *self, uint32_t index, bool is_backward)
{
    const struct vb_op *op = &self->graph->ops[index];
    switch (op->kind) {
    case VB_CONV:
        run_conv(self, index, is_backward);
        return;
    case VB_BATCHNORM:
        is_backward ? norm_backward(self, index) : norm_forward(self, index);
        return;
    case VB_SILU:
        run_silu(self, op, is_backward);
        return;
    case VB_MAXPOOL:
        run_max_pool(self, op, is_backward);
        return;
    case VB_UPSAMPLE:
        run_upsample(self, op, is_backward);
        return;
    case VB_CONCAT:
        run_concat(self, op, is_backward);
        return;
    case VB_SPLIT:
        run_split(self, op, is_backward);
        return;
    case VB_ADD:
    case VB_ADD_IN_PLACE:
        run_add(self, op, is_backward);
        return;
    case VB_AVGPOOL:
        vb_reference_avg_pool(self, op, is_backward);
        return;
    case VB_PAD:
        vb_reference_pad(self, op, is_backward);
        return;
    case VB_PILE:
        vb_reference_pile(self, op, is_backward);
        return;
    case VB_SUM_FIRST:
        vb_reference_sum_first(self, op, is_backward);
        return;
    case VB_VIEW:
    case VB_PERMUTE:
    case VB_CLONE:
    case VB_ADD_ZERO:
    case VB_TRANSPOSE:
    case VB_STACK:
    case VB_UNSTACK:
        run_reshape(self, op, is_backward);
        return;
    case VB_DETACH:
        if (!is_backward)
            run_reshape(self, op, false);
        return;
    case VB_MATMUL:
        run_matmul(self, op, is_backward);
        return;
    case VB_GAIN:
        vb_reference_gain(self, index, is_backward);
        return;
    case VB_SCALE:
        run_scale(self, op, is_backward);
        return;
    case VB_SOFTMAX:
        run_softmax(self, op, is_backward);
        return;
    case VB_RELU:
    case VB_AVERAGE:
    case VB_LINEAR:
    case VB_SLICE:
    case VB_CONV_TRANSPOSE:
        break;
    }
    fprintf(stderr, "the reference has no %s\n", vb_op_kind_names[op->kind]);
    abort();
}

void vb_reference_forward(struct vb_reference *self)
{
    for (uint32_t i = 0; i < self->graph->n_ops; i++)
        run_op(self, i, false);
}

void vb_reference_backward(struct vb_reference *self)
{
    for (uint32_t i = self->graph->n_ops; i-- > 0;)
        run_op(self, i, true);
}
