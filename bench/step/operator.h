/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_STEP_OPERATOR_H
#define VB_STEP_OPERATOR_H

/* The operators that a program runs. Each is one kernel of a device: it reads and writes operands,
 * which are tensors or views of them (program.h), and takes up to two numbers, called a and b here.
 * Operands stand in the order given after the name, what is written last.
 *
 * Arithmetic is in fp32 and rounded once to the result's type; sums are taken in double. Where no
 * operand is a floating-point number it is exact, in int64, and wraps around; a quotient is then
 * rounded down, and 0 where it is by 0. A floating-point number becomes a whole one towards zero,
 * and a bool where it is not 0. What is no number stays none. A result may be one of the inputs;
 * no element of it is another one too (a stride of 0). Shapes as PyTorch's operators of the same
 * names have them.
 */

enum vb_operator {
    /* Of x [N,C,H,W], weight [K,C/groups,kh,kw] and y [N,K,H',W'] the last, the first and the
     * second are written. conv tells window and groups. */
    VB_OP_CONV,
    VB_OP_CONV_BACKWARD_DATA,
    VB_OP_CONV_BACKWARD_FILTER,

    /* Element by element over the result's shape; inputs of fewer or shorter axes are broadcast. */
    VB_OP_COPY,             /* x, y */
    VB_OP_FILL,             /* y = a */
    VB_OP_ADD,              /* x, z, y */
    VB_OP_ADD_SCALED,       /* x, z, y: x + a z */
    VB_OP_SUB,              /* x, z, y */
    VB_OP_MUL,              /* x, z, y */
    VB_OP_DIV,              /* x, z, y */
    VB_OP_MINIMUM,          /* x, z, y */
    VB_OP_MAXIMUM,          /* x, z, y */
    VB_OP_AND,              /* x, z, y: bool */
    VB_OP_EQUAL,            /* x, z, y: bool */
    VB_OP_LESS,             /* x, z, y: bool */
    VB_OP_WHERE,            /* mask, x, z, y: x where the mask is true */
    VB_OP_MASKED_FILL,      /* mask, y: y = a where the mask is true */
    VB_OP_ADD_NUMBER,       /* x, y: x + a */
    VB_OP_MUL_NUMBER,       /* x, y: a x */
    VB_OP_SUBTRACT_FROM,    /* x, y: a - x */
    VB_OP_POWER,            /* x, y: x ** a */
    VB_OP_REMAINDER,        /* x, y: x - a floor(x / a) */
    VB_OP_CLAMP,            /* x, y: at least a, at most b */
    VB_OP_LESS_NUMBER,      /* x, y: x < a, bool */
    VB_OP_GREATER_NUMBER,   /* x, y: x > a, bool */
    VB_OP_AT_LEAST_NUMBER,  /* x, y: x >= a, bool */
    VB_OP_RECIPROCAL,       /* x, y */
    VB_OP_SQRT,             /* x, y */
    VB_OP_EXP,              /* x, y */
    VB_OP_LOG,              /* x, y */
    VB_OP_ATAN,             /* x, y */
    VB_OP_SIGMOID,          /* x, y */
    VB_OP_SIGMOID_BACKWARD, /* gradient, y, gradient of x */
    VB_OP_LOG_SIGMOID,      /* x, y */
    VB_OP_SILU,             /* x, y */
    VB_OP_SILU_BACKWARD,    /* gradient, x, gradient of x */
    VB_OP_RELU,             /* x, y */
    VB_OP_RELU_BACKWARD,    /* gradient, y, gradient of x */

    /* x, y: over the axes that y has not, or of length 1 (aligned at the last, as broadcasting). */
    VB_OP_SUM,
    VB_OP_MEAN,
    VB_OP_MAX_OF,
    VB_OP_ARGMAX, /* the first place of the largest along the one axis that goes; y int64 */
    VB_OP_NORM,   /* the root of the sum of squares */

    /* Along the last axis. */
    VB_OP_SOFTMAX,              /* x, y */
    VB_OP_SOFTMAX_BACKWARD,     /* gradient, y, gradient of x */
    VB_OP_LOG_SOFTMAX,          /* x, y */
    VB_OP_LOG_SOFTMAX_BACKWARD, /* gradient, y, gradient of x */
    VB_OP_MATVEC,               /* x [..,k], vector [k], y [..] */
    VB_OP_NLL,                  /* x [n,k], target [n], y [n] or its mean []: -x[i,target[i]] */
    VB_OP_NLL_BACKWARD,         /* gradient [n], or of the mean [], target [n], gradient of x */
    VB_OP_TOP_K,                /* x [..,n], values [..,k], places [..,k]: descending; of equal ones
                                 * the first place first */
    VB_OP_SCATTER,              /* places [..,k], y [..,n]: y[places] = a */
    VB_OP_SCATTER_ADD,          /* places [..,k], z [..,k], y [..,n]: y[places] += z */

    /* overlaps [b,k,n], claims [b,k,n], both of one type, claims of 0 and 1 and written in place:
     * of the k claims to each of b x n places, where more than one is 1, all become 0 but that of
     * the largest of the k overlaps, the first such, which becomes 1 whether it was or not. */
    VB_OP_RESOLVE_CLAIMS,

