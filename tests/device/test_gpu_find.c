/* SPDX-License-Identifier: Apache-2.0 */
/* vb_gpu_spec_find_product, vb_gpu_index_*: GPUs by the name that drivers and logs print. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "base/bytes.h"
#include "device/gpu_spec.h"

struct product_case {
    char product[64];
    uint64_t total_bytes;
    char name[24]; /* "": none */
    char said[64];
};

ParameterizedTestParameters(gpu_find, product)
{
    static struct product_case cases[] = {
        { "Tesla T4", 0, "t4", "" },
        { "Tesla P100-PCIE-16GB", 0, "p100", "" },
        { "GeForce GTX 1060 6GB", 0, "gtx1060-6g", "" },
        { "NVIDIA GeForce GTX 1080", 0, "gtx1080", "" },
        { "NVIDIA GeForce GTX 1650 SUPER", 0, "gtx1650super", "" },
        { "NVIDIA GeForce RTX 2060", VB_MIB(6144), "rtx2060", "" },
        { "NVIDIA GeForce RTX 2060", VB_MIB(11900), "rtx2060-12g", "" },
        { "NVIDIA GeForce RTX 2070", VB_MIB(8192), "rtx2070", "" },
        { "NVIDIA GeForce RTX 3050 Laptop GPU", VB_MIB(4096), "rtx3050-laptop", "" },
        { "NVIDIA GeForce RTX 3060 Laptop GPU", 0, "rtx3060-laptop", "" },
        { "NVIDIA GeForce RTX 3070", 0, "rtx3070", "" },
        { "GeForce RTX 3080 Ti", 0, "rtx3080ti", "" },
        { "NVIDIA GeForce RTX 3080 Ti", VB_MIB(12287), "rtx3080ti", "" },
        { "NVIDIA GeForce RTX 3090", VB_MIB(24252), "rtx3090", "" },
        { "NVIDIA GeForce RTX 4090", 0, "rtx4090", "" },
        { "NVIDIA GeForce RTX 5080", 0, "rtx5080", "" },
        { "NVIDIA RTX A2000", VB_MIB(6138), "rtxa2000", "" },
        { "NVIDIA A100-SXM4-40GB", 0, "a100-40g", "" },
        { "A100-SXM4-40GB", 0, "a100-40g", "" },
        { "NVIDIA A100-SXM4-80GB", 0, "a100-80g", "" },
        /* Two of one name: the nearest, and where nothing tells the plain name. */
        { "NVIDIA GeForce RTX 3080", VB_MIB(10240), "rtx3080", "" },
        { "NVIDIA GeForce RTX 3080", VB_MIB(12288), "rtx3080-12g", "" },
        { "NVIDIA GeForce RTX 3080", 0, "rtx3080", "" },
        { "NVIDIA GeForce RTX 3060", VB_MIB(8191), "rtx3060-8g", "" },
        { "NVIDIA GeForce RTX 3060", VB_MIB(12021), "rtx3060", "" },
        { "NVIDIA GeForce RTX 3060", 0, "rtx3060", "" },
        { "NVIDIA GeForce RTX 4060 Ti", VB_MIB(15944), "rtx4060ti-16g", "" },
        { "NVIDIA GeForce RTX 5060 Ti", VB_MIB(7900), "rtx5060ti-8g", "" },
        /* No plain name: the smaller. */
        { "NVIDIA GeForce RTX 3080 Laptop GPU", 0, "rtx3080-laptop-8g", "" },
        /* A total that is nobody's, as on a part of a GPU, is no error. */
        { "NVIDIA GeForce RTX 3080", 1, "rtx3080", "" },
        { "NVIDIA GeForce RTX 3080", UINT64_MAX, "rtx3080-12g", "" },
        /* Case, blanks, brand. */
        { "  nvidia   geforce RTX3080ti ", 0, "rtx3080ti", "" },
        { "RTX 8000", 0, "quadro-rtx8000", "" },
        { "NVIDIA Quadro P4000", 0, "quadro-p4000", "" },
        { "P4000", 0, "quadro-p4000", "" },
        { "TITAN V", 0, "titanv", "" },
        /* Unknown. */
        { "NVIDIA GeForce RTX 3081", 0, "", "did you mean 'rtx3080'?" },
        { "GeForce GTX 1080 T", 0, "", "did you mean 'gtx1080" },
        { "Radeon Instinct", 0, "", "no GPU is called 'Radeon Instinct'; 'vrambench" },
        { "NVIDIA", 0, "", "no GPU is called 'NVIDIA'" },
        { "", 0, "", "no GPU is called ''" },
    };
    return cr_make_param_array(struct product_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct product_case *c, gpu_find, product)
{
    struct vb_gpu_spec gpu = { 0 };
    struct vb_error err = { 0 };
    enum vb_status status = vb_gpu_spec_find_product(c->product, c->total_bytes, &gpu, &err);
    cr_expect(eq(int, status, c->name[0] != '\0' ? VB_OK : VB_E_INPUT), "%s: %s", c->product,
              err.text);
    cr_expect(eq(str, gpu.name, c->name), "%s", c->product);
    cr_expect(strstr(err.text, c->said) != NULL, "%s: '%s'", c->product, err.text);
    vb_gpu_spec_clear(&gpu);
}

/* Longer than any key: cut, not overrun. */
Test(gpu_find, an_endless_product_is_unknown)
{
    char product[4096];
    struct vb_gpu_spec gpu = { 0 };
    struct vb_error err = { 0 };
    memset(product, 'x', sizeof product - 1);
    product[sizeof product - 1] = '\0';
    cr_expect(eq(int, vb_gpu_spec_find_product(product, 0, &gpu, &err), VB_E_INPUT));
    cr_expect(eq(int, vb_gpu_spec_find(product, &gpu, &err), VB_E_INPUT));
}

Test(gpu_find, a_name_may_be_a_product)
{
    static const char *const both[][2] = {
        { "rtx3060", "rtx3060" },
        { "NVIDIA A100 80GB PCIe", "a100-pcie-80g" },
        { "T4", "t4" },
        { "GeForce GTX 1060 6GB", "gtx1060-6g" },
    };
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        struct vb_gpu_spec gpu = { 0 };
        struct vb_error err = { 0 };
        cr_assert(eq(int, vb_gpu_spec_find(both[i][0], &gpu, &err), VB_OK), "%s", err.text);
        cr_expect(eq(str, gpu.name, (char *)both[i][1]));
        vb_gpu_spec_clear(&gpu);
    }
}

