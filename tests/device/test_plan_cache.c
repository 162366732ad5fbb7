/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of answers: what was put is found, also by several writers and after damage. No cuDNN.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "device/plan_cache.h"

enum { VERSION = 90000, N_EACH = 3000 };
static const uint64_t IDENTITY = 0x1234;

static char folder[] = "/tmp/vrambench-test-XXXXXX";

static void set_up(void)
{
    cr_assert(mkdtemp(folder) != NULL);
    (void)setenv("VRAMBENCH_CACHE", folder, 1);
}

static void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    (void)!system(command);
}

static struct vb_plan_key key_of(uint32_t n)
{
    const struct vb_conv conv = {
        VB_CONV_FORWARD, VB_CONV_FP16, false, n, 3, 8, 8, 4, 3, 3, 1, 1, 1, 1
    };
    const struct vb_conv_rules rules = { true, true, false, false };
    return vb_plan_key(&conv, &rules);
}

static struct vb_plan_answer answer_of(uint32_t n)
{
    return (struct vb_plan_answer){ (int64_t)n - 2, 7 * (uint64_t)n, n, UINT64_MAX - n };
}

static void put_range(struct vb_plan_map *map, uint32_t from, uint32_t count)
{
    for (uint32_t n = from; n < from + count; n++) {
        struct vb_plan_key key = key_of(n);
        struct vb_plan_answer answer = answer_of(n);
        cr_assert(eq(int, vb_plan_map_put(map, &key, &answer, NULL), VB_OK));
    }
}

/* How many of 0 ... count-1 are found; each that is found must be right. */
static size_t found_of(const struct vb_plan_map *map, uint32_t count)
{
    size_t found = 0;
    for (uint32_t n = 0; n < count; n++) {
        struct vb_plan_key key = key_of(n);
        struct vb_plan_answer right = answer_of(n);
        const struct vb_plan_answer *answer = vb_plan_map_find(map, &key);
        if (answer == NULL)
            continue;
        cr_expect(memcmp(answer, &right, sizeof right) == 0, "the answer of %u is another's", n);
        found++;
    }
    return found;
}

Test(plan_map, keeps_the_first_answer_and_finds_all)
{
    struct vb_plan_map map = { 0 };
    put_range(&map, 0, N_EACH);
    struct vb_plan_key key = key_of(5);
    struct vb_plan_answer other = answer_of(6);
    cr_assert(eq(int, vb_plan_map_put(&map, &key, &other, NULL), VB_OK));
    cr_expect(eq(sz, map.n, N_EACH));
    cr_expect(eq(sz, found_of(&map, N_EACH + 10), N_EACH));
    vb_plan_map_clear(&map);
}

/* Without its range an answer is kept, on the disk too, until one with the range comes. */
Test(plan_cache, an_answer_is_completed_by_its_range, .init = set_up, .fini = tear_down)
{
    const struct vb_plan_answer first = { 12, 4096, UINT64_MAX, 0 };
    const struct vb_plan_answer whole = { 12, 4096, 0, 8192 };
    const struct vb_plan_key key = key_of(1);
    struct vb_plan_map map = { 0 }, again = { 0 };
    const struct {
        const char *what;
        const struct vb_plan_answer *put, *found;
        size_t n;
    } steps[] = { { "the first choice", &first, &first, 1 },
                  { "the same again", &first, &first, 1 },
                  { "with its range", &whole, &whole, 2 },
                  { "without, later", &first, &whole, 2 } };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const size_t saved = map.n;
        cr_assert(eq(int, vb_plan_map_put(&map, &key, steps[i].put, NULL), VB_OK));
        cr_expect(eq(sz, map.n, steps[i].n), "%s", steps[i].what);
        vb_plan_cache_append(VERSION, IDENTITY, &map, saved);
        vb_plan_cache_load(VERSION, IDENTITY, &again);
        const struct vb_plan_map *maps[] = { &map, &again };
        for (size_t k = 0; k < 2; k++) {
            const struct vb_plan_answer *found = vb_plan_map_find(maps[k], &key);
            cr_assert(found != NULL, "%s", steps[i].what);
            cr_expect(memcmp(found, steps[i].found, sizeof *found) == 0, "%s", steps[i].what);
        }
        vb_plan_map_clear(&again);
    }
    vb_plan_map_clear(&map);
}

