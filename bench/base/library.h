/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_LIBRARY_H
#define VB_BASE_LIBRARY_H

/* Opens a library at run time and fills a table of its functions, so that one binary runs on any
 * machine: NVIDIA's libraries are there or they are not.
 *
 * Looked for in the folder that VRAMBENCH_CUDA_LIBS names, and then there only; else by the
 * loader's own path, then in the CUDA Toolkit of the build.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* One function, and where in the table its address goes. */
struct vb_symbol {
    const char *name;
    size_t offset;
    bool is_optional; /* where the library lacks it, its place in the table is NULL */
};

/* What is asked for. */
struct vb_library_query {
    const char *names[4];       /* of the file, the preferred first; NULL ends them */
    const char *toolkit_folder; /* looked in too, from the toolkit's libraries: "../x"; or NULL */
    const struct vb_symbol *symbols;
    size_t n_symbols;
};

/* Zeroed is valid and not open. */
struct vb_library {
    void *handle;
    char path[4096]; /* the file itself, behind links */
};

/* Opens the first that has every function that is not optional, and fills `table`; both outputs are
 * set on success only.
 * VB_E_UNSUPPORTED: the text says which library was not found and where it was looked for, why the
 * one that was found does not load, or which function it lacks. */
VB_CHECKED enum vb_status vb_library_open(const struct vb_library_query *query, void *table,
                                          struct vb_library *out, struct vb_error *err);

/* The functions must not be called after. The file stays in the process: such libraries start
 * threads and register handlers that outlive being closed. */
void vb_library_close(struct vb_library *library);

#endif
