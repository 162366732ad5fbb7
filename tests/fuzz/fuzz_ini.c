/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "sweep/grid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct vb_overrides none;
    struct vb_arena arena = { 0 };
    struct vb_ini ini;
    struct vb_sweeps sweeps;
    struct vb_error err;
    char *text = fuzz_text(data, bytes);
    if (bytes < 4096 && vb_ini_parse("fuzz.ini", text, &arena, &ini, &err) == VB_OK &&
        vb_grid_expand("fuzz.ini", &ini, &none, &arena, &sweeps, &err) == VB_OK)
        (void)sweeps.n;
    vb_arena_clear(&arena);
    free(text);
    return 0;
}
