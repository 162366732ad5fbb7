/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures: noise.c, compose.c. */
#include "cpu/operands.h"

/* FNV-1a of the elements. */
static uint64_t hash_of(const struct operand *x)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < elements_of(x); i++)
        hash = (hash ^ (uint64_t)get(x, i)) * 0x100000001b3U;
    return hash;
}

/* However they lie, and whoever draws them: rows that are whole packs, and others. */
Test(picture, a_seeds_pictures_are_always_the_same)
{
    static const struct {
        uint32_t width;
        uint64_t noise, mosaic, pasted;
    } cases[] = { { 48, 0xd21673c94246ab37, 0x119ddb5c03ee265f, 0x8a3cf3f92f4d8b37 },
                  { 41, 0xb8dcce675b61cdb4, 0x5e9767517a537105, 0xcf618ee53120e7bc } };
    for (uint32_t k = 0; k < 2 * N_LIES; k++) {
        struct vb_error error = { "" };
        const uint32_t width = cases[k % 2].width;
        const enum lies lies = (enum lies)(k / 2);
        struct operand x = new_operand(VB_UINT8, SHAPE(8, 3, 21, width), lies);
        struct operand z = new_operand(VB_UINT8, SHAPE(8, 3, 21, width), lies);
        struct operand canvas = new_operand(VB_UINT8, SHAPE(2, 3, 42, 2 * width), lies);
        cr_assert_eq(RUN(VB_OP_NOISE, 7, 0, &x), VB_OK, "%s", error.text);
        cr_assert_eq(RUN(VB_OP_NOISE, 8, 0, &z), VB_OK, "%s", error.text);
        cr_assert_eq(RUN(VB_OP_MOSAIC, 0, 0, &x, &canvas), VB_OK, "%s", error.text);
        cr_assert_eq(RUN(VB_OP_COPY_PASTE, 5, 0, &x, &z, &z), VB_OK, "%s", error.text);
        cr_assert_eq(hash_of(&x), cases[k % 2].noise, "%lx", hash_of(&x));
        cr_assert_eq(hash_of(&canvas), cases[k % 2].mosaic, "%lx", hash_of(&canvas));
        cr_assert_eq(hash_of(&z), cases[k % 2].pasted, "%lx", hash_of(&z));
        drop_operand(&x);
        drop_operand(&z);
        drop_operand(&canvas);
    }
}

Test(picture, noise_is_smooth_and_knows_only_its_seed)
{
    struct vb_error error = { "" };
    struct vb_shape shape = SHAPE(3, 3, 61, 97);
    struct operand y[N_LIES], other = new_operand(VB_UINT8, shape, IN_ORDER);
    for (uint32_t lies = 0; lies < N_LIES; lies++) {
        struct operand *operands[] = { &y[lies] };
        y[lies] = new_operand(VB_UINT8, shape, (enum lies)lies);
        cr_assert_eq(
            run(VB_OP_NOISE, (struct numbers){ 7, 0, NULL, 1 }, operands, 1, 1 + lies, &error),
            VB_OK, "%s", error.text);
    }
    cr_assert_eq(RUN(VB_OP_NOISE, 8, 0, &other), VB_OK);
    size_t n = elements_of(&other), same = 0, steps = 0, pictures = 0, different = 0;
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(get(&y[0], i), get(&y[1], i));
        cr_assert_eq(get(&y[0], i), get(&y[2], i));
        same += get(&y[0], i) == get(&other, i);
        pictures += i >= n / 3 && get(&y[0], i) == get(&y[0], i - n / 3);
        steps += i % 97 > 0 && fabs(get(&y[0], i) - get(&y[0], i - 1)) > 24;
        different += i > 0 && get(&y[0], i) != get(&y[0], i - 1);
    }
    cr_assert_lt(same, n / 10);     /* another seed, other pictures */
    cr_assert_lt(pictures, n / 10); /* and each is another */
    cr_assert_lt(steps, n / 20);    /* edges are few */
    cr_assert_gt(different, n / 2); /* and nothing is flat */
    struct operand real = new_operand(VB_FLOAT32, shape, IN_ORDER);
    cr_assert_eq(RUN(VB_OP_NOISE, 8, 0, &real), VB_E_DEVICE);
    drop_operand(&real);
    drop_operand(&other);
    for (uint32_t i = 0; i < N_LIES; i++)
        drop_operand(&y[i]);
}

Test(picture, a_mosaic_is_four_sources_around_a_centre)
{
    struct vb_error error = { "" };
    for (uint32_t lies = 0; lies < N_LIES; lies++) {
        struct operand x = new_operand(VB_UINT8, SHAPE(20, 3, 7, 9), (enum lies)lies);
        struct operand y = new_operand(VB_UINT8, SHAPE(5, 3, 14, 18), (enum lies)lies);
        for (size_t i = 0; i < elements_of(&x); i++)
            set(&x, i, (double)(1 + i / 189 % 4)); /* the quarter that it is for */
        cr_assert_eq(RUN(VB_OP_MOSAIC, 0, 0, &x, &y), VB_OK, "%s", error.text);
        for (size_t picture = 0; picture < 5; picture++) {
            size_t counts[5] = { 0 };
            for (size_t i = 0; i < 3 * 14 * 18; i++) {
                double value = get(&y, picture * 756 + i);
                cr_assert(value == 114 || (value >= 1 && value <= 4));
                counts[value == 114 ? 0 : (size_t)value]++;
            }
            /* Around the middle: of each source a quarter is there at least, or of two halves. */
            size_t covered = counts[1] + counts[2] + counts[3] + counts[4];
            cr_assert_geq(covered, 3 * 7 * 9 * 9 / 4);
            for (size_t k = 1; k < 5; k++)
                cr_assert_geq(counts[k], 3 * 3 * 4);
            cr_assert_leq(counts[1], 3 * 7 * 9);
        }
        drop_operand(&x);
        drop_operand(&y);
    }
}

