/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMP, because oneDNN has its threads there: a pool of its own would fight with it for the
 * cores. ThreadSanitizer does not see how libgomp's threads wait for each other, so it is told. */

#include "cpu/parallel.h"

#include <omp.h>

#ifndef __has_feature /* clang's way to say it */
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define UNSEEN __attribute__((no_sanitize("thread")))
#define LEAVE(loop) __tsan_release(loop)
#define ENTER(loop) __tsan_acquire(loop)
#else
#define UNSEEN
#define LEAVE(loop) (void)(loop)
#define ENTER(loop) (void)(loop)
#endif

struct loop {
    size_t n, grain, n_stretches;
    void (*body)(void *context, size_t begin, size_t end);
    void *context;
};

void vb_parallel_threads(uint32_t threads)
{
    omp_set_num_threads(threads > 0 ? (int)threads : omp_get_num_procs());
}

/* Whole grains, divided as evenly as they go. */
static size_t begin_of(const struct loop *loop, size_t stretch)
{
    size_t n_grains = loop->n / loop->grain + (loop->n % loop->grain != 0);
    size_t begin = n_grains / loop->n_stretches * stretch;
    size_t rest = n_grains % loop->n_stretches;
    begin = (begin + (stretch < rest ? stretch : rest)) * loop->grain;
    return begin < loop->n ? begin : loop->n;
}

static void run_stretch(struct loop *loop, size_t stretch)
{
    ENTER(loop);
    loop->body(loop->context, begin_of(loop, stretch), begin_of(loop, stretch + 1));
    LEAVE(loop);
}

/* The runtime may give fewer threads than were asked for: the stretches stay the same. */
UNSEEN static void run_all(struct loop *loop)
{
#pragma omp parallel num_threads((int)loop->n_stretches)
    {
        size_t threads = (size_t)omp_get_num_threads();
        for (size_t i = (size_t)omp_get_thread_num(); i < loop->n_stretches; i += threads)
            run_stretch(loop, i);
    }
}

void vb_parallel(size_t n, size_t grain, void (*body)(void *context, size_t begin, size_t end),
                 void *context)
{
    size_t threads = (size_t)omp_get_max_threads();
    size_t n_grains = n / grain + (n % grain != 0);
    struct loop loop = { n, grain, threads < n_grains ? threads : n_grains, body, context };
    if (n == 0)
        return;
    if (loop.n_stretches == 1) {
        body(context, 0, n);
        return;
    }
    LEAVE(&loop);
    run_all(&loop);
    ENTER(&loop);
}
