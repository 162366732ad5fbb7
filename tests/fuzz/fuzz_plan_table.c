/* SPDX-License-Identifier: Apache-2.0 */
#include "device/plan_diff.h"
#include "device/workspace_model.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct vb_plan_table table = { 0 };
    struct vb_error err;
    size_t damaged = 0;
    char *text = fuzz_text(data, bytes);
    if (vb_plan_table_parse("fuzz.csv", text, &table, &damaged, &err) == VB_OK) {
        struct vb_workspace_model model;
        struct vb_arena arena = { 0 };
        struct vb_plan_diff diff;
        (void)!vb_plan_diff(&table, &table, &arena, &diff, &err);
        (void)!vb_workspace_model_fit(&table.map, table.compute_capability, &model, &err);
        vb_arena_clear(&arena);
    }
    vb_plan_table_clear(&table);
    free(text);
    return 0;
}
