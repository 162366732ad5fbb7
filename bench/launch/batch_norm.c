/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalisation: sums of parts, their end, and what becomes of the image. Which threads take
 * which elements depends on how the image lies that is read or written (kernels/batch_norm.h). */

#include "cpu/norm_patch.h"

#include "launch/parts.h"

enum { X, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VARIANCE, MEAN, DEVIATION, Y, N_FORWARD };
enum { EVAL_Y = 5, N_EVAL };
enum {
    B_GRADIENT,
    B_X,
    B_WEIGHT,
    B_MEAN,
    B_DEVIATION,
    B_X_GRADIENT,
    B_WEIGHT_GRADIENT,
    B_BIAS_GRADIENT,
    N_BACKWARD
};

enum { MOST_LANES = 32 };

/* Into how many blocks work is divided, unless threads then had fewer pixels (or eights) each than
 * are worth it. Sums of more blocks are more to end. */
struct division {
    uint32_t blocks, least;
};
static const struct division of_sums = { 1024, 8 }, of_applying = { 4096, 2 };

/* Kernels of one number, of eight channels and of eight pixels at once. */
enum width { ONE, CHANNELS, PIXELS };

/* Images of one shape, along their pixels. */
struct images {
    uint32_t n, channels;
    struct vb_array pixels[3];
    size_t channel_strides[3];
    struct vb_walk walk;
};

static struct images images_of(const struct vb_array *const *arrays, uint32_t n)
{
    struct images images = { .n = n };
    for (uint32_t i = 0; i < n; i++) {
        const struct vb_image image = vb_image_of(arrays[i]);
        images.channels = (uint32_t)image.c;
        images.channel_strides[i] = image.c > 1 ? image.stride_c : 0;
        images.pixels[i] = (struct vb_array){
            .data = image.data,
            .dtype = image.dtype,
            .shape = { 3, { (uint32_t)image.n, (uint32_t)image.h, (uint32_t)image.w } },
            .strides = { image.stride_n, image.stride_h, image.stride_w },
            .is_given = true,
        };
    }
    vb_walk_in_order(&images.walk, &images.pixels[0].shape, images.pixels, n);
    return images;
}

/* Eights of channels or of pixels lie without gaps, from whole packs on. */
static bool has_eights(const struct images *images, enum width width)
{
    const struct vb_walk *walk = &images->walk;
    bool has = (width == CHANNELS ? images->channels : walk->sizes[0]) % VB_EIGHT == 0;
    for (uint32_t i = 0; i < images->n; i++) {
        const size_t channel = images->channel_strides[i], *strides = walk->strides[i];
        has = has && (width == CHANNELS ? channel == 1 && strides[0] % VB_EIGHT == 0
                                        : channel % VB_EIGHT == 0 && strides[0] == 1);
        for (uint32_t k = 1; k < walk->n_axes; k++)
            has = has && strides[k] % VB_EIGHT == 0;
        has = has && (uintptr_t)images->pixels[i].data % VB_PACK_BYTES == 0;
    }
    return has;
}

/* Neighbouring threads take neighbouring elements of image `leader`. */
static enum width plan(const struct images *images, uint32_t leader,
                       const struct division *division, struct vb_norm_plan *plan)
{
    const enum width width = has_eights(images, CHANNELS) ? CHANNELS
                             : has_eights(images, PIXELS) ? PIXELS
                                                          : ONE;
    const bool along_channels =
        width == CHANNELS || (width == ONE && images->channels > 1 &&
                              images->channel_strides[leader] < images->walk.strides[leader][0]);
    const uint32_t in_thread = width == CHANNELS ? VB_EIGHT : 1;
    const uint32_t n = (images->channels - 1) / in_thread + 1;
    plan->channels = images->channels;
    plan->lanes = 1;
    while (along_channels && plan->lanes < n && plan->lanes < MOST_LANES)
        plan->lanes *= 2;
    const uint32_t tiles = (n - 1) / plan->lanes + 1;
    const size_t rows = VB_BLOCK / plan->lanes;
    const size_t most =
        vb_walk_elements(&images->walk) / (width == PIXELS ? VB_EIGHT : 1) / rows / division->least;
    plan->parts = division->blocks / tiles;
    plan->parts = most < plan->parts ? (uint32_t)most : plan->parts;
    plan->parts = plan->parts > 0 ? plan->parts : 1;
    return width;
}

