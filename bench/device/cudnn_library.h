/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_CUDNN_LIBRARY_H
#define VB_DEVICE_CUDNN_LIBRARY_H

/* Finds and opens libcudnn.so.9 at run time, so that one binary runs on any machine. No GPU and no
 * driver is needed for what planning asks of it.
 *
 * Looked for in this order: the folder that VRAMBENCH_CUDA_LIBS names, the loader's own path, the
 * CUDA Toolkit of the build, the nvidia-cudnn wheel of the Python on PATH, that of the project's
 * .venv. VRAMBENCH_CUDNN=off makes it not be there.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct vb_cudnn {
    void *handle; /* NULL: not open */
    char path[4096];
    uint64_t version; /* as 91900 */

    size_t (*get_version)(void);
    void (*get_last_error)(char *text, size_t room);
    int (*create)(int type, void **out);
    int (*destroy)(void *descriptor);
    int (*finalize)(void *descriptor);
    int (*set)(void *descriptor, int name, int type, int64_t n, const void *values);
    int (*get)(void *descriptor, int name, int type, int64_t room, int64_t *n, void *values);

    /* With a GPU: a handle is of the current context. */
    int (*create_handle)(void **out);
    int (*destroy_handle)(void *handle);
    int (*set_stream)(void *handle, void *stream);
    int (*execute)(void *handle, void *plan, void *variant_pack);
};

/* Opens it, which costs milliseconds; its first use costs up to a second more.
 * VB_E_UNSUPPORTED: it is in none of those places, or is not cuDNN 9; the text says what was found.
 */
VB_CHECKED enum vb_status vb_cudnn_open(struct vb_cudnn *out, struct vb_error *err);

/* Opens the one at `path` and looks nowhere else: the file, the folder that holds it, a Python
 * environment or its site-packages. A process that has opened one cuDNN is not to open another:
 * their parts have the same names, and the loader would mix them.
 * VB_E_INPUT: there is none. VB_E_UNSUPPORTED: it does not load, or is not cuDNN 9. */
VB_CHECKED enum vb_status vb_cudnn_open_at(const char *path, struct vb_cudnn *out,
                                           struct vb_error *err);

/* Zeroed is valid. The library stays in the process: it does not bear being loaded again. */
void vb_cudnn_close(struct vb_cudnn *cudnn);

/* False where the user said VRAMBENCH_CUDNN=off: neither the library nor what it once answered is
 * to be used then. */
bool vb_cudnn_allowed(void);

/* A hash of all that decides which file vb_cudnn_open() finds, without looking for it: as long as
 * it and the file found last time stay the same, opening would find the same. */
uint64_t vb_cudnn_surroundings(void);

#endif
