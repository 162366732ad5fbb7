/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_INTERPRET_H
#define VB_TESTS_STEP_INTERPRET_H

/* A program's calls computed on numbers, as step/operator.h says what they do and with nothing of
 * the devices in it: so slowly that it is plainly right. All numbers are doubles. Either each
 * result is rounded to its tensor's type, as devices do, or floating-point ones are not, which is
 * for derivatives by differences. Memory that is not written yet is NaN, and who reads what is not
 * there fails the test.
 */

#include "interpret_layers.h"
#include "interpret_lines.h"
#include "interpret_memory.h"

static inline double interpret_number(const struct vb_call *call, double x, double z)
{
    double a = call->a;
    switch ((int)call->op) {
    case VB_OP_ADD_NUMBER:
        return x + a;
    case VB_OP_MUL_NUMBER:
        return x * a;
    case VB_OP_SUBTRACT_FROM:
        return a - x;
    case VB_OP_POWER:
        return pow(x, a);
    case VB_OP_REMAINDER:
        return x - a * floor(x / a);
    case VB_OP_CLAMP:
        return fmin(fmax(x, a), call->b);
    case VB_OP_LESS_NUMBER:
        return x < a;
    case VB_OP_GREATER_NUMBER:
        return x > a;
    case VB_OP_AT_LEAST_NUMBER:
        return x >= a;
    case VB_OP_RECIPROCAL:
        return 1 / x;
    case VB_OP_SQRT:
        return sqrt(x);
    case VB_OP_EXP:
        return exp(x);
    case VB_OP_LOG:
        return log(x);
    case VB_OP_ATAN:
        return atan(x);
    case VB_OP_SIGMOID:
        return 1 / (1 + exp(-x));
    case VB_OP_SIGMOID_BACKWARD:
        return x * z * (1 - z);
    case VB_OP_SILU:
        return x / (1 + exp(-x));
    case VB_OP_RELU:
        return fmax(x, 0);
    case VB_OP_LOG_SIGMOID:
        return fmin(x, 0) - log1p(exp(-fabs(x)));
    default:
        break;
    }
    cr_assert_fail("no rule for %s", vb_operator_names[call->op]);
    return NAN;
}

/* An element of the result `y`, which held `before`, from those of up to three inputs. */
static inline double interpret_element(const struct vb_call *call, const double *x, double before)
{
    double a = call->a;
    switch ((int)call->op) {
    case VB_OP_COPY:
        return x[0];
    case VB_OP_FILL:
        return a;
    case VB_OP_ADD:
        return x[0] + x[1];
    case VB_OP_ADD_SCALED:
        return x[0] + a * x[1];
    case VB_OP_SUB:
        return x[0] - x[1];
    case VB_OP_MUL:
        return x[0] * x[1];
    case VB_OP_DIV:
        return x[0] / x[1];
    case VB_OP_MINIMUM:
        return fmin(x[0], x[1]);
    case VB_OP_MAXIMUM:
        return fmax(x[0], x[1]);
    case VB_OP_AND:
        return x[0] != 0 && x[1] != 0;
    case VB_OP_EQUAL:
        return x[0] == x[1];
    case VB_OP_LESS:
        return x[0] < x[1];
    case VB_OP_WHERE:
        return x[0] != 0 ? x[1] : x[2];
    case VB_OP_MASKED_FILL:
        return x[0] != 0 ? a : before;
    default:
        return interpret_number(call, x[0], x[1]);
    }
}

static inline void interpret_elementwise(const struct interpreter *in, const struct vb_call *call)
{
    uint32_t n_inputs = call->n_operands - 1;
    const struct vb_operand *y = &call->operands[n_inputs];
    uint64_t n = interpret_elements(&y->shape);
    cr_assert_leq(n_inputs, 3);
    for (uint64_t i = 0; i < n; i++) {
        double x[3] = { NAN, NAN, NAN };
        double *to = interpret_at(in, y, &y->shape, i);
        for (uint32_t k = 0; k < n_inputs; k++) {
            x[k] = *interpret_at(in, &call->operands[k], &y->shape, i);
            cr_assert(!isnan(x[k]), "%s: %s is not a number", in->now,
                      in->program->tensors[call->operands[k].tensor].name);
        }
        *to = interpret_typed(in, y, interpret_element(call, x, *to));
    }
}

/* The axis of x that y has not, or of length 1, where there is one such of more than one element;
 * else the last. */
static inline uint32_t interpret_lost_axis(const struct vb_operand *x, const struct vb_operand *y)
{
    uint32_t more = x->shape.n_dims - y->shape.n_dims;
    for (uint32_t i = 0; i < x->shape.n_dims; i++) {
        if (x->shape.dims[i] > 1 && (i < more || y->shape.dims[i - more] == 1))
            return i;
    }
    return x->shape.n_dims - 1;
}

