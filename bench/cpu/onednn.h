/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_ONEDNN_H
#define VB_CPU_ONEDNN_H

/* oneDNN 2 and 3 by one set of names, as far as the files onednn_*.c use them; only those include
 * this. The two differ in who owns a memory descriptor and in whether a primitive's description is
 * made from an operator's descriptor (2) or from arguments (3). */

#include <dnnl.h>

#include "step/operator.h"

/* A description of memory of one's own, and a borrowed one, as oneDNN's functions take and give it.
 */
struct vb_memory_desc {
    dnnl_memory_desc_t desc;
};
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t vb_memory_desc_ref;
#else
typedef const dnnl_memory_desc_t *vb_memory_desc_ref;
#endif

static inline vb_memory_desc_ref vb_memory_desc_borrow(const struct vb_memory_desc *of)
{
#if DNNL_VERSION_MAJOR >= 3
    return of->desc;
#else
    return &of->desc;
#endif
}

/* `strides` NULL: as the primitive likes it. */
static inline dnnl_status_t vb_memory_desc_make(struct vb_memory_desc *out, int n_dims,
                                                const dnnl_dim_t *dims, dnnl_data_type_t type,
                                                const dnnl_dim_t *strides)
{
#if DNNL_VERSION_MAJOR >= 3
    if (strides == NULL)
        return dnnl_memory_desc_create_with_tag(&out->desc, n_dims, dims, type,
                                                dnnl_format_tag_any);
    return dnnl_memory_desc_create_with_strides(&out->desc, n_dims, dims, type, strides);
#else
    if (strides == NULL)
        return dnnl_memory_desc_init_by_tag(&out->desc, n_dims, dims, type, dnnl_format_tag_any);
    return dnnl_memory_desc_init_by_strides(&out->desc, n_dims, dims, type, strides);
#endif
}

static inline void vb_memory_desc_drop(struct vb_memory_desc *desc)
{
#if DNNL_VERSION_MAJOR >= 3
    (void)dnnl_memory_desc_destroy(desc->desc);
#else
    (void)desc;
#endif
}

/* x, weight and y of a convolution, or the gradients of what the operator writes. */
struct vb_conv_descs {
    vb_memory_desc_ref x, weight, y;
    dnnl_dims_t strides, dilates, pad; /* oneDNN's dilation is 0 where PyTorch's is 1 */
};

#if DNNL_VERSION_MAJOR >= 3

static inline dnnl_status_t vb_conv_primitive_desc(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                   enum vb_operator op,
                                                   const struct vb_conv_descs *of,
                                                   const_dnnl_primitive_desc_t forward,
                                                   const_dnnl_primitive_attr_t attr)
{
    if (op == VB_OP_CONV)
        return dnnl_convolution_forward_primitive_desc_create(
            out, engine, dnnl_forward_training, dnnl_convolution_direct, of->x, of->weight, NULL,
            of->y, of->strides, of->dilates, of->pad, of->pad, attr);
    if (op == VB_OP_CONV_BACKWARD_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, dnnl_convolution_direct, of->x, of->weight, of->y, of->strides,
            of->dilates, of->pad, of->pad, forward, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(
        out, engine, dnnl_convolution_direct, of->x, of->weight, NULL, of->y, of->strides,
        of->dilates, of->pad, of->pad, forward, attr);
}

static inline dnnl_status_t vb_matmul_primitive_desc(dnnl_primitive_desc_t *out,
                                                     dnnl_engine_t engine, vb_memory_desc_ref x,
                                                     vb_memory_desc_ref z, vb_memory_desc_ref y,
                                                     const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(out, engine, x, z, NULL, y, attr);
}

#else

static inline dnnl_status_t vb_conv_primitive_desc(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                   enum vb_operator op,
                                                   const struct vb_conv_descs *of,
                                                   const_dnnl_primitive_desc_t forward,
                                                   const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t status;
    if (op == VB_OP_CONV)
        status = dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_training, dnnl_convolution_direct, of->x, of->weight, NULL, of->y,
            of->strides, of->dilates, of->pad, of->pad);
    else if (op == VB_OP_CONV_BACKWARD_DATA)
        status = dnnl_dilated_convolution_backward_data_desc_init(
            &desc, dnnl_convolution_direct, of->x, of->weight, of->y, of->strides, of->dilates,
            of->pad, of->pad);
    else
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &desc, dnnl_convolution_direct, of->x, of->weight, NULL, of->y, of->strides,
            of->dilates, of->pad, of->pad);
    return status != dnnl_success ? status
                                  : dnnl_primitive_desc_create(out, &desc, attr, engine, forward);
}

static inline dnnl_status_t vb_matmul_primitive_desc(dnnl_primitive_desc_t *out,
                                                     dnnl_engine_t engine, vb_memory_desc_ref x,
                                                     vb_memory_desc_ref z, vb_memory_desc_ref y,
                                                     const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t desc;
    dnnl_status_t status = dnnl_matmul_desc_init(&desc, x, z, NULL, y);
    return status != dnnl_success ? status
                                  : dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

#endif

#endif
