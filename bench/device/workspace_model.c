/* SPDX-License-Identifier: Apache-2.0 */
/* Why shares: most workspaces are copies of the tensors in another layout, so they grow with them;
 * the rest are small. A line through the bytes was rejected: it gives every small convolution the
 * constant of the large ones.
 */
#include "device/workspace_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/text.h"

#define MODEL_FILE "sweeps/workspaces/model.csv"
#define LOW_QUANTILE 0.1
#define HIGH_QUANTILE 0.9
/* Without any fit: the share that a conversion of x and y of half the bytes would take. */
#define BLIND_SHARE 0.5

enum { MAX_MODEL_BYTES = 1 << 20 };

static enum vb_kernel_class class_of(const struct vb_conv *conv)
{
    if (conv->groups > 1)
        return VB_KERNEL_GROUPED;
    if (conv->stride > 1)
        return VB_KERNEL_STRIDE_2;
    return conv->kernel_h * conv->kernel_w == 1 ? VB_KERNEL_1X1 : VB_KERNEL_STRIDE_1;
}

static uint64_t product(const uint64_t factors[4])
{
    uint64_t result = 1;
    for (size_t i = 0; i < 4; i++) {
        if (!vb_mul(result, factors[i], &result))
            return UINT64_MAX;
    }
    return result;
}

uint64_t vb_conv_tensor_bytes(const struct vb_conv *conv)
{
    const uint64_t x = product((const uint64_t[]){ conv->n, conv->c, conv->h, conv->w });
    const uint64_t w = product(
        (const uint64_t[]){ conv->k, conv->c / conv->groups, conv->kernel_h, conv->kernel_w });
    const uint64_t y = product(
        (const uint64_t[]){ conv->n, conv->k, vb_conv_output_size(conv, conv->h, conv->kernel_h),
                            vb_conv_output_size(conv, conv->w, conv->kernel_w) });
    uint64_t sum;
    if (!vb_add(x, w, &sum) || !vb_add(sum, y, &sum) ||
        !vb_mul(sum, conv->type == VB_CONV_FP32 ? 4 : 2, &sum))
        return UINT64_MAX;
    return sum;
}

/* bf16 takes the plans of fp16 almost everywhere, and tables seldom hold it. */
static const struct vb_workspace_share *share_of(const struct vb_workspace_model *model,
                                                 const struct vb_conv *conv)
{
    const struct vb_workspace_share *share =
        &model->shares[conv->type][conv->direction][class_of(conv)];
    if (share->n == 0 && conv->type == VB_CONV_BF16)
        share = &model->shares[VB_CONV_FP16][conv->direction][class_of(conv)];
    if (share->n == 0)
        share = &model->shares[conv->type == VB_CONV_FP32 ? VB_CONV_FP32 : VB_CONV_FP16]
                              [conv->direction][VB_KERNEL_STRIDE_1];
    return share;
}

