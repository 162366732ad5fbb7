/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_KERNELS_LIST_H
#define VB_KERNELS_LIST_H

/* All kernels: their names, and the struct that each takes. C and CUDA. */

#include "kernels/batch_norm.h"
#include "kernels/elementwise.h"
#include "kernels/lines.h"
#include "kernels/matmul.h"
#include "kernels/picture.h"
#include "kernels/pool.h"
#include "kernels/reduce.h"
#include "kernels/resample.h"
#include "kernels/rows.h"
#include "kernels/search.h"
#include "kernels/select.h"
#include "kernels/source.h"
#include "kernels/update.h"

#define VB_ALL_KERNELS(KERNEL)                                                                     \
    KERNEL(elementwise, vb_elementwise)                                                            \
    KERNEL(dense_fp32, vb_dense)                                                                   \
    KERNEL(dense_fp16, vb_dense)                                                                   \
    KERNEL(dense_bf16, vb_dense)                                                                   \
    KERNEL(matmul, vb_matmul)                                                                      \
    KERNEL(update, vb_update)                                                                      \
    KERNEL(update_strided, vb_update_strided)                                                      \
    KERNEL(rescale, vb_rescale)                                                                    \
    KERNEL(norm_sums, vb_norm_sums)                                                                \
    KERNEL(norm_sums_channels, vb_norm_sums)                                                       \
    KERNEL(norm_sums_pixels, vb_norm_sums)                                                         \
    KERNEL(norm_end, vb_norm_end)                                                                  \
    KERNEL(norm_end_backward, vb_norm_end)                                                         \
    KERNEL(norm_eval, vb_norm_end)                                                                 \
    KERNEL(norm_apply, vb_norm_apply)                                                              \
    KERNEL(norm_apply_channels, vb_norm_apply)                                                     \
    KERNEL(norm_apply_pixels, vb_norm_apply)                                                       \
    KERNEL(reduce_fp32, vb_reduce)                                                                 \
    KERNEL(reduce_fp16, vb_reduce)                                                                 \
    KERNEL(reduce_bf16, vb_reduce)                                                                 \
    KERNEL(reduce_mixed, vb_reduce)                                                                \
    KERNEL(reduce_whole, vb_reduce)                                                                \
    KERNEL(reduce_parts_real, vb_reduce)                                                           \
    KERNEL(reduce_parts_whole, vb_reduce)                                                          \
    KERNEL(softmax, vb_line_call)                                                                  \
    KERNEL(softmax_backward, vb_line_call)                                                         \
    KERNEL(matvec, vb_line_call)                                                                   \
    KERNEL(nll, vb_line_call)                                                                      \
    KERNEL(nll_mean, vb_line_call)                                                                 \
    KERNEL(nll_backward, vb_line_call)                                                             \
    KERNEL(argmax, vb_argmax)                                                                      \
    KERNEL(top_k, vb_line_call)                                                                    \
    KERNEL(scatter, vb_scatter)                                                                    \
    KERNEL(resolve_claims, vb_resolve_claims)                                                      \
    KERNEL(read_rows, vb_picked_rows)                                                              \
    KERNEL(put_rows, vb_picked_rows)                                                               \
    KERNEL(add_rows, vb_picked_rows)                                                               \
    KERNEL(count_true, vb_search)                                                                  \
    KERNEL(add_counts, vb_search)                                                                  \
    KERNEL(write_true, vb_search)                                                                  \
    KERNEL(unique, vb_find_unique)                                                                 \
    KERNEL(unique_places, vb_find_unique)                                                          \
    KERNEL(count_up, vb_source)                                                                    \
    KERNEL(draw_uniform, vb_source)                                                                \
    KERNEL(max_pool, vb_pool)                                                                      \
    KERNEL(max_pool_eight, vb_pool)                                                                \
    KERNEL(max_pool_backward, vb_pool)                                                             \
    KERNEL(max_pool_backward_eight, vb_pool)                                                       \
    KERNEL(average_pool, vb_average)                                                               \
    KERNEL(upsample, vb_resample)                                                                  \
    KERNEL(upsample_eight, vb_resample)                                                            \
    KERNEL(upsample_backward, vb_resample)                                                         \
    KERNEL(upsample_backward_eight, vb_resample)                                                   \
    KERNEL(resize, vb_resample)                                                                    \
    KERNEL(resize_eight, vb_resample)                                                              \
    KERNEL(noise, vb_pictures_drawn)                                                               \
    KERNEL(noise_sixteen, vb_pictures_drawn)                                                       \
    KERNEL(mosaic, vb_pictures_drawn)                                                              \
    KERNEL(mosaic_sixteen, vb_pictures_drawn)                                                      \
    KERNEL(copy_paste, vb_pictures_drawn)                                                          \
    KERNEL(copy_paste_sixteen, vb_pictures_drawn)                                                  \
    KERNEL(flip, vb_flip)                                                                          \
    KERNEL(flip_sixteen, vb_flip)

#define VB_KERNEL_NUMBER(name, type) VB_KERNEL_##name,
enum vb_kernel_number { VB_ALL_KERNELS(VB_KERNEL_NUMBER) VB_N_KERNELS };
#undef VB_KERNEL_NUMBER

#endif