Test(picture, a_mosaics_parts_meet_where_they_should)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_UINT8, SHAPE(4, 1, 8, 8), IN_ORDER);
    struct operand y = new_operand(VB_UINT8, SHAPE(1, 1, 16, 16), IN_ORDER);
    for (size_t i = 0; i < 256; i++)
        set(&x, i, (double)i);
    cr_assert_eq(RUN(VB_OP_MOSAIC, 0, 0, &x, &y), VB_OK, "%s", error.text);
    for (size_t row = 0; row + 1 < 16; row++) {
        for (size_t column = 0; column + 1 < 16; column++) {
            /* The last pixel of the first source, the first of the last one. */
            if (get(&y, row * 16 + column) != 63)
                continue;
            cr_assert_eq(get(&y, row * 16 + column + 1), 64 + 56);
            cr_assert_eq(get(&y, (row + 1) * 16 + column), 128 + 7);
            cr_assert_eq(get(&y, (row + 1) * 16 + column + 1), 192);
            drop_operand(&x);
            drop_operand(&y);
            return;
        }
    }
    cr_assert_fail("the sources do not meet");
}

Test(picture, a_flip_turns_rows_in_place_too)
{
    struct vb_error error = { "" };
    static const uint32_t widths[] = { 8, 9, 32, 48 };
    for (uint32_t k = 0; k < 4 * N_LIES; k++) {
        uint32_t width = widths[k % 4];
        struct operand x = new_operand(VB_UINT8, SHAPE(2, 3, 5, width), (enum lies)(k / 4));
        struct operand y = new_operand(VB_UINT8, SHAPE(2, 3, 5, width), IN_ORDER);
        set_random(&x, 0, 256);
        cr_assert_eq(RUN(VB_OP_FLIP, 0, 0, &x, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < elements_of(&x); i++)
            cr_assert_eq(get(&y, i), get(&x, i / width * width + width - 1 - i % width));
        cr_assert_eq(RUN(VB_OP_FLIP, 0, 0, &y, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < elements_of(&x); i++)
            cr_assert_eq(get(&y, i), get(&x, i));
        drop_operand(&x);
        drop_operand(&y);
    }
}

Test(picture, rectangles_are_pasted)
{
    struct vb_error error = { "" };
    for (uint32_t lies = 0; lies < N_LIES; lies++) {
        struct operand x = new_operand(VB_UINT8, SHAPE(4, 3, 15, 21), (enum lies)lies);
        struct operand z = new_operand(VB_UINT8, SHAPE(4, 3, 15, 21), IN_ORDER);
        struct operand y = new_operand(VB_UINT8, SHAPE(4, 3, 15, 21), (enum lies)lies);
        size_t pasted = 0, n = elements_of(&x), plane = 15 * 21;
        for (size_t i = 0; i < n; i++) {
            set(&x, i, 1);
            set(&z, i, 2);
        }
        cr_assert_eq(RUN(VB_OP_COPY_PASTE, 5, 0, &x, &z, &y), VB_OK, "%s", error.text);
        for (size_t i = 0; i < n; i++) {
            cr_assert(get(&y, i) == 1 || get(&y, i) == 2);
            pasted += get(&y, i) == 2;
            /* All channels of a pixel come from one picture. */
            cr_assert_eq(get(&y, i), get(&y, i / plane / 3 * 3 * plane + i % plane));
        }
        cr_assert(pasted > n / 100 && pasted < n);
        cr_assert_eq(RUN(VB_OP_COPY_PASTE, 5, 0, &x, &z, &z), VB_OK, "%s", error.text);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(get(&y, i), get(&z, i));
        drop_operand(&x);
        drop_operand(&z);
        drop_operand(&y);
    }
}

Test(picture, operands_that_do_not_go_together_are_refused)
{
    struct vb_error error = { "" };
    struct operand x = new_operand(VB_UINT8, SHAPE(4, 3, 8, 8), IN_ORDER);
    struct operand y = new_operand(VB_UINT8, SHAPE(1, 3, 16, 15), IN_ORDER);
    struct operand flat = new_operand(VB_UINT8, SHAPE(8, 8), IN_ORDER);
    struct operand none = new_operand(VB_UINT8, SHAPE(0, 3, 8, 8), IN_ORDER);
    cr_assert_eq(RUN(VB_OP_MOSAIC, 0, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_FLIP, 0, 0, &x, &y), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_FLIP, 0, 0, &flat, &flat), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_COPY_PASTE, 0, 0, &x, &y, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_MIX, 0, 0, &x, &y, &x), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_NOISE, 0, 0, &flat), VB_E_DEVICE);
    cr_assert_eq(RUN(VB_OP_NOISE, 0, 0, &none), VB_OK, "%s", error.text);
    cr_assert_eq(RUN(VB_OP_FLIP, 0, 0, &none, &none), VB_OK, "%s", error.text);
    drop_operand(&x);
    drop_operand(&y);
    drop_operand(&flat);
}
