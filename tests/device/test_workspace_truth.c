/* SPDX-License-Identifier: Apache-2.0 */
/* Every convolution of YOLOv5s at batch 16, 640 x 640, on six GPUs: engines and workspaces are
 * cuDNN 9.19.0's own answers (tests/data/cudnn), nothing filtered out. Another version may answer
 * otherwise, so without that one the program exits with 77: skipped. */

#include <inttypes.h>
#include <stdbool.h>

#include "csv.h"
#include "device/cudnn_backend.h"
#include "device/gpu_spec.h"

enum { SKIPPED = 77, VERSION = 91900, CANDIDATES = 10 };

/* cuDNN keeps what it has loaded until the process ends; those are not our leaks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static enum vb_conv_direction direction_of(const char *op)
{
    if (strstr(op, "filter") != NULL || strstr(op, "wgrad") != NULL)
        return VB_CONV_BACKWARD_FILTER;
    return strstr(op, "data") != NULL || strstr(op, "dgrad") != NULL ? VB_CONV_BACKWARD_DATA
                                                                     : VB_CONV_FORWARD;
}

static struct vb_conv conv_of(const struct csv *csv, size_t row)
{
    uint32_t kernel = (uint32_t)csv_number(csv, row, "kernel");
    return (struct vb_conv){
        .direction = direction_of(csv_text(csv, row, "op")),
        .type = strstr(csv_text(csv, row, "dtype"), "16") != NULL ? VB_CONV_FP16 : VB_CONV_FP32,
        .channels_last = strcmp(csv_text(csv, row, "layout"), "nhwc") == 0,
        .n = (uint32_t)csv_number(csv, row, "n"),
        .c = (uint32_t)csv_number(csv, row, "c"),
        .h = (uint32_t)csv_number(csv, row, "h"),
        .w = (uint32_t)csv_number(csv, row, "w"),
        .k = (uint32_t)csv_number(csv, row, "k"),
        .kernel_h = kernel,
        .kernel_w = kernel,
        .stride = (uint32_t)csv_number(csv, row, "stride"),
        .pad = kernel == 6 ? 2 : kernel / 2,
        .dilation = 1,
        .groups = (uint32_t)csv_number(csv, row, "groups"),
    };
}

/* The candidates as the file writes them: engine:workspace:nondeterministic, with blanks between.
 */
static void print_candidates(const struct vb_cudnn_candidate *list, size_t n, char between,
                             char *text)
{
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        (void)sprintf(text + strlen(text), "%.1s%" PRId64 ":%" PRIu64 ":%d", i > 0 ? &between : "",
                      list[i].engine, list[i].workspace_bytes, list[i].is_nondeterministic);
}

static bool compare_row(const struct csv *csv, size_t row, const struct vb_cudnn *cudnn,
                        void *device)
{
    static const struct vb_cudnn_filter none;
    struct vb_cudnn_candidate list[CANDIDATES];
    struct vb_error err = { 0 };
    struct vb_conv conv = conv_of(csv, row);
    char text[1024];
    size_t n = 0;
    const char *real = csv_text(csv, row, "all_candidates");
    const struct vb_cudnn_target target = { .cudnn = cudnn, .properties = device };
    if (vb_cudnn_candidates(&target, &conv, VB_CUDNN_HEURISTIC, &none, NULL, list, CANDIDATES, &n,
                            &err) != VB_OK ||
        n == 0) {
        (void)fprintf(stderr, "row %zu: %s\n", row + 2, n == 0 ? "no candidate" : err.text);
        return false;
    }
    print_candidates(list, n, real[strcspn(real, "; |")], text);
    bool same = (uint64_t)list[0].engine == csv_number(csv, row, "engine") &&
                list[0].workspace_bytes == csv_number(csv, row, "workspace_bytes") &&
                strcmp(text, real) == 0;
    if (!same)
        (void)fprintf(
            stderr, "row %zu: engine %" PRId64 ", %" PRIu64 " B; real %s, %s B\n  %s\n  %s\n",
            row + 2, list[0].engine, list[0].workspace_bytes, csv_text(csv, row, "engine"),
            csv_text(csv, row, "workspace_bytes"), text, real);
    return same;
}

int main(void)
{
    struct vb_cudnn cudnn = { 0 };
    struct vb_error err = { 0 };
    struct vb_gpu_spec gpu = { 0 };
    void *device = NULL;
    size_t n_different = 0;
    if (vb_cudnn_open(&cudnn, &err) != VB_OK || cudnn.version != VERSION) {
        (void)fprintf(stderr, "skipped: cuDNN 9.19.0 is not here\n");
        return SKIPPED;
    }
    struct csv csv = csv_open("cudnn/cudnn_workspace.csv");
    for (size_t i = 0; i < csv.n_rows; i++) {
        if (i == 0 || strcmp(csv_text(&csv, i, "gpu"), csv_text(&csv, i - 1, "gpu")) != 0) {
            vb_cudnn_device_close(&cudnn, device);
            vb_gpu_spec_clear(&gpu);
            device = NULL;
            if (vb_gpu_spec_find(csv_text(&csv, i, "gpu"), &gpu, &err) != VB_OK ||
                vb_cudnn_device_open(&cudnn, gpu.json, &device, &err) != VB_OK) {
                (void)fprintf(stderr, "%s\n", err.text);
                return 1;
            }
        }
        n_different += !compare_row(&csv, i, &cudnn, device);
    }
    printf("%zu rows, %zu different\n", csv.n_rows, n_different);
    vb_cudnn_device_close(&cudnn, device);
    vb_gpu_spec_clear(&gpu);
    csv_close(&csv);
    return n_different == 0 ? 0 : 1;
}