static uint32_t blocks_of(const struct vb_norm_plan *plan, enum width width)
{
    const uint32_t in_block = plan->lanes * (width == CHANNELS ? VB_EIGHT : 1);
    return ((plan->channels - 1) / in_block + 1) * plan->parts;
}

/* The images as the plan's kernel takes them. */
static bool lay_out(const struct images *images, enum width width, struct vb_axes *axes,
                    struct vb_norm_image *out)
{
    struct vb_walk walk = images->walk;
    struct vb_lying lying[3];
    if (width == PIXELS) {
        walk.sizes[0] /= VB_EIGHT;
        for (uint32_t i = 0; i < images->n; i++)
            walk.strides[i][0] = VB_EIGHT;
    }
    if (!vb_lay_out(&walk, images->pixels, axes, lying))
        return false;
    for (uint32_t i = 0; i < images->n; i++)
        out[i] = (struct vb_norm_image){ lying[i], (uint32_t)images->channel_strides[i] };
    return true;
}

static struct vb_vector vector_of(const struct vb_array *array)
{
    return (struct vb_vector){ array->data, (uint32_t)array->dtype, (uint32_t)array->strides[0] };
}

/* Each channel's first number. */
static struct vb_vector first_of(const struct vb_array *x)
{
    return (struct vb_vector){ x->data, (uint32_t)x->dtype, (uint32_t)x->strides[1] };
}

/* The factors follow the sums in the scratch memory. */
static struct vb_norm_end end_of(const struct vb_cpu_work *work, const struct images *images,
                                 uint32_t parts)
{
    double *sums = vb_scratch_of(work)->sums;
    return (struct vb_norm_end){ .sums = sums,
                                 .factors = (float *)(sums + 2 * (size_t)images->channels * parts),
                                 .channels = images->channels,
                                 .parts = parts,
                                 .pixels = vb_walk_elements(&images->walk),
                                 .momentum = work->call->a,
                                 .epsilon = work->call->b };
}

static enum vb_status refuse_size(const struct vb_cpu_work *work, struct vb_error *err)
{
    return vb_refuse(work, "has more channels than sums find room for, or a size beyond 4 G", err);
}

/* x alone, or x and the gradient. */
static enum vb_status add_sums(const struct vb_cpu_work *work, const struct images *images,
                               const struct vb_vector *about, struct vb_norm_end *end,
                               struct vb_launches *out, struct vb_error *err)
{
    static const enum vb_kernel_number kernels[] = { [ONE] = VB_KERNEL_norm_sums,
                                                     [CHANNELS] = VB_KERNEL_norm_sums_channels,
                                                     [PIXELS] = VB_KERNEL_norm_sums_pixels };
    struct vb_norm_sums sums = { .about = *about,
                                 .sums = vb_scratch_of(work)->sums,
                                 .has_gradient = images->n == 2 };
    struct vb_norm_image laid[2];
    const enum width width = plan(images, 0, &of_sums, &sums.plan);
    /* Two words a part, three halves for the factors. */
    const uint32_t room = VB_SCRATCH_WORDS / images->channels;
    const uint32_t most = room > 2 ? (room - 2) / 2 : 0;
    sums.plan.parts = sums.plan.parts < most ? sums.plan.parts : most;
    if (most == 0 || !lay_out(images, width, &sums.plan.pixels, laid))
        return refuse_size(work, err);
    sums.x = laid[0];
    if (images->n == 2)
        sums.g = laid[1];
    vb_add_blocks(out, kernels[width], blocks_of(&sums.plan, width), 1)->arguments.norm_sums = sums;
    *end = end_of(work, images, sums.plan.parts);
    end->about = *about;
    return VB_OK;
}

/* x and y, or x, the gradient and y. */
static enum vb_status add_apply(const struct vb_cpu_work *work, const struct images *images,
                                const float *factors, struct vb_launches *out, struct vb_error *err)
{
    static const enum vb_kernel_number kernels[] = { [ONE] = VB_KERNEL_norm_apply,
                                                     [CHANNELS] = VB_KERNEL_norm_apply_channels,
                                                     [PIXELS] = VB_KERNEL_norm_apply_pixels };
    struct vb_norm_apply apply = { .factors = factors, .has_gradient = images->n == 3 };
    struct vb_norm_image laid[3];
    const enum width width = plan(images, images->n - 1, &of_applying, &apply.plan);
    if (!lay_out(images, width, &apply.plan.pixels, laid))
        return refuse_size(work, err);
    apply.x = laid[0];
    if (images->n == 3)
        apply.g = laid[1];
    apply.y = laid[images->n - 1];
    vb_add_blocks(out, kernels[width], blocks_of(&apply.plan, width), 1)->arguments.norm_apply =
        apply;
    return VB_OK;
}