/* Capability, memory, name, each in its order; and no two that a look-up could not tell apart. */
Test(gpu_find, the_index_is_in_order)
{
    struct vb_arena arena = { 0 };
    struct vb_gpu_index index = { 0 };
    struct vb_error err = { 0 };
    cr_assert(eq(int, vb_gpu_index_read(&arena, &index, &err), VB_OK), "%s", err.text);
    cr_assert(ge(sz, index.n, 100));
    for (size_t i = 1; i < index.n; i++) {
        const struct vb_gpu_product *a = &index.products[i - 1];
        const struct vb_gpu_product *b = &index.products[i];
        cr_expect(a->compute_capability < b->compute_capability ||
                      (a->compute_capability == b->compute_capability &&
                       a->capacity_bytes <= b->capacity_bytes),
                  "%s before %s", a->name, b->name);
        for (size_t j = 0; j < i; j++)
            cr_expect(strcmp(index.products[j].key, b->key) != 0 ||
                          index.products[j].capacity_bytes != b->capacity_bytes,
                      "%s and %s are one product", index.products[j].name, b->name);
    }
    vb_arena_clear(&arena);
}

Test(gpu_find, architectures)
{
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(350), "Kepler"));
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(610), "Pascal"));
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(700), "Volta"));
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(750), "Turing"));
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(870), "Ampere"));
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(890), "Ada"));
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(900), "Hopper"));
    cr_expect(eq(str, (char *)vb_gpu_spec_architecture(1200), "Blackwell"));
}
