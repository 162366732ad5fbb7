/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/parallel.h"

#include <criterion/criterion.h>
#include <stdatomic.h>

enum { MOST = 10000, STRETCHES = 8 };

struct seen {
    atomic_int times[MOST];
    atomic_size_t begins[MOST]; /* 1 where a stretch began */
    atomic_int calls;
    size_t grain;
};

static void look(void *context, size_t begin, size_t end)
{
    struct seen *seen = context;
    atomic_fetch_add(&seen->calls, 1);
    atomic_store(&seen->begins[begin], 1);
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&seen->times[i], 1);
}

static const struct division {
    char label[40];
    size_t n, grain;
    uint32_t threads;
    int calls;
} divisions[] = {
    { "nothing is nobody's", 0, 16, 2, 0 },
    { "a grain is not divided", 16, 16, 2, 1 },
    { "one more is", 17, 16, 2, 2 },
    { "one thread does all", 10000, 16, 1, 1 },
    { "each takes a part", 10000, 16, 2, 2 },
    { "more threads than grains", 40, 16, 8, 3 },
    { "more threads than cores", 10000, 1, 8, 8 },
    { "a grain that does not divide", 9999, 1000, 3, 3 },
};

Test(parallel, every_element_is_visited_once_in_whole_grains)
{
    for (size_t k = 0; k < sizeof divisions / sizeof *divisions; k++) {
        const struct division *d = &divisions[k];
        struct seen *seen = calloc(1, sizeof *seen);
        vb_parallel_threads(d->threads);
        vb_parallel(d->n, d->grain, look, seen);
        cr_assert_eq(atomic_load(&seen->calls), d->calls, "%s: %d", d->label, seen->calls);
        for (size_t i = 0; i < MOST; i++) {
            cr_assert_eq(atomic_load(&seen->times[i]), i < d->n, "%s: %zu", d->label, i);
            cr_assert(atomic_load(&seen->begins[i]) == 0 || i % d->grain == 0, "%s", d->label);
        }
        free(seen);
    }
}

Test(parallel, all_that_the_machine_has)
{
    struct seen *seen = calloc(1, sizeof *seen);
    vb_parallel_threads(0);
    vb_parallel(MOST, 1, look, seen);
    cr_assert_geq(atomic_load(&seen->calls), 1);
    free(seen);
}