    /* Rows. An index is k int64 operands i1 .. ik of one shape S, or broadcast to it: x[i1,..,ik]
     * is S followed by x's other axes. A place outside x is an error, a negative one too. */
    VB_OP_NONZERO,      /* mask, places [n,axes]: of what is true, in order; there are n */
    VB_OP_NONZERO_FILL, /* the same; there are n at most, and places of what is false follow */
    VB_OP_INDEX,        /* x, i1 .. ik, y */
    VB_OP_INDEX_PUT, /* z, i1 .. ik, y: y[i1,..,ik] = z, broadcast; of two at one place, the last */
    VB_OP_INDEX_ADD, /* the same, added */
    VB_OP_UNIQUE,    /* x [n], ascending [m], where each went [n], how often each [m]; the last two
                      * may be missing, and there are m */
    VB_OP_RANGE,     /* y [n]: a + b i */

    /* Layers. */
    VB_OP_BATCH_NORM, /* x, weight, bias, running mean, running variance, mean, 1/deviation, y: a is
                       * the momentum, b epsilon; the variance of y's is biased, of the running one
                       * not */
    VB_OP_BATCH_NORM_BACKWARD, /* gradient, x, weight, mean, 1/deviation, gradients of x, weight,
                                * bias */
    VB_OP_BATCH_NORM_EVAL,   /* x, weight, bias, running mean, running variance, y: b is epsilon */
    VB_OP_MAX_POOL,          /* x, y, places (int64, in the plane H x W); conv tells the window */
    VB_OP_MAX_POOL_BACKWARD, /* gradient, places, gradient of x */
    VB_OP_AVERAGE_POOL,      /* x [N,C,H,W], y [N,C,1,1] or [N,C] */
    VB_OP_UPSAMPLE,          /* nearest, by a whole number: x, y */
    VB_OP_UPSAMPLE_BACKWARD, /* gradient, gradient of x */
    VB_OP_RESIZE,            /* bilinear, corners not aligned: x, y */
    VB_OP_MATMUL,            /* x [..,m,k], z [..,k,n], y [..,m,n] */

    /* Where data comes from. */
    VB_OP_UPLOAD,  /* y = what data points to, y's elements in order */
    VB_OP_NOISE,   /* y uint8: pictures drawn from the seed a */
    VB_OP_UNIFORM, /* y: drawn from the seed a, within -b .. b */

    /* Pictures, uint8 [N,3,H,W]. */
    VB_OP_MOSAIC, /* sources [4N,3,H,W], canvas [N,3,2H,2W]: four to a canvas, around its middle */
    VB_OP_FLIP,   /* x, y: left to right */
    VB_OP_MIX,    /* x, z, y: a x + (1 - a) z, rounded to the nearest */
    VB_OP_COPY_PASTE, /* x, z, y: z within a mask of rectangles drawn from the seed a, x elsewhere
                       */

    VB_OP_PLANNED, /* operators of parts that are only planned (validation); no device runs them */

    /* The update of a parameter; tensors of one size, each as it lies in memory. `found` is a
     * scalar: where it is not 0 the operator does nothing; where it is not given the operator
     * works. */
    VB_OP_SGD, /* found, direction, momentum, step, parameter: momentum = b momentum + direction;
                * step = direction + b momentum (Nesterov's; may be the direction's tensor);
                * parameter -= a step. Where no step is given it is the momentum */
    VB_OP_ADAM_MOMENTS, /* found, gradient, mean, squares: mean = a mean + (1 - a) gradient; squares
                         * = b squares + (1 - b) gradient ** 2 */
    /* found, mean, root of the squares, denominator, parameter: denominator = root /
     * sqrt(1 - VB_SQUARES_DECAY ** t) + VB_ADAM_EPSILON (may be the root's tensor);
     * parameter -= a / (1 - b ** t) mean / denominator; b is the mean's decay. t counts the steps
     * from 1, but not those at which something was found. */
    VB_OP_ADAM_STEP,
    VB_OP_DECAY,   /* found, parameter: times a */
    VB_OP_CLIP,    /* norm, gradient: times min(1, a / (norm + 1e-6)) */
    VB_OP_UNSCALE, /* inverse, gradient, found: found = 1 where a gradient is not finite; gradient
                    * times the inverse */
    VB_OP_RESCALE, /* found, steps, scale: where found, scale halves and steps = 0; else steps += 1
                    * and, when that makes a, scale doubles and steps = 0 */
    VB_OP_EMA, /* parameter, product, average: product = (1 - d) parameter; average = d average +
                * product. d = a (1 - exp(-u / b)), where u counts the averages taken, from 1 */
};
enum { VB_N_OPERATORS = VB_OP_EMA + 1 };

/* Adam's numbers that nobody changes: PyTorch's defaults. */
#define VB_SQUARES_DECAY 0.999
#define VB_ADAM_EPSILON 1e-8

/* As PyTorch's profiler calls them, or as the list above. */
extern const char *const vb_operator_names[VB_N_OPERATORS];

/* Floating-point operations an element of the largest operand, for models of time; convolutions and
 * products are counted by their sizes. */
extern const double vb_operator_flops[VB_N_OPERATORS];

static inline int vb_operator_is_conv(enum vb_operator op)
{
    return op <= VB_OP_CONV_BACKWARD_FILTER;
}

#endif
