/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_EMULATED_CUDNN_WRAPPED_H
#define TESTS_EMULATED_CUDNN_WRAPPED_H

/* A descriptor of the real cuDNN with what it was set to, so that a plan can be carried out. */

#include <cudnn_graph.h>

#include "device/cudnn_library.h"
#include "emulated.h"

struct wrapped;

struct attribute {
    struct attribute *next;
    int name, type;
    int64_t n;
    void *values;            /* owned; of descriptors: NULL */
    struct wrapped **others; /* owned, a reference each; else NULL */
};

/* Lives as long as its handle or another descriptor that was set to it. */
struct wrapped {
    int type;
    uint32_t references;
    void *real; /* NULL once its handle is destroyed */
    struct attribute *attributes;
    struct wrapped *graph;   /* of what heuristics gave, a reference; else NULL */
    int64_t workspace_bytes; /* of a plan */
};

/* What a caller holds. */
struct descriptor {
    struct emulated_object object;
    struct wrapped *wrapped;
};

struct cudnnContext {
    struct emulated_object object;
    CUstream stream;
    uint64_t memory; /* the device's that it takes; 0: none */
};

/* NULL: there is none, and cudnnGetLastErrorString() says why. */
const struct vb_cudnn *emulated_real(void);
/* The error's text of this thread, and the log; returns the status. */
int emulated_cudnn_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

const struct attribute *emulated_attribute(const struct wrapped *of, int name);
/* The first descriptor that the attribute was set to; NULL: none. */
struct wrapped *emulated_other(const struct wrapped *of, int name);
/* The operation graph that it belongs to. */
struct wrapped *emulated_graph_of(struct wrapped *of);

int emulated_execute(const struct emulated_call *call, const struct cudnnContext *handle,
                     struct wrapped *plan, const struct wrapped *pack);

#endif
