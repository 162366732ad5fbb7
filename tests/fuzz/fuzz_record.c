/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_record record;
    struct vb_error err;
    char *line = NULL;
    char *text = fuzz_text(data, bytes);
    if (vb_record_parse(text, &arena, &record, &err) == VB_OK &&
        vb_record_print(&record, &line, &err) == VB_OK)
        free(line);
    vb_arena_clear(&arena);
    free(text);
    return 0;
}