struct vb_plan_answer vb_workspace_model_answer(const struct vb_workspace_model *model,
                                                const struct vb_conv *conv)
{
    static const struct vb_workspace_share blind = { BLIND_SHARE, 0.0, 1.0, 0 };
    const struct vb_workspace_share *share = share_of(model, conv);
    const double bytes = (double)vb_conv_tensor_bytes(conv);
    if (share->n == 0)
        share = &blind;
    return (struct vb_plan_answer){
        .engine = VB_PLAN_NATIVE,
        .workspace_bytes = (uint64_t)(share->median * bytes),
        .low_bytes = (uint64_t)(share->low * bytes),
        .high_bytes = (uint64_t)(share->high * bytes),
    };
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What PyTorch runs without cuDNN has no workspace to fit, nor what has no plan. */
static bool is_fitted_on(const struct vb_plan_entry *entry)
{
    return entry->key.deterministic != 0 && entry->answer.engine >= 0;
}

enum vb_status vb_workspace_model_fit(const struct vb_plan_map *map, uint32_t compute_capability,
                                      struct vb_workspace_model *out, struct vb_error *err)
{
    enum { N_CELLS = VB_N_CONV_TYPES * VB_N_CONV_DIRECTIONS * VB_N_KERNEL_CLASSES };
    double *shares = calloc(map->n + 1, sizeof *shares);
    if (shares == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu workspaces", map->n);

    *out = (struct vb_workspace_model){ .compute_capability = compute_capability };
    for (size_t cell = 0; cell < N_CELLS; cell++) {
        size_t type = cell / (VB_N_CONV_DIRECTIONS * VB_N_KERNEL_CLASSES);
        size_t direction = cell / VB_N_KERNEL_CLASSES % VB_N_CONV_DIRECTIONS;
        size_t kernel = cell % VB_N_KERNEL_CLASSES;
        size_t n = 0;
        for (size_t i = 0; i < map->n; i++) {
            const struct vb_plan_entry *entry = &map->entries[i];
            struct vb_conv conv = vb_plan_key_conv(&entry->key);
            if (is_fitted_on(entry) && conv.type == type && conv.direction == direction &&
                class_of(&conv) == kernel)
                shares[n++] =
                    (double)entry->answer.workspace_bytes / (double)vb_conv_tensor_bytes(&conv);
        }
        if (n == 0)
            continue;
        qsort(shares, n, sizeof *shares, by_value);
        out->shares[type][direction][kernel] = (struct vb_workspace_share){
            .median = shares[n / 2],
            .low = shares[(size_t)(LOW_QUANTILE * (double)(n - 1))],
            .high = shares[(size_t)(HIGH_QUANTILE * (double)(n - 1))],
            .n = (uint32_t)n,
        };
    }
    free(shares);
    return VB_OK;
}

struct vb_workspace_error vb_workspace_model_error(const struct vb_workspace_model *model,
                                                   const struct vb_plan_map *map)
{
    struct vb_workspace_error error = { 0 };
    double given = 0.0;
    double right = 0.0;
    size_t inside = 0;

    for (size_t i = 0; i < map->n; i++) {
        const struct vb_plan_entry *entry = &map->entries[i];
        if (!is_fitted_on(entry))
            continue;
        struct vb_conv conv = vb_plan_key_conv(&entry->key);
        struct vb_plan_answer answer = vb_workspace_model_answer(model, &conv);
        given += (double)answer.workspace_bytes;
        right += (double)entry->answer.workspace_bytes;
        inside += entry->answer.workspace_bytes >= answer.low_bytes &&
                  entry->answer.workspace_bytes <= answer.high_bytes;
        error.n++;
    }
    if (error.n > 0 && right > 0.0) {
        error.sum_error = given / right - 1.0;
        error.range_share = (double)inside / (double)error.n;
    }
    return error;
}

enum vb_status vb_workspace_model_save(const char *path, const struct vb_workspace_model *models,
                                       size_t n, struct vb_error *err)
{
    struct vb_text text = { 0 };
    vb_text_append(
        &text,
        "# workspace as a share of the bytes of x, w and y, fitted on the tables beside this "
        "file\n# type: 0 fp32, 1 fp16, 2 bf16; direction: 0 forward, 1 backward data, 2 "
        "backward filter;\n# kernel: 0 1x1, 1 larger, 2 any with a stride, 3 grouped\n"
        "compute_capability,type,direction,kernel,median,low,high,n\n");
    for (size_t i = 0; i < n; i++) {
        for (size_t type = 0; type < VB_N_CONV_TYPES; type++) {
            for (size_t j = 0; j < (size_t)VB_N_CONV_DIRECTIONS * VB_N_KERNEL_CLASSES; j++) {
                size_t direction = j / VB_N_KERNEL_CLASSES;
                size_t kernel = j % VB_N_KERNEL_CLASSES;
                const struct vb_workspace_share *share = &models[i].shares[type][direction][kernel];
                if (share->n > 0)
                    vb_text_append(&text, "%" PRIu32 ",%zu,%zu,%zu,%.6f,%.6f,%.6f,%" PRIu32 "\n",
                                   models[i].compute_capability, type, direction, kernel,
                                   share->median, share->low, share->high, share->n);
            }
        }
    }
    enum vb_status status = text.failed ? vb_fail(err, VB_E_SYSTEM, "%s: no host memory left", path)
                                        : vb_file_write(path, text.data, text.length, err);
    vb_text_clear(&text);
    return status;
}

static uint32_t distance(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

/* One line of the file, where it is of a capability nearer than what the model holds, or of the
 * same. */
static void read_line(const char *line, uint32_t wanted, struct vb_workspace_model *model)
{
    uint32_t capability, type, direction, kernel;
    struct vb_workspace_share share;
    if (sscanf(line, "%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%lf,%lf,%lf,%" SCNu32,
               &capability, &type, &direction, &kernel, &share.median, &share.low, &share.high,
               &share.n) != 8 ||
        type >= VB_N_CONV_TYPES || direction >= VB_N_CONV_DIRECTIONS ||
        kernel >= VB_N_KERNEL_CLASSES)
        return;
    if (model->compute_capability != capability) {
        if (model->compute_capability != 0 &&
            distance(capability, wanted) >= distance(model->compute_capability, wanted))
            return;
        *model = (struct vb_workspace_model){ .compute_capability = capability };
    }
    model->shares[type][direction][kernel] = share;
}

void vb_workspace_model_load(uint32_t compute_capability, struct vb_workspace_model *out)
{
    char path[4096];
    char *data = NULL;
    size_t bytes = 0;
    *out = (struct vb_workspace_model){ 0 };
    vb_file_shipped(MODEL_FILE, path, sizeof path);
    if (vb_file_read(path, MAX_MODEL_BYTES, &data, &bytes, NULL) != VB_OK)
        return;
    for (const char *line = data; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line == '\0')
            break;
        read_line(line, compute_capability, out);
    }
    free(data);
}
