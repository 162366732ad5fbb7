/* SPDX-License-Identifier: Apache-2.0 */
/* The library, the cache and the packed table give the same answers to the same questions, and each
 * is what it says it is. Without cuDNN 9.19.0 the program exits with 77: skipped.
 *
 * Not Criterion: cuDNN and a child per test do not go together, and a skipped program must say so.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/cudnn_backend.h"
#include "device/plan_table.h"

enum { SKIPPED = 77, VERSION = 91900, EVERY = 29, N_CANDIDATES = 10 };

/* cuDNN keeps what it has loaded until the process ends; those are not our leaks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static int n_faults;

static void expect(bool is_so, const char *what, const char *gpu)
{
    if (is_so)
        return;
    n_faults++;
    (void)fprintf(stderr, "%s: %s\n", gpu, what);
}

static bool is_loaded(void)
{
    char line[4096];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        found = found || strstr(line, "libcudnn") != NULL;
    if (maps != NULL)
        (void)fclose(maps);
    return found;
}

/* Asks every 29th question of the GPU's table again; all answers must be of `source` and the
 * table's, which were asked for with their ranges. */
static void compare(const struct vb_gpu_spec *gpu, const struct vb_plan_table *table,
                    bool benchmark, enum vb_conv_source source)
{
    struct vb_conv_planner *planner = NULL;
    struct vb_error err = { 0 };
    if (vb_conv_planner_open(gpu, &planner, &err) != VB_OK) {
        expect(false, err.text, gpu->name);
        return;
    }
    expect(vb_conv_planner_version(planner) == VERSION, "answers of another version", gpu->name);
    for (size_t i = 0; i < table->map.n; i += EVERY) {
        const struct vb_plan_key *key = &table->map.entries[i].key;
        const struct vb_plan_answer *packed = &table->map.entries[i].answer;
        const struct vb_conv conv = vb_plan_key_conv(key);
        const struct vb_conv_rules rules = { key->deterministic != 0, true, benchmark, false };
        struct vb_conv_plan plan = { 0 };
        enum vb_status status = vb_conv_planner_plan(planner, &conv, &rules, &plan, &err);
        if (packed->engine == VB_PLAN_NONE) {
            expect(status == VB_E_UNSUPPORTED, "a plan where the table has none", gpu->name);
            continue;
        }
        expect(status == VB_OK, err.text, gpu->name);
        expect(plan.source == source, "an answer of another source", gpu->name);
        expect(plan.engine == packed->engine && plan.workspace_bytes == packed->workspace_bytes,
               "another answer than the table's", gpu->name);
        expect(plan.low_bytes == (benchmark ? packed->low_bytes : packed->workspace_bytes) &&
                   plan.high_bytes == (benchmark ? packed->high_bytes : packed->workspace_bytes),
               "another range than the table's", gpu->name);
    }
    vb_conv_planner_close(planner);
}

/* No deterministic answer is one that cuDNN marks as nondeterministic, and where the first choice
 * is not, both rules give it. */
static void check_determinism(const struct vb_cudnn *cudnn, const struct vb_gpu_spec *gpu,
                              const struct vb_plan_table *table)
{
    static const struct vb_cudnn_filter none = { .down_converting = true };
    size_t n_other = 0;
    void *device = NULL;
    struct vb_error err = { 0 };
    if (vb_cudnn_device_open(cudnn, gpu->json, &device, &err) != VB_OK) {
        expect(false, err.text, gpu->name);
        return;
    }
    for (size_t i = 0; i < table->map.n; i += EVERY) {
        const struct vb_plan_key *key = &table->map.entries[i].key;
        const struct vb_plan_answer *packed = &table->map.entries[i].answer;
        const struct vb_conv conv = vb_plan_key_conv(key);
        struct vb_cudnn_candidate list[N_CANDIDATES];
        size_t n = 0;
        size_t first = 0;
        if (key->deterministic == 0 || packed->engine < 0)
            continue;
        const struct vb_cudnn_target target = { .cudnn = cudnn, .properties = device };
        if (vb_cudnn_candidates(&target, &conv, VB_CUDNN_HEURISTIC, &none, NULL, list, N_CANDIDATES,
                                &n, &err) != VB_OK)
            expect(false, err.text, gpu->name);
        while (first < n && list[first].is_nondeterministic)
            first++;
        n_other += first > 0;
        if (first < n)
            expect(list[first].engine == packed->engine &&
                       list[first].workspace_bytes == packed->workspace_bytes,
                   "not the first deterministic candidate", gpu->name);
    }
    printf("%s: %zu first choices are nondeterministic\n", gpu->name, n_other);
    vb_cudnn_device_close(cudnn, device);
}

