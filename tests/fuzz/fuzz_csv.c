/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct vb_arena arena = { 0 };
    struct vb_csv csv;
    struct vb_error err;
    char *text = fuzz_text(data, bytes);
    if (text != NULL && vb_csv_parse("fuzz.csv", text, bytes, &arena, &csv, &err) == VB_OK) {
        size_t length = 0;
        for (size_t r = 0; r < csv.n_rows; r++) {
            for (size_t c = 0; c < csv.n_columns && csv.rows[r].cells != NULL; c++)
                length += strlen(csv.rows[r].cells[c]);
        }
        if (length > bytes)
            abort();
    }
    vb_arena_clear(&arena);
    free(text);
    return 0;
}