static void add_end(struct vb_launches *out, enum vb_kernel_number kernel,
                    const struct vb_norm_end *end)
{
    vb_add_blocks(out, kernel, (end->channels - 1) / VB_NORM_ENDED + 1, 1)->arguments.norm_end =
        *end;
}

enum vb_status vb_launch_batch_norm(const struct vb_cpu_work *work, struct vb_launches *out,
                                    struct vb_error *err)
{
    const struct vb_norm_images operands = { X, Y, VB_NONE };
    struct vb_array arrays[N_FORWARD];
    struct vb_norm_end end;
    enum vb_status status = vb_norm_arrays_of(work, N_FORWARD, &operands, arrays, err);
    if (status != VB_OK)
        return status;
    const struct vb_array *all[] = { &arrays[X], &arrays[Y] };
    const struct images read = images_of(all, 1), both = images_of(all, 2);
    const struct vb_vector about = first_of(&arrays[X]);
    status = add_sums(work, &read, &about, &end, out, err);
    if (status != VB_OK)
        return status;
    end.weight = vector_of(&arrays[WEIGHT]);
    end.bias = vector_of(&arrays[BIAS]);
    end.running_mean = vector_of(&arrays[RUNNING_MEAN]);
    end.running_variance = vector_of(&arrays[RUNNING_VARIANCE]);
    end.mean = vector_of(&arrays[MEAN]);
    end.deviation = vector_of(&arrays[DEVIATION]);
    add_end(out, VB_KERNEL_norm_end, &end);
    return add_apply(work, &both, end.factors, out, err);
}

enum vb_status vb_launch_batch_norm_backward(const struct vb_cpu_work *work,
                                             struct vb_launches *out, struct vb_error *err)
{
    const struct vb_norm_images operands = { B_X, B_X_GRADIENT, B_GRADIENT };
    struct vb_array arrays[N_BACKWARD];
    struct vb_norm_end end;
    enum vb_status status = vb_norm_arrays_of(work, N_BACKWARD, &operands, arrays, err);
    if (status != VB_OK)
        return status;
    const struct vb_array *all[] = { &arrays[B_X], &arrays[B_GRADIENT], &arrays[B_X_GRADIENT] };
    const struct images read = images_of(all, 2), three = images_of(all, 3);
    const struct vb_vector about = vector_of(&arrays[B_MEAN]);
    status = add_sums(work, &read, &about, &end, out, err);
    if (status != VB_OK)
        return status;
    end.weight = vector_of(&arrays[B_WEIGHT]);
    end.mean = vector_of(&arrays[B_MEAN]);
    end.deviation = vector_of(&arrays[B_DEVIATION]);
    end.weight_gradient = vector_of(&arrays[B_WEIGHT_GRADIENT]);
    end.bias_gradient = vector_of(&arrays[B_BIAS_GRADIENT]);
    add_end(out, VB_KERNEL_norm_end_backward, &end);
    return add_apply(work, &three, end.factors, out, err);
}

enum vb_status vb_launch_batch_norm_eval(const struct vb_cpu_work *work, struct vb_launches *out,
                                         struct vb_error *err)
{
    const struct vb_norm_images operands = { X, EVAL_Y, VB_NONE };
    struct vb_array arrays[N_EVAL];
    enum vb_status status = vb_norm_arrays_of(work, N_EVAL, &operands, arrays, err);
    if (status != VB_OK)
        return status;
    const struct vb_array *all[] = { &arrays[X], &arrays[EVAL_Y] };
    const struct images images = images_of(all, 2);
    struct vb_norm_end end = end_of(work, &images, 0);
    end.weight = vector_of(&arrays[WEIGHT]);
    end.bias = vector_of(&arrays[BIAS]);
    end.running_mean = vector_of(&arrays[RUNNING_MEAN]);
    end.running_variance = vector_of(&arrays[RUNNING_VARIANCE]);
    if (images.channels > VB_SCRATCH_WORDS / 2)
        return refuse_size(work, err);
    vb_add_launch(out, VB_KERNEL_norm_eval, images.channels)->arguments.norm_end = end;
    return add_apply(work, &images, end.factors, out, err);
}
