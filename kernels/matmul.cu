/* SPDX-License-Identifier: Apache-2.0 */
/* The product of matrices, tile by tile through shared memory: each thread has SIDE x SIDE elements
 * of y in registers. Reading goes along the axis whose elements lie next to each other. The
 * program's products are those of a classifier's last layer, far from what bounds a step. */

#include "kernels/matmul.h"

#include "kernels/number.h"

enum { TILE = VB_MATMUL_TILE, STEP = 16, SIDE = 4, ROW = TILE / SIDE };

/* Of one operand: [STEP of k][TILE of its rows, or columns]; rows begin at other banks. */
struct tile {
    float at[STEP][TILE + SIDE];
};

struct sums {
    float of[SIDE][SIDE];
};

/* An operand as seen along the axis that its tile has, and along k. */
struct side {
    const struct vb_lying &lying;
    uint32_t size, k;
    uint64_t stride, stride_k;
};

/* Nothing beyond the matrix: zeros. */
VB_DEVICE void load_tile(struct tile *to, const struct side &side, uint32_t first, uint32_t first_k,
                         uint32_t t)
{
    VB_UNROLL(1)
    for (uint32_t i = t; i < TILE * STEP; i += VB_BLOCK) {
        const bool is_along_k = side.stride_k == 1;
        const uint32_t k = is_along_k ? i % STEP : i / TILE;
        const uint32_t at = is_along_k ? i / STEP : i % TILE;
        const bool is_inside = at < side.size - first && k < side.k - first_k;
        const uint64_t from = (first + at) * side.stride + (first_k + k) * side.stride_k;
        to->at[k][at] = is_inside ? vb_get_float(side.lying.data, side.lying.dtype, from) : 0.0F;
    }
}

VB_DEVICE void add_products(struct sums *sums, const struct tile &x, const struct tile &z,
                            uint32_t t)
{
    VB_UNROLL(4)
    for (uint32_t k = 0; k < STEP; k++) {
        const float *row = &x.at[k][t / ROW * SIDE], *column = &z.at[k][t % ROW * SIDE];
        VB_UNROLL(4)
        for (uint32_t i = 0; i < SIDE; i++) {
            VB_UNROLL(4)
            for (uint32_t j = 0; j < SIDE; j++)
                sums->of[i][j] += row[i] * column[j];
        }
    }
}

/* Neighbouring threads write neighbouring columns. */
VB_DEVICE void store_sums(const struct vb_matmul &a, const struct sums &sums, uint32_t first_row,
                          uint32_t first_column, uint32_t t)
{
    VB_UNROLL(4)
    for (uint32_t i = 0; i < SIDE; i++) {
        VB_UNROLL(4)
        for (uint32_t j = 0; j < SIDE; j++) {
            const uint32_t row = t / ROW * SIDE + i, column = t % ROW * SIDE + j;
            if (row < a.m - first_row && column < a.n - first_column)
                vb_put_float(a.y.data, a.y.dtype,
                             (uint64_t)(first_row + row) * a.y.strides[1] +
                                 (uint64_t)(first_column + column) * a.y.strides[0],
                             sums.of[i][j]);
        }
    }
}

VB_KERNEL(matmul, vb_matmul)
{
    VB_SHARED(struct tile, x_tile);
    VB_SHARED(struct tile, z_tile);
    VB_KEEP(struct sums, sums);
    const struct side x = { a.x, a.m, a.k, a.x.strides[1], a.x.strides[0] };
    const struct side z = { a.z, a.n, a.k, a.z.strides[0], a.z.strides[1] };
    const uint32_t in_row = (a.n - 1) / TILE + 1;
    const uint64_t n_tiles = (uint64_t)((a.m - 1) / TILE + 1) * in_row;
    for (uint64_t tile = VB_BLOCK_X; tile < n_tiles; tile += VB_BLOCKS_X) {
        const uint32_t row = (uint32_t)(tile / in_row) * TILE;
        const uint32_t column = (uint32_t)(tile % in_row) * TILE;
        VB_THREADS(t)
        {
            VB_KEPT(sums, t) = {};
        }
        for (uint32_t k = 0; k < a.k; k += STEP) {
            VB_THREADS(t)
            {
                load_tile(&x_tile, x, row, k, t);
                load_tile(&z_tile, z, column, k, t);
            }
            VB_BARRIER();
            VB_THREADS(t)
            {
                add_products(&VB_KEPT(sums, t), x_tile, z_tile, t);
            }
            VB_BARRIER();
        }
        VB_THREADS(t)
        {
            store_sums(a, VB_KEPT(sums, t), row, column, t);
        }
    }
}
