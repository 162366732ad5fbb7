/* SPDX-License-Identifier: Apache-2.0 */
/* Work waits until something synchronises: nothing of it is done before, so that a result that is
 * read too early is not there. Each stream keeps its order; the default stream and blocking ones
 * keep theirs with each other.
 */
#include <stdlib.h>
#include <string.h>

#include "emulated.h"

enum { DEFAULT_STREAM_ID = 7 };

static struct emulated_stream default_stream = {
    .object = { .kind = EMULATED_STREAM, .id = DEFAULT_STREAM_ID },
    .is_blocking = true,
};

struct emulated_stream *emulated_stream_of(CUstream handle, const char *function)
{
    if (handle == NULL)
        return &default_stream;
    struct emulated_stream *stream = (struct emulated_stream *)handle;
    return emulated_object_is(stream, EMULATED_STREAM, function) ? stream : NULL;
}

/* Does the first of what waits. It may not fail: faults are found when work is queued. */
static void run_one(struct emulated_stream *stream)
{
    struct emulated_work *work = stream->work.first;
    stream->work.first = work->next;
    work->run(work);
    free(work);
}

void emulated_run_stream(struct emulated_stream *stream)
{
    while (stream->work.first != NULL)
        run_one(stream);
}

void emulated_run_until(struct emulated_event *event)
{
    while (event->done < event->asked)
        run_one(event->stream);
}

static void run_others(const struct emulated_stream *stream)
{
    for (struct emulated_object *at = emulated_object_first(); at != NULL; at = at->next) {
        struct emulated_stream *other = (struct emulated_stream *)at;
        if (at->kind == EMULATED_STREAM && other != stream && other->is_blocking)
            emulated_run_stream(other);
    }
}

void emulated_run_all(void)
{
    emulated_run_stream(&default_stream);
    for (struct emulated_object *at = emulated_object_first(); at != NULL; at = at->next) {
        if (at->kind == EMULATED_STREAM)
            emulated_run_stream((struct emulated_stream *)at);
    }
}

void emulated_queue(const struct emulated_call *call, struct emulated_stream *stream,
                    emulated_run *run, const void *data, size_t bytes)
{
    if (stream == &default_stream)
        run_others(stream);
    else if (stream->is_blocking && stream->captured == NULL)
        emulated_run_stream(&default_stream);

    struct emulated_work *work = calloc(1, sizeof *work + bytes);
    if (work == NULL)
        abort();
    work->run = run;
    work->stream = stream->object.id;
    work->correlation = call->correlation;
    work->queued = emulated_now();
    work->bytes = bytes;
    if (bytes > 0)
        memcpy(work->data, data, bytes);
    struct emulated_chain *chain = stream->captured != NULL ? stream->captured : &stream->work;
    if (chain->first == NULL)
        chain->first = work;
    else
        chain->last->next = work;
    chain->last = work;
}

void emulated_queue_again(const struct emulated_call *call, struct emulated_stream *stream,
                          const struct emulated_chain *captured)
{
    for (const struct emulated_work *work = captured->first; work != NULL; work = work->next)
        emulated_queue(call, stream, work->run, work->data, work->bytes);
}

void emulated_chain_drop(struct emulated_chain *chain)
{
    while (chain->first != NULL) {
        struct emulated_work *work = chain->first;
        chain->first = work->next;
        free(work);
    }
}
