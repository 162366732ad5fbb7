/* SPDX-License-Identifier: Apache-2.0 */
/* Products of matrices against plain loops in fp64. */

#include "layer.h"

struct matmul_case {
    char label[48];
    uint32_t m, k, n;
    enum lies lies[3];
    enum vb_dtype dtype;
};

/* Of two axes LAST is the transposed. */
static const struct matmul_case products[] = {
    { "in order", 5, 33, 7, { ORDERED, ORDERED, ORDERED }, VB_FLOAT32 },
    { "transposed", 5, 33, 7, { LAST, LAST, LAST }, VB_FLOAT32 },
    { "one row", 1, 16, 9, { ORDERED, LAST, ORDERED }, VB_FLOAT32 },
    { "gaps", 4, 6, 3, { SPREAD, SPREAD, SPREAD }, VB_FLOAT32 },
    { "more than a tile", 130, 70, 100, { ORDERED, LAST, ORDERED }, VB_FLOAT32 },
    { "fp16", 5, 33, 7, { ORDERED, LAST, ORDERED }, VB_FLOAT16 },
    { "bf16", 5, 33, 7, { ORDERED, LAST, SPREAD }, VB_BFLOAT16 },
};

/* Its rows and columns change places, and so do what strides say: the tensor is transposed. */
static struct tensor make_matrix(uint32_t rows, uint32_t columns, enum vb_dtype dtype,
                                 enum lies lies, uint64_t seed)
{
    bool turns = lies == LAST;
    const uint32_t dims[] = { turns ? columns : rows, turns ? rows : columns };
    struct tensor made = make_tensor(2, dims, dtype, turns ? ORDERED : lies, seed);
    if (turns) {
        struct vb_operand turned = made.operand;
        for (int i = 0; i < 2; i++) {
            turned.shape.dims[i] = made.operand.shape.dims[1 - i];
            turned.strides[i] = made.operand.strides[1 - i];
        }
        made.operand = turned;
    }
    return made;
}

Test(matmul, equals_plain_loops)
{
    struct vb_cpu *cpu = open_cpu();
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const struct matmul_case *of = &products[i];
        struct tensor all[] = { make_matrix(of->m, of->k, of->dtype, of->lies[0], 1),
                                make_matrix(of->k, of->n, of->dtype, of->lies[1], 2),
                                make_matrix(of->m, of->n, of->dtype, of->lies[2], 3) };
        double *want = calloc((size_t)of->m * of->n, sizeof *want);
        for (size_t row = 0; row < of->m; row++)
            for (size_t column = 0; column < of->n; column++)
                for (size_t k = 0; k < of->k; k++)
                    want[row * of->n + column] +=
                        get(&all[0], row, k, 0, 0) * get(&all[1], k, column, 0, 0);
        struct vb_call call = { .op = VB_OP_MATMUL };
        run_call(cpu, &call, all, 3, 4, of->label);
        compare_tensor(&all[2], want, tolerance_of(of->dtype), of->label, "product");
        free(want);
        drop_tensors(all, 3);
    }
    vb_cpu_close(cpu);
}

Test(matmul, operands_that_do_not_go_together_are_refused)
{
    struct vb_cpu *cpu = open_cpu();
    struct vb_error err = { "" };
    struct tensor all[] = { make_matrix(5, 33, VB_FLOAT32, ORDERED, 1),
                            make_matrix(32, 7, VB_FLOAT32, ORDERED, 2),
                            make_matrix(5, 7, VB_FLOAT32, ORDERED, 3) };
    const struct vb_operand operands[] = { all[0].operand, all[1].operand, all[2].operand };
    void *tensors[] = { all[0].data, all[1].data, all[2].data };
    const struct vb_call call = { .op = VB_OP_MATMUL, .operands = operands, .n_operands = 3 };
    const struct vb_cpu_work work = { .call = &call, .tensors = tensors };
    cr_assert_eq(vb_cpu_run(cpu, &work, &err), VB_E_DEVICE);
    drop_tensors(all, 3);
    vb_cpu_close(cpu);
}