static inline void interpret_argmax(const struct interpreter *in, const struct vb_operand *x,
                                    const struct vb_operand *y)
{
    uint32_t axis = interpret_lost_axis(x, y);
    uint64_t n = interpret_elements(&x->shape), after = 1;
    for (uint32_t i = axis + 1; i < x->shape.n_dims; i++)
        after *= x->shape.dims[i];
    for (uint64_t i = 0; i < n; i++) {
        uint64_t here = i / after % x->shape.dims[axis];
        double *best = interpret_at(in, y, &x->shape, i);
        if (here == 0)
            *best = 0;
        double most = *interpret_at(in, x, &x->shape, i - (here - (uint64_t)*best) * after);
        if (*interpret_at(in, x, &x->shape, i) > most)
            *best = (double)here;
    }
}

static inline double interpret_step(enum vb_operator op, double sum, double x)
{
    if (op == VB_OP_MAX_OF)
        return isnan(x) || x > sum ? x : sum;
    return op == VB_OP_NORM ? sum + x * x : sum + x;
}

static inline void interpret_reduction(const struct interpreter *in, const struct vb_call *call)
{
    const struct vb_operand *x = &call->operands[0], *y = &call->operands[1];
    uint64_t n = interpret_elements(&x->shape), n_results = interpret_elements(&y->shape);
    cr_assert_eq(call->n_operands, 2);
    if (call->op == VB_OP_ARGMAX) {
        interpret_argmax(in, x, y);
        return;
    }
    for (uint64_t i = 0; i < n_results; i++)
        *interpret_at(in, y, &y->shape, i) = call->op == VB_OP_MAX_OF ? -INFINITY : 0;
    for (uint64_t i = 0; i < n; i++) {
        double *sum = interpret_at(in, y, &x->shape, i);
        *sum = interpret_step(call->op, *sum, *interpret_at(in, x, &x->shape, i));
    }
    for (uint64_t i = 0; i < n_results; i++) {
        double *sum = interpret_at(in, y, &y->shape, i);
        if (call->op == VB_OP_MEAN)
            *sum /= (double)n / (double)n_results;
        *sum = interpret_typed(in, y, call->op == VB_OP_NORM ? sqrt(*sum) : *sum);
    }
}

/* x[i1,..,ik]: the place in x that the element `at` of S + x's other axes has. */
static inline double *interpret_indexed(const struct interpreter *in, const struct vb_operand *x,
                                        const struct vb_operand *indices, uint32_t k, uint64_t at)
{
    struct vb_operand row = *x;
    uint64_t n = 1;
    row.shape.n_dims = x->shape.n_dims - k;
    for (uint32_t i = 0; i < row.shape.n_dims; i++) {
        row.shape.dims[i] = x->shape.dims[i + k];
        row.strides[i] = x->strides[i + k];
        n *= row.shape.dims[i];
    }
    for (uint32_t i = 0; i < k; i++) {
        double index = *interpret_at(in, &indices[i], &indices[0].shape, at / n);
        cr_assert(index >= 0 && index < x->shape.dims[i], "%s: index %g of %u",
                  in->program->tensors[x->tensor].name, index, x->shape.dims[i]);
        row.offset += (uint64_t)index * x->strides[i];
    }
    return interpret_at(in, &row, &row.shape, at % n);
}

/* INDEX: x, indices, y. INDEX_PUT and INDEX_ADD: z, indices, y. */
static inline void interpret_rows(const struct interpreter *in, const struct vb_call *call)
{
    const struct vb_operand *first = &call->operands[0], *indices = first + 1;
    uint32_t k = call->n_operands - 2;
    const struct vb_operand *last = first + 1 + k;
    const struct vb_operand *of = call->op == VB_OP_INDEX ? first : last;
    struct vb_shape shape = indices[0].shape; /* S + the other axes */
    for (uint32_t i = k; i < of->shape.n_dims; i++)
        shape.dims[shape.n_dims++] = of->shape.dims[i];
    uint64_t n = interpret_elements(&shape);
    if (call->op == VB_OP_INDEX)
        cr_assert_eq(n, interpret_elements(&last->shape));
    for (uint64_t i = 0; i < n; i++) {
        double *row = interpret_indexed(in, of, indices, k, i);
        if (call->op == VB_OP_INDEX)
            *interpret_at(in, last, &shape, i) = *row;
        else
            *row = interpret_typed(in, last,
                                   *interpret_at(in, first, &shape, i) +
                                       (call->op == VB_OP_INDEX_ADD ? *row : 0));
    }
}

/* Of what is true in the mask, or of what is not, from place `found` on; gives how many there are
 * then, at most as many as there is room for. */
static inline uint64_t interpret_places(const struct interpreter *in, const struct vb_call *call,
                                        bool what, uint64_t found)
{
    const struct vb_operand *mask = &call->operands[0], *places = &call->operands[1];
    uint64_t n = interpret_elements(&mask->shape);
    uint32_t axes = mask->shape.n_dims;
    cr_assert_eq(places->shape.dims[1], axes);
    for (uint64_t i = 0; i < n; i++) {
        if ((*interpret_at(in, mask, &mask->shape, i) != 0) != what)
            continue;
        if (found == places->shape.dims[0] && !what)
            break;
        cr_assert_lt(found, places->shape.dims[0],
                     "more are true than the %u that there is room for", places->shape.dims[0]);
        uint64_t rest = i;
        for (uint32_t axis = axes; axis-- > 0; rest /= mask->shape.dims[axis])
            *interpret_at(in, places, &places->shape, found * axes + axis) =
                (double)(rest % mask->shape.dims[axis]);
        found++;
    }
    return found;
}

