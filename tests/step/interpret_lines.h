/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_TESTS_STEP_INTERPRET_LINES_H
#define VB_TESTS_STEP_INTERPRET_LINES_H

/* Part of interpret.h: operators along the last axis, and those that sort. */

#include "interpret_memory.h"

/* Element i of line `line` of x [..,n]. */
static inline double *interpret_in_line(const struct interpreter *in, const struct vb_operand *x,
                                        uint64_t line, uint64_t i)
{
    uint64_t n = x->shape.dims[x->shape.n_dims - 1];
    cr_assert_lt(i, n, "%s: %lu of a line of %lu", in->now, (unsigned long)i, (unsigned long)n);
    return interpret_at(in, x, &x->shape, line * n + i);
}

static inline void interpret_softmax(const struct interpreter *in, const struct vb_operand *x,
                                     const struct vb_operand *y, uint64_t line, bool is_log)
{
    uint64_t n = x->shape.dims[x->shape.n_dims - 1];
    double most = -INFINITY, sum = 0;
    for (uint64_t i = 0; i < n; i++)
        most = fmax(most, *interpret_in_line(in, x, line, i));
    for (uint64_t i = 0; i < n; i++)
        sum += exp(*interpret_in_line(in, x, line, i) - most);
    for (uint64_t i = 0; i < n; i++) {
        double part = *interpret_in_line(in, x, line, i) - most - log(sum);
        *interpret_in_line(in, y, line, i) = interpret_typed(in, y, is_log ? part : exp(part));
    }
}

/* gradient, y, gradient of x. */
static inline void interpret_softmax_backward(const struct interpreter *in,
                                              const struct vb_operand *all, uint64_t line,
                                              bool is_log)
{
    uint64_t n = all[1].shape.dims[all[1].shape.n_dims - 1];
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        double y = *interpret_in_line(in, &all[1], line, i);
        sum += *interpret_in_line(in, &all[0], line, i) * (is_log ? 1 : y);
    }
    for (uint64_t i = 0; i < n; i++) {
        double g = *interpret_in_line(in, &all[0], line, i);
        double y = *interpret_in_line(in, &all[1], line, i);
        *interpret_in_line(in, &all[2], line, i) =
            interpret_typed(in, &all[2], is_log ? g - exp(y) * sum : y * (g - sum));
    }
}

/* x, vector, y. */
static inline void interpret_matvec(const struct interpreter *in, const struct vb_operand *all,
                                    uint64_t line)
{
    double sum = 0;
    for (uint64_t i = 0; i < all[1].shape.dims[0]; i++)
        sum += *interpret_in_line(in, &all[0], line, i) * *interpret_in_line(in, &all[1], 0, i);
    *interpret_at(in, &all[2], &all[2].shape, line) = interpret_typed(in, &all[2], sum);
}

/* x, target, y [n]; or gradient [n], target, gradient of x. */
static inline void interpret_nll(const struct interpreter *in, const struct vb_call *call,
                                 uint64_t line)
{
    const struct vb_operand *all = call->operands;
    bool is_backward = call->op == VB_OP_NLL_BACKWARD;
    uint64_t target = (uint64_t)*interpret_at(in, &all[1], &all[1].shape, line);
    cr_assert_eq(all[is_backward ? 0 : 2].shape.n_dims, 1, "only of each row");
    if (!is_backward) {
        *interpret_at(in, &all[2], &all[2].shape, line) =
            -*interpret_in_line(in, &all[0], line, target);
        return;
    }
    for (uint64_t i = 0; i < all[2].shape.dims[1]; i++)
        *interpret_in_line(in, &all[2], line, i) =
            i == target ? -*interpret_at(in, &all[0], &all[0].shape, line) : 0;
}

/* x, values, places: of equal ones the first comes first. */
static inline void interpret_top_k(const struct interpreter *in, const struct vb_operand *all,
                                   uint64_t line)
{
    uint64_t n = all[0].shape.dims[all[0].shape.n_dims - 1];
    uint64_t k = all[1].shape.dims[all[1].shape.n_dims - 1];
    for (uint64_t i = 0; i < k; i++) {
        double best = -INFINITY;
        uint64_t place = n;
        for (uint64_t j = 0; j < n; j++) {
            double x = *interpret_in_line(in, &all[0], line, j);
            bool is_taken = false;
            for (uint64_t t = 0; t < i; t++)
                is_taken = is_taken || *interpret_in_line(in, &all[2], line, t) == (double)j;
            if (is_taken || x <= best)
                continue;
            best = x;
            place = j;
        }
        cr_assert_lt(place, n);
        *interpret_in_line(in, &all[1], line, i) = best;
        *interpret_in_line(in, &all[2], line, i) = (double)place;
    }
}

