/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "model/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_error err;
    if (bytes < 8192 &&
        vb_description_parse("fuzz.yaml", (const char *)data, bytes, &arena, &description, &err) ==
            VB_OK &&
        vb_expand(&description, 1, 256, 0, &arena, &graph, &err) == VB_OK)
        (void)graph.n_ops;
    vb_arena_clear(&arena);
    return 0;
}