/* Shapes in no table: fitted, within sane bounds, and said so; PyTorch's own kernels exactly 0. */
static void check_fitted(const struct vb_gpu_spec *gpu)
{
    const struct vb_conv_rules rules = { true, true, true, false };
    struct vb_conv conv = {
        VB_CONV_FORWARD, VB_CONV_FP16, false, 7, 64, 123, 77, 96, 3, 3, 1, 1, 1, 1
    };
    struct vb_conv_planner *planner = NULL;
    struct vb_conv_plan plan = { 0 };
    struct vb_error err = { 0 };
    const uint64_t tensors = 2 * (7ULL * 64 * 123 * 77 + 96ULL * 64 * 9 + 7ULL * 96 * 123 * 77);
    if (vb_conv_planner_open(gpu, &planner, &err) != VB_OK)
        return;
    expect(vb_conv_planner_plan(planner, &conv, &rules, &plan, &err) == VB_OK, err.text, gpu->name);
    expect(plan.source == VB_CONV_FITTED && plan.engine == -1, "not fitted", gpu->name);
    expect(plan.low_bytes <= plan.workspace_bytes && plan.workspace_bytes <= plan.high_bytes &&
               plan.high_bytes < 8 * tensors,
           "a fit out of its range", gpu->name);

    conv.groups = conv.c = conv.k = 64;
    conv.type = VB_CONV_FP32;
    expect(vb_conv_planner_plan(planner, &conv, &rules, &plan, &err) == VB_OK &&
               plan.workspace_bytes == 0 && plan.high_bytes == 0,
           "a depthwise convolution in fp32 has no workspace", gpu->name);
    conv.stride = 0;
    expect(vb_conv_planner_plan(planner, &conv, &rules, &plan, &err) == VB_E_UNSUPPORTED,
           "a stride of 0 was planned", gpu->name);
    vb_conv_planner_close(planner);
}

static struct vb_conv_plan plan_by(struct vb_conv_planner *planner, const struct vb_conv *conv,
                                   bool fixed, const char *gpu)
{
    const struct vb_conv_rules rules = { true, true, false, fixed };
    struct vb_conv_plan plan = { 0 };
    struct vb_error err = { 0 };
    expect(vb_conv_planner_plan(planner, conv, &rules, &plan, &err) == VB_OK, err.text, gpu);
    return plan;
}

/* A fixed algorithm on Turing: its workspace is copies of what its kernel reads in another layout,
 * and a few KiB of indices; without the library that is worked out. Elsewhere it is the ranking's.
 */
static void check_fixed(const struct vb_gpu_spec *gpu, bool with_library)
{
    const uint64_t x = 2ULL * 16 * 96 * 104 * 104, y = 2ULL * 16 * 48 * 104 * 104;
    const uint64_t w = 2ULL * 48 * 96 * 9, indices = 512 << 10;
    const uint64_t copies[] = { x + w, y + w, x + y + w };
    const bool is_known = gpu->compute_capability == VB_TURING;
    struct vb_conv conv = { .n = 16,
                            .c = 96,
                            .h = 104,
                            .w = 104,
                            .k = 48,
                            .kernel_h = 3,
                            .kernel_w = 3,
                            .stride = 1,
                            .pad = 1,
                            .dilation = 1,
                            .groups = 1 };
    struct vb_conv_planner *planner = NULL;
    if (vb_conv_planner_open(gpu, &planner, NULL) != VB_OK)
        return;
    for (int direction = 0; direction < 3; direction++) {
        conv.direction = (enum vb_conv_direction)direction;
        conv.type = VB_CONV_FP16;
        struct vb_conv_plan fixed = plan_by(planner, &conv, true, gpu->name);
        struct vb_conv_plan ranked = plan_by(planner, &conv, false, gpu->name);
        if (is_known)
            expect(fixed.workspace_bytes >= copies[direction] &&
                       fixed.workspace_bytes <= copies[direction] + indices &&
                       fixed.source == (with_library ? VB_CONV_LIBRARY : VB_CONV_FITTED),
                   "not a fixed algorithm's workspace", gpu->name);
        else
            expect(fixed.engine == ranked.engine && fixed.source == ranked.source &&
                       fixed.workspace_bytes == ranked.workspace_bytes,
                   "not the ranking's", gpu->name);
        conv.type = VB_CONV_FP32;
        fixed = plan_by(planner, &conv, true, gpu->name);
        if (is_known)
            expect(fixed.engine == 1 && fixed.workspace_bytes <= indices, "fp32 copies nothing",
                   gpu->name);
    }
    vb_conv_planner_close(planner);
}

