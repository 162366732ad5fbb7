/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/norm_patch.h"

#include "base/bytes.h"

/* Lines that follow each other in all images are one. */
static void join_lines(struct vb_image *const *images, size_t n)
{
    bool joins_h = true, joins_n = true;
    for (size_t i = 0; i < n; i++) {
        const struct vb_image *image = images[i];
        joins_h = joins_h && (image->h == 1 || image->stride_h == image->w * image->stride_w);
        joins_n =
            joins_n && (image->n == 1 || image->stride_n == image->h * image->w * image->stride_w);
    }
    for (size_t i = 0; i < n && joins_h; i++) {
        struct vb_image *image = images[i];
        image->w *= image->h * (joins_n ? image->n : 1);
        image->h = 1;
        image->n = joins_n ? 1 : image->n;
    }
}

static enum vb_status check(const struct vb_cpu_work *work, uint32_t n, uint32_t images,
                            const struct vb_array *arrays, uint32_t x, struct vb_error *err)
{
    const struct vb_shape vector = { 1, { arrays[x].shape.dims[1] } };
    for (uint32_t i = 0; i < n; i++) {
        bool is_image = (images >> i & 1U) == 1;
        if (!vb_same_shape(&arrays[i].shape, is_image ? &arrays[x].shape : &vector))
            return vb_refuse_shapes(work, err);
        if (!vb_is_float(&arrays[i]))
            return vb_refuse(work, "takes floating-point numbers", err);
    }
    return VB_OK;
}

static void cut_patches(struct vb_norm *norm)
{
    size_t most = norm->x.c < VB_CHANNELS_AT_ONCE ? norm->x.c : VB_CHANNELS_AT_ONCE;
    norm->patch_w = VB_NORM_PATCH / most;
    norm->patches_a_line = (norm->x.w + norm->patch_w - 1) / norm->patch_w;
    norm->n_patches = norm->x.n * norm->x.h * norm->patches_a_line;
}

enum vb_status vb_norm_arrays_of(const struct vb_cpu_work *work, uint32_t n,
                                 const struct vb_norm_images *images, struct vb_array *arrays,
                                 struct vb_error *err)
{
    uint32_t mask = 1U << images->x | 1U << images->y;
    mask |= images->gradient != VB_NONE ? 1U << images->gradient : 0;
    enum vb_status status = vb_images_of(work, n, arrays, mask, err);
    return status == VB_OK ? check(work, n, mask, arrays, images->x, err) : status;
}

enum vb_status vb_norm_open(const struct vb_cpu_work *work, uint32_t n,
                            const struct vb_norm_images *images, struct vb_array *arrays,
                            struct vb_norm *out, struct vb_error *err)
{
    enum vb_status status = vb_norm_arrays_of(work, n, images, arrays, err);
    if (status != VB_OK)
        return status;
    *out = (struct vb_norm){ .arrays = arrays,
                             .x = vb_image_of(&arrays[images->x]),
                             .y = vb_image_of(&arrays[images->y]),
                             .parts = work->workspace };
    if (images->gradient != VB_NONE)
        out->gradient = vb_image_of(&arrays[images->gradient]);
    struct vb_image *all[] = { &out->x, &out->y, &out->gradient };
    join_lines(all, images->gradient != VB_NONE ? 3 : 2);
    cut_patches(out);
    /* The vectors follow the parts in the workspace. */
    float *vectors = (float *)(out->parts + 2 * VB_NORM_PARTS * out->x.c);
    for (size_t i = 0; i < VB_NORM_VECTORS; i++)
        out->vectors[i] = vectors + i * out->x.c;
    return VB_OK;
}

enum vb_status vb_batch_norm_workspace(struct vb_cpu *cpu, const struct vb_call *call,
                                       uint64_t *bytes, struct vb_error *err)
{
    (void)cpu;
    if (!vb_mul(call->operands[0].shape.dims[1],
                2 * VB_NORM_PARTS * sizeof(double) + VB_NORM_VECTORS * sizeof(float), bytes))
        return vb_fail(err, VB_E_DEVICE, "batch_norm: more channels than memory has bytes");
    return VB_OK;
}

struct vb_patch vb_norm_patch(const struct vb_norm *norm, size_t patch)
{
    size_t line = patch / norm->patches_a_line;
    size_t w = patch % norm->patches_a_line * norm->patch_w;
    size_t left = norm->x.w - w;
    return (struct vb_patch){ line / norm->x.h, line % norm->x.h, w,
                              left < norm->patch_w ? left : norm->patch_w };
}

size_t vb_norm_pixels(const struct vb_norm *norm)
{
    return norm->x.n * norm->x.h * norm->x.w;
}

const float *vb_read_patch(const struct vb_image *image, const struct vb_patch *patch, size_t c,
                           size_t n, float *room, size_t *stride)
{
    char *pixel = vb_pixel(image, patch->n, patch->h, patch->w, c);
    size_t step = image->stride_w * vb_dtype_bytes[image->dtype];
    *stride = vb_is_direct(image) ? image->stride_w : n;
    if (vb_is_direct(image))
        return (const float *)(const void *)pixel;
    for (size_t w = 0; w < patch->n_w; w++)
        vb_load_channels(image, pixel + w * step, n, room + w * n);
    return room;
}

float *vb_patch_to_write(const struct vb_image *image, const struct vb_patch *patch, size_t c,
                         size_t n, float *room, size_t *stride)
{
    *stride = vb_is_direct(image) ? image->stride_w : n;
    if (!vb_is_direct(image))
        return room;
    return (float *)(void *)vb_pixel(image, patch->n, patch->h, patch->w, c);
}

void vb_write_patch(const struct vb_image *image, const struct vb_patch *patch, size_t c, size_t n,
                    float *room)
{
    char *pixel = vb_pixel(image, patch->n, patch->h, patch->w, c);
    size_t step = image->stride_w * vb_dtype_bytes[image->dtype];
    for (size_t w = 0; w < patch->n_w && !vb_is_direct(image); w++)
        vb_store_channels(image, pixel + w * step, n, room + w * n);
}

static struct vb_strip strip_of(const struct vb_norm *norm, uint32_t operand)
{
    return vb_strip_of(&norm->arrays[operand], 0, norm->arrays[operand].strides[0]);
}

void vb_read_vector(const struct vb_norm *norm, uint32_t operand, float *to)
{
    const struct vb_strip from = strip_of(norm, operand);
    vb_strip_copy(&from, &(struct vb_strip){ (char *)to, VB_FLOAT32, 1 }, norm->x.c);
}

void vb_write_vector(const struct vb_norm *norm, uint32_t operand, float *from)
{
    const struct vb_strip to = strip_of(norm, operand);
    vb_strip_copy(&(struct vb_strip){ (char *)from, VB_FLOAT32, 1 }, &to, norm->x.c);
}