Test(plan_cache, two_writers_at_once_lose_nothing, .init = set_up, .fini = tear_down)
{
    for (uint32_t writer = 0; writer < 2; writer++) {
        if (fork() == 0) {
            struct vb_plan_map map = { 0 };
            for (uint32_t i = 0; i < 30; i++) {
                size_t first = map.n;
                put_range(&map, writer * N_EACH + i * (N_EACH / 30), N_EACH / 30);
                vb_plan_cache_append(VERSION, IDENTITY, &map, first);
            }
            vb_plan_map_clear(&map);
            _exit(0);
        }
    }
    (void)wait(NULL);
    (void)wait(NULL);

    struct vb_plan_map map = { 0 };
    vb_plan_cache_load(VERSION, IDENTITY, &map);
    cr_expect(eq(sz, map.n, 2 * N_EACH));
    cr_expect(eq(sz, found_of(&map, 2 * N_EACH), 2 * N_EACH));
    vb_plan_map_clear(&map);

    vb_plan_cache_load(VERSION + 1, IDENTITY, &map);
    cr_expect(eq(sz, map.n, 0), "another cuDNN's answers are its own");
    vb_plan_cache_load(VERSION, IDENTITY + 1, &map);
    cr_expect(eq(sz, map.n, 0), "another GPU's answers are its own");
    vb_plan_map_clear(&map);
}

static void plans_file(char *path, size_t room)
{
    (void)snprintf(path, room, "%s/plans-%d-%016llx.txt", folder, VERSION,
                   (unsigned long long)IDENTITY);
}

Test(plan_cache, a_damaged_line_is_asked_again_and_no_other, .init = set_up, .fini = tear_down)
{
    struct vb_plan_map map = { 0 };
    put_range(&map, 0, 100);
    vb_plan_cache_append(VERSION, IDENTITY, &map, 0);

    /* The last digit of the 41st answer turned, the last line cut off. */
    char path[128];
    char *data = NULL;
    size_t bytes = 0;
    plans_file(path, sizeof path);
    cr_assert(eq(int, vb_file_read(path, 1 << 20, &data, &bytes, NULL), VB_OK));
    char *line = data;
    for (int i = 0; i < 40; i++)
        line = strchr(line, '\n') + 1;
    line = strchr(line, '\n') - strlen(" 01234567") - 1;
    *line = *line == '9' ? '8' : '9';
    cr_assert(eq(int, vb_file_write(path, data, bytes - 4, NULL), VB_OK));
    free(data);

    struct vb_plan_map again = { 0 };
    vb_plan_cache_load(VERSION, IDENTITY, &again);
    cr_expect(eq(sz, found_of(&again, 100), 98));

    /* Another writer after the cut does not lose its first line to it. */
    put_range(&map, 100, 10);
    vb_plan_cache_append(VERSION, IDENTITY, &map, 100);
    vb_plan_map_clear(&again);
    vb_plan_cache_load(VERSION, IDENTITY, &again);
    cr_expect(eq(sz, found_of(&again, 110), 108));
    vb_plan_map_clear(&again);
    vb_plan_map_clear(&map);
}

Test(plan_cache, knows_the_library_until_the_file_changes, .init = set_up, .fini = tear_down)
{
    char library[128];
    char path[256];
    uint64_t version = 0;
    (void)snprintf(library, sizeof library, "%s/a library.so.9", folder);
    cr_assert(eq(int, vb_file_write(library, "abc", 3, NULL), VB_OK));
    cr_expect(not(vb_plan_cache_library(1, path, sizeof path, &version)));

    vb_plan_cache_keep_library(1, library, 91900);
    cr_expect(vb_plan_cache_library(1, path, sizeof path, &version));
    cr_expect(eq(u64, version, 91900));
    cr_expect(eq(str, path, library));
    cr_expect(not(vb_plan_cache_library(2, path, sizeof path, &version)), "other surroundings");

    cr_assert(eq(int, vb_file_write(library, "abcd", 4, NULL), VB_OK));
    cr_expect(not(vb_plan_cache_library(1, path, sizeof path, &version)), "another file");
}

Test(plan_cache, a_folder_that_cannot_be_is_no_fault)
{
    struct vb_plan_map map = { 0 };
    put_range(&map, 0, 3);
    (void)setenv("VRAMBENCH_CACHE", "/dev/null/cache", 1);
    vb_plan_cache_append(VERSION, IDENTITY, &map, 0);
    (void)setenv("VRAMBENCH_CACHE", "", 1);
    vb_plan_cache_append(VERSION, IDENTITY, &map, 0);
    vb_plan_cache_load(VERSION, IDENTITY, &map);
    cr_expect(eq(sz, map.n, 3));
    vb_plan_map_clear(&map);
}