static void check_gpu(const struct vb_cudnn *cudnn, const char *name)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_plan_table table = { 0 };
    struct vb_error err = { 0 };
    if (vb_gpu_spec_find(name, &gpu, &err) != VB_OK || !vb_plan_table_find(&gpu, &table)) {
        expect(false, "no table is shipped", name);
        vb_gpu_spec_clear(&gpu);
        return;
    }
    (void)setenv("VRAMBENCH_CUDNN", "off", 1);
    compare(&gpu, &table, true, VB_CONV_TABLE);
    check_fitted(&gpu);
    check_fixed(&gpu, false);
    (void)unsetenv("VRAMBENCH_CUDNN");
    compare(&gpu, &table, false, VB_CONV_LIBRARY);
    compare(&gpu, &table, true, VB_CONV_LIBRARY); /* what the cache has lacks the range */
    compare(&gpu, &table, true, VB_CONV_LIBRARY); /* now from the cache */
    compare(&gpu, &table, false, VB_CONV_LIBRARY);
    check_fixed(&gpu, true);
    check_determinism(cudnn, &gpu, &table);
    vb_plan_table_clear(&table);
    vb_gpu_spec_clear(&gpu);
}

/* The second process, `argument` being the GPU: all is in the cache, so cuDNN stays closed. */
static int check_warm(const char *argument)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_plan_table table = { 0 };
    if (vb_gpu_spec_find(argument, &gpu, NULL) != VB_OK || !vb_plan_table_find(&gpu, &table))
        return 1;
    compare(&gpu, &table, true, VB_CONV_LIBRARY);
    expect(!is_loaded(), "cuDNN was opened for answers that the cache has", gpu.name);
    vb_plan_table_clear(&table);
    vb_gpu_spec_clear(&gpu);
    return n_faults > 0;
}

int main(int argc, char **argv)
{
    static const char *const gpus[] = { "t4", "rtx3090", "h100" };
    char folder[] = "/tmp/vrambench-test-XXXXXX";
    char empty[] = "/tmp/vrambench-none-XXXXXX";
    char command[4096];
    struct vb_cudnn cudnn = { 0 };
    struct vb_error err = { 0 };
    if (argc == 2)
        return check_warm(argv[1]);
    if (mkdtemp(folder) == NULL || mkdtemp(empty) == NULL)
        return 1;

    (void)setenv("VRAMBENCH_CACHE", folder, 1);
    (void)setenv("VRAMBENCH_CUDA_LIBS", empty, 1); /* nothing there: the search goes on */
    if (vb_cudnn_open(&cudnn, &err) != VB_OK || cudnn.version != VERSION) {
        (void)fprintf(stderr, "skipped: cuDNN 9.19.0 is not here\n");
        (void)rmdir(folder);
        (void)rmdir(empty);
        return SKIPPED;
    }
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++)
        check_gpu(&cudnn, gpus[i]);
    (void)snprintf(command, sizeof command, "'%s' t4", argv[0]);
    expect(system(command) == 0, "a warm start differs", "t4");

    (void)snprintf(command, sizeof command, "rm -rf '%s' '%s'", folder, empty);
    (void)!system(command);
    vb_cudnn_close(&cudnn);
    printf("%d faults\n", n_faults);
    return n_faults > 0;
}