/* places, y; or places, z, y, which are added. */
static inline void interpret_scatter(const struct interpreter *in, const struct vb_call *call,
                                     uint64_t line)
{
    const struct vb_operand *places = &call->operands[0];
    const struct vb_operand *y = &call->operands[call->n_operands - 1];
    for (uint64_t i = 0; i < places->shape.dims[places->shape.n_dims - 1]; i++) {
        double *to =
            interpret_in_line(in, y, line, (uint64_t)*interpret_in_line(in, places, line, i));
        *to = interpret_typed(in, y,
                              call->op == VB_OP_SCATTER
                                  ? call->a
                                  : *to + *interpret_in_line(in, &call->operands[1], line, i));
    }
}

static inline void interpret_line(const struct interpreter *in, const struct vb_call *call,
                                  uint64_t line)
{
    const struct vb_operand *all = call->operands;
    switch ((int)call->op) {
    case VB_OP_SOFTMAX:
    case VB_OP_LOG_SOFTMAX:
        interpret_softmax(in, &all[0], &all[1], line, call->op == VB_OP_LOG_SOFTMAX);
        break;
    case VB_OP_SOFTMAX_BACKWARD:
    case VB_OP_LOG_SOFTMAX_BACKWARD:
        interpret_softmax_backward(in, all, line, call->op == VB_OP_LOG_SOFTMAX_BACKWARD);
        break;
    case VB_OP_MATVEC:
        interpret_matvec(in, all, line);
        break;
    case VB_OP_NLL:
    case VB_OP_NLL_BACKWARD:
        interpret_nll(in, call, line);
        break;
    case VB_OP_TOP_K:
        interpret_top_k(in, all, line);
        break;
    default:
        interpret_scatter(in, call, line);
    }
}

/* Each line of the operand that has lines in every such operator: the first, or of NLL's backward
 * the last. */
static inline void interpret_lines(const struct interpreter *in, const struct vb_call *call)
{
    const struct vb_operand *x = &call->operands[call->op == VB_OP_NLL_BACKWARD ? 2 : 0];
    uint64_t n = x->shape.dims[x->shape.n_dims - 1];
    uint64_t n_lines = n > 0 ? interpret_elements(&x->shape) / n : 0;
    for (uint64_t line = 0; line < n_lines; line++)
        interpret_line(in, call, line);
}

/* overlaps, claims [b,k,n]. */
static inline void interpret_claims(const struct interpreter *in, const struct vb_operand *all)
{
    const uint32_t *dims = all[0].shape.dims;
    for (uint64_t place = 0; place < (uint64_t)dims[0] * dims[2]; place++) {
        uint64_t first = place / dims[2] * dims[1] * dims[2] + place % dims[2], best = first;
        double n = 0;
        for (uint64_t k = 0; k < dims[1]; k++) {
            uint64_t at = first + k * dims[2];
            n += *interpret_at(in, &all[1], &all[1].shape, at);
            if (*interpret_at(in, &all[0], &all[0].shape, at) >
                *interpret_at(in, &all[0], &all[0].shape, best))
                best = at;
        }
        for (uint64_t k = 0; k < dims[1] && n > 1; k++) {
            uint64_t at = first + k * dims[2];
            *interpret_at(in, &all[1], &all[1].shape, at) = at == best;
        }
    }
}

/* x [n], ascending [m], where each went [n], how often each [m]. */
static inline void interpret_unique(const struct interpreter *in, const struct vb_operand *all)
{
    uint64_t n = all[0].shape.dims[0], m = all[1].shape.dims[0], found = 0;
    double last = -INFINITY;
    while (true) {
        double least = INFINITY;
        uint64_t times = 0;
        for (uint64_t i = 0; i < n; i++) {
            double x = *interpret_in_line(in, &all[0], 0, i);
            least = x > last ? fmin(least, x) : least;
        }
        if (least == INFINITY)
            break;
        for (uint64_t i = 0; i < n; i++) {
            if (*interpret_in_line(in, &all[0], 0, i) != least)
                continue;
            *interpret_in_line(in, &all[2], 0, i) = (double)found;
            times++;
        }
        *interpret_in_line(in, &all[1], 0, found) = least;
        *interpret_in_line(in, &all[3], 0, found++) = (double)times;
        last = least;
    }
    cr_assert_eq(found, m);
}

#endif
