/* SPDX-License-Identifier: Apache-2.0 */
/* vb_gpu_spec_*: what a GPU's file must hold, and what the shipped ones say. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "device/gpu_spec.h"

/* The T4's file with the first `was` in it turned into `is`; the caller frees it. */
static char *t4_with(const char *was, const char *is)
{
    char path[512];
    char *text = NULL;
    size_t bytes = 0;
    vb_file_shipped("sweeps/gpus/t4.json", path, sizeof path);
    cr_assert(eq(int, vb_file_read(path, 1 << 20, &text, &bytes, NULL), VB_OK));

    const char *at = strstr(text, was);
    cr_assert(at != NULL, "the T4's file has no %s", was);
    size_t room = bytes + strlen(is) + 1;
    char *changed = calloc(room, 1);
    (void)snprintf(changed, room, "%.*s%s%s", (int)(at - text), text, is, at + strlen(was));
    free(text);
    return changed;
}

struct fault_case {
    char label[48];
    char was[40], is[40];
    char said[80];
};

ParameterizedTestParameters(gpu_spec, faults_are_told)
{
    static struct fault_case cases[] = {
        { "a missing key is named", "\"warpSize\": 32,", "", "key warpSize is missing" },
        { "a text is no number", "\"warpSize\": 32", "\"warpSize\": \"32\"",
          "t4:15: warpSize must be an integer" },
        { "a fraction is no integer", "\"warpSize\": 32", "\"warpSize\": 32.5",
          "t4:15: warpSize must be an integer" },
        { "no SM is no GPU", "\"multiProcessorCount\": 40", "\"multiProcessorCount\": 0",
          "multiProcessorCount is 0, must be from 1 to 65536" },
        { "one SM is a GPU", "\"multiProcessorCount\": 40", "\"multiProcessorCount\": 1", "" },
        { "a switch is 0 or 1", "\"isTccDriver\": 0", "\"isTccDriver\": 2", "must be from 0 to 1" },
        { "beyond 32 bits cuDNN would wrap", "\"l2CacheSize\": 4194304",
          "\"l2CacheSize\": 2147483648", "l2CacheSize is 2147483648" },
        { "three sizes a grid", "[\n  1024,\n  1024,\n  64\n ]", "[1024, 1024]",
          "maxBlockSize must be a list of 3" },
        { "memory in GiB is too little", "\"totalGlobalMem\": 15835594752",
          "\"totalGlobalMem\": 15", "totalGlobalMem is 15" },
        { "the context fits the memory", "\"totalGlobalMem\": 15835594752",
          "\"totalGlobalMem\": 100000000", "not more than the context" },
        { "a context is no debt", "\"contextGiB\": 0.135", "\"contextGiB\": -1",
          "contextGiB must be a number" },
        { "a key twice is a slip", "\"warpSize\": 32", "\"warpSize\": 32, \"warpSize\": 32",
          "duplicate" },
        { "an open brace is not JSON", "\"warpSize\": 32,", "\"warpSize\": {", "not JSON" },
        { "speeds may be unknown", "\"memoryBandwidthGBs\"", "\"somethingElse\"", "" },
    };
    return cr_make_param_array(struct fault_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct fault_case *c, gpu_spec, faults_are_told)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_error err = { 0 };
    char *text = t4_with(c->was, c->is);
    enum vb_status status = vb_gpu_spec_parse("t4", "t4", text, strlen(text), &gpu, &err);

    cr_expect(eq(int, status, c->said[0] == '\0' ? VB_OK : VB_E_INPUT), "%s: %s", c->label,
              err.text);
    cr_expect(strstr(err.text, c->said) != NULL, "%s: '%s' does not say '%s'", c->label, err.text,
              c->said);
    vb_gpu_spec_clear(&gpu);
    free(text);
}

/* The numbers are those of NVIDIA's data sheets, as sweeps/gpus/README.md says. */
Test(gpu_spec, every_shipped_file_is_a_gpu)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    const char **names = NULL;
    size_t n = 0;
    cr_assert(eq(int, vb_gpu_spec_names(&arena, &names, &n, &err), VB_OK), "%s", err.text);
    cr_expect(eq(sz, n, 11));
    for (size_t i = 0; i < n; i++) {
        struct vb_gpu_spec gpu = { 0 };
        cr_assert(eq(int, vb_gpu_spec_find(names[i], &gpu, &err), VB_OK), "%s", err.text);
        cr_expect(eq(str, gpu.name, (char *)names[i]));
        cr_expect(gpu.context_bytes > 100 << 20 && gpu.context_bytes < 1 << 30, "%s", names[i]);
        cr_expect(gpu.bandwidth_bytes_per_second > 1e11 && gpu.fp32_flops > 1e12, "%s", names[i]);
        vb_gpu_spec_clear(&gpu);
    }
    vb_arena_clear(&arena);
}

Test(gpu_spec, knows_what_the_user_may_have_meant)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_error err = { 0 };
    cr_expect(eq(int, vb_gpu_spec_find("rtx309", &gpu, &err), VB_E_INPUT));
    cr_expect(strstr(err.text, "did you mean 'rtx3090'?") != NULL, "%s", err.text);
    cr_expect(strstr(err.text, "a100-40g, b200") != NULL, "%s", err.text);
    cr_expect(eq(int, vb_gpu_spec_find("../gpus/none.json", &gpu, &err), VB_E_INPUT));
    cr_expect(strstr(err.text, "../gpus/none.json") != NULL, "%s", err.text);
}

/* Without contextGiB: 0.0358 GiB + 2247 B for each of 40 x 1024 threads. */
Test(gpu_spec, context_follows_the_line_where_nobody_published_one)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_gpu_spec own = { 0 };
    struct vb_error err = { 0 };
    char *text = t4_with("\"contextGiB\"", "\"otherGiB\"");
    cr_assert(eq(int, vb_gpu_spec_parse("x", "x", text, strlen(text), &gpu, &err), VB_OK), "%s",
              err.text);
    cr_expect(gpu.context_bytes / 1e6 > 130.0 && gpu.context_bytes / 1e6 < 131.0, "%llu",
              (unsigned long long)gpu.context_bytes);
    free(text);

    /* What cuDNN does not read leaves its answers valid; what it reads does not. */
    cr_assert(eq(int, vb_gpu_spec_find("t4", &own, &err), VB_OK), "%s", err.text);
    cr_expect(eq(u64, own.identity, gpu.identity));
    vb_gpu_spec_clear(&gpu);
    text = t4_with("\"smClockRateKHz\": 15", "\"smClockRateKHz\": 16");
    cr_assert(eq(int, vb_gpu_spec_parse("x", "x", text, strlen(text), &gpu, &err), VB_OK), "%s",
              err.text);
    cr_expect(ne(u64, own.identity, gpu.identity));
    vb_gpu_spec_clear(&gpu);
    vb_gpu_spec_clear(&own);
    free(text);
}
