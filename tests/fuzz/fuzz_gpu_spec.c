/* SPDX-License-Identifier: Apache-2.0 */
#include "device/gpu_spec.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct vb_gpu_spec spec = { 0 };
    struct vb_error err;
    char *text = fuzz_text(data, bytes);
    if (vb_gpu_spec_parse("fuzz", "fuzz.json", text, bytes, &spec, &err) == VB_OK)
        vb_gpu_spec_clear(&spec);
    free(text);
    return 0;
}