static inline void interpret_nonzero(const struct interpreter *in, const struct vb_call *call)
{
    uint32_t n = call->operands[1].shape.dims[0];
    uint64_t found = interpret_places(in, call, true, 0);
    if (call->op == VB_OP_NONZERO_FILL)
        found = interpret_places(in, call, false, found);
    cr_assert_eq(found, n, "%lu are true and not %u", (unsigned long)found, n);
}

static inline double interpret_datum(const void *data, enum vb_dtype dtype, uint64_t i)
{
    if (dtype == VB_FLOAT32)
        return (double)((const float *)data)[i];
    if (dtype == VB_INT64)
        return (double)((const int64_t *)data)[i];
    cr_assert(dtype == VB_BOOL || dtype == VB_UINT8, "no upload of %s", vb_dtype_names[dtype]);
    return (double)((const uint8_t *)data)[i];
}

static inline void interpret_source(const struct interpreter *in, const struct vb_call *call)
{
    const struct vb_operand *y = &call->operands[0];
    enum vb_dtype dtype = in->program->tensors[y->tensor].dtype;
    uint64_t n = interpret_elements(&y->shape);
    for (uint64_t i = 0; i < n; i++)
        *interpret_at(in, y, &y->shape, i) =
            call->op == VB_OP_RANGE ? interpret_typed(in, y, call->a + call->b * (double)i)
                                    : interpret_datum(call->data, dtype, i);
}

static inline void interpret_call(const struct interpreter *in, const struct vb_call *call)
{
    cr_assert_not_null(call->operands, "%s has no operands", vb_operator_names[call->op]);
    switch ((int)call->op) {
    case VB_OP_SUM:
    case VB_OP_MEAN:
    case VB_OP_MAX_OF:
    case VB_OP_ARGMAX:
    case VB_OP_NORM:
        interpret_reduction(in, call);
        break;
    case VB_OP_INDEX:
    case VB_OP_INDEX_PUT:
    case VB_OP_INDEX_ADD:
        interpret_rows(in, call);
        break;
    case VB_OP_SOFTMAX:
    case VB_OP_SOFTMAX_BACKWARD:
    case VB_OP_LOG_SOFTMAX:
    case VB_OP_LOG_SOFTMAX_BACKWARD:
    case VB_OP_MATVEC:
    case VB_OP_NLL:
    case VB_OP_NLL_BACKWARD:
    case VB_OP_TOP_K:
    case VB_OP_SCATTER:
    case VB_OP_SCATTER_ADD:
        interpret_lines(in, call);
        break;
    case VB_OP_RESOLVE_CLAIMS:
        interpret_claims(in, call->operands);
        break;
    case VB_OP_UNIQUE:
        interpret_unique(in, call->operands);
        break;
    case VB_OP_NONZERO:
    case VB_OP_NONZERO_FILL:
        interpret_nonzero(in, call);
        break;
    case VB_OP_CONV_BACKWARD_DATA:
        interpret_conv_back(in, call);
        break;
    case VB_OP_CONV:
    case VB_OP_BATCH_NORM:
    case VB_OP_MAX_POOL:
    case VB_OP_UPSAMPLE:
        interpret_layer(in, call);
        break;
    case VB_OP_MATMUL:
        interpret_matmul(in, call->operands);
        break;
    case VB_OP_UPLOAD:
    case VB_OP_RANGE:
        interpret_source(in, call);
        break;
    default:
        interpret_elementwise(in, call);
    }
}

/* Instructions `from` up to `to`. */
static inline void interpret(struct interpreter *in, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        struct vb_instruction instruction = in->program->instructions[i];
        if (instruction.kind == VB_RUN) {
            const struct vb_call *call = &in->program->calls[instruction.index];
            in->now = vb_operator_names[call->op];
            interpret_call(in, call);
        }
        if (instruction.kind == VB_FREE) {
            free(in->values[instruction.index]);
            in->values[instruction.index] = NULL;
        }
        if (instruction.kind != VB_ALLOC)
            continue;
        uint64_t n = interpret_elements(&in->program->tensors[instruction.index].shape);
        double *values = malloc((n + 1) * sizeof *values);
        cr_assert_not_null(values);
        for (uint64_t k = 0; k < n; k++)
            values[k] = NAN;
        in->values[instruction.index] = values;
    }
}

static inline struct interpreter interpreter_open(const struct vb_program *program, bool rounds)
{
    double **values = calloc(program->n_tensors + 1, sizeof *values);
    cr_assert_not_null(values);
    return (
        struct interpreter){ .program = program, .values = values, .rounds = rounds, .now = "" };
}

static inline void interpreter_close(struct interpreter *in)
{
    for (size_t i = 0; i < in->program->n_tensors; i++)
        free(in->values[i]);
    free(in->values);
}

#endif
