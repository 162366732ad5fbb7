/* SPDX-License-Identifier: Apache-2.0 */
/* An arena's memory: zeroed, aligned and one's own, also where it was used before. */

#include "base/arena.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MOST = 400, ROUNDS = 4 };

struct piece {
    unsigned char *at;
    size_t bytes;
    unsigned char mark;
};

/* From a few bytes to more than a huge page. */
static size_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    const unsigned log2 = (unsigned)(*state >> 60) + (*state >> 40) % 8;
    return 1 + (size_t)(*state >> 33) % ((size_t)1 << log2);
}

static bool is_all(const struct piece *piece, unsigned char value)
{
    for (size_t i = 0; i < piece->bytes; i++) {
        if (piece->at[i] != value)
            return false;
    }
    return true;
}

Test(arena, gives_zeroed_memory_that_nobody_else_has)
{
    static struct piece pieces[MOST];
    struct vb_arena arena = { 0 };
    uint64_t state = 5;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MOST; i++) {
            struct piece *piece = &pieces[i];
            *piece = (struct piece){ .bytes = i == MOST / 2 ? 3 << 20 : draw(&state),
                                     .mark = (unsigned char)(i % 255 + 1) };
            piece->at = vb_arena_alloc(&arena, piece->bytes, 1);
            cr_assert_not_null(piece->at);
            cr_assert_eq((uintptr_t)piece->at % 16, 0);
            cr_assert(is_all(piece, 0), "round %d, %zu: not zeroed", round, i);
            memset(piece->at, piece->mark, piece->bytes);
        }
        for (size_t i = 0; i < MOST; i++)
            cr_assert(is_all(&pieces[i], pieces[i].mark), "round %d, %zu: not its own", round, i);
        vb_arena_reset(&arena);
    }
    vb_arena_clear(&arena);
    cr_assert(arena.chunks == NULL && arena.spare == NULL);
}

/* The same requests need no more memory the second time. */
Test(arena, keeps_its_memory_when_it_is_reset)
{
    struct vb_arena arena = { 0 };
    void *first[3] = { 0 };
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 3; i++) {
            void *at = vb_arena_alloc(&arena, (size_t)1 << (10 + 8 * i), 1);
            if (round == 0)
                first[i] = at;
            cr_assert_eq(at, first[i], "round %d, %d", round, i);
        }
        cr_assert_null(arena.spare);
        vb_arena_reset(&arena);
        cr_assert_null(arena.chunks);
    }
    vb_arena_clear(&arena);
}

/* What was given before the mark stays, and what comes after takes no more memory. */
Test(arena, rewinds_to_a_mark)
{
    struct vb_arena arena = { 0 };
    struct vb_arena_place empty = vb_arena_mark(&arena);
    unsigned char *kept = vb_arena_alloc(&arena, 1000, 1);
    void *first = NULL;
    memset(kept, 7, 1000);
    struct vb_arena_place mark = vb_arena_mark(&arena);
    for (int round = 0; round < ROUNDS; round++) {
        struct piece small = { vb_arena_alloc(&arena, 100, 1), 100, 0 };
        struct piece large = { vb_arena_alloc(&arena, 3 << 20, 1), 3 << 20, 0 };
        cr_assert(is_all(&small, 0) && is_all(&large, 0));
        first = round == 0 ? large.at : first;
        cr_assert_eq(large.at, first, "round %d", round);
        cr_assert_null(arena.spare);
        memset(small.at, 1, small.bytes);
        memset(large.at, 1, large.bytes);
        vb_arena_rewind(&arena, mark);
        cr_assert_not_null(arena.spare);
    }
    cr_assert(is_all(&(struct piece){ kept, 1000, 0 }, 7));
    vb_arena_rewind(&arena, empty);
    cr_assert_null(arena.chunks);
    vb_arena_clear(&arena);
}

Test(arena, lists_keep_what_they_have_as_they_grow)
{
    struct vb_arena arena = { 0 };
    uint32_t *items = NULL;
    size_t room = 0;
    for (uint32_t i = 0; i < 1000000; i++) {
        items = vb_arena_grow(&arena, items, i, &room, sizeof *items);
        cr_assert(items != NULL && room > i);
        items[i] = i;
    }
    for (uint32_t i = 0; i < 1000000; i++)
        cr_assert_eq(items[i], i);
    vb_arena_clear(&arena);
}

Test(arena, refuses_what_no_memory_is_for)
{
    struct vb_arena arena = { 0 };
    uint32_t items = 0;
    size_t room = SIZE_MAX / 4;
    cr_expect_null(vb_arena_alloc(&arena, SIZE_MAX, 2));
    cr_expect_null(vb_arena_alloc(&arena, SIZE_MAX, 1));
    cr_expect_null(vb_arena_grow(&arena, &items, room, &room, sizeof items));
    cr_expect_eq(room, SIZE_MAX / 4);
    vb_arena_clear(&arena);
}

Test(arena, texts)
{
    struct vb_arena arena = { 0 };
    const char *const texts[] = { "one", "", " two" };
    cr_expect_str_eq(vb_arena_copy(&arena, "text"), "text");
    cr_expect_str_eq(vb_arena_format(&arena, "%d %s", 7, "of"), "7 of");
    cr_expect_str_eq(vb_arena_join(&arena, texts, 3), "one two");
    cr_expect_str_eq(vb_arena_join(&arena, texts, 0), "");
    vb_arena_clear(&arena);
}
