/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "emulated.h"

static const struct {
    const char *name;
    bool of_context, of_driver, is_silent;
} kinds[EMULATED_N_KINDS] = {
    [EMULATED_CONTEXT] = { "retained context", false, true, false },
    [EMULATED_STREAM] = { "stream", true, true, false },
    [EMULATED_EVENT] = { "event", true, true, false },
    [EMULATED_MODULE] = { "module", true, true, false },
    [EMULATED_FUNCTION] = { "function", true, true, true },
    [EMULATED_PHYSICAL] = { "physical memory", true, true, false },
    [EMULATED_GRAPH] = { "graph", true, true, false },
    [EMULATED_EXECUTABLE] = { "executable graph", true, true, false },
    [EMULATED_CUDNN_HANDLE] = { "cuDNN handle", true, false, false },
    [EMULATED_DESCRIPTOR] = { "cuDNN descriptor", false, false, false },
    [EMULATED_SUBSCRIBER] = { "CUPTI subscriber", false, false, false },
};

static struct emulated_object *first;
static uint32_t last_id;

void *emulated_object_make(enum emulated_kind kind, size_t bytes)
{
    struct emulated_object *made = calloc(1, bytes);
    if (made == NULL)
        abort();
    *made = (struct emulated_object){ .kind = kind, .id = ++last_id, .next = first };
    first = made;
    return made;
}

void emulated_object_drop(void *object)
{
    struct emulated_object **at = &first;
    while (*at != NULL && *at != object)
        at = &(*at)->next;
    if (*at == NULL)
        abort();
    *at = (*at)->next;
    free(object);
}

bool emulated_object_is(const void *object, enum emulated_kind kind, const char *function)
{
    const struct emulated_object *at = first;
    while (at != NULL && at != object)
        at = at->next;
    if (at != NULL && at->kind == kind)
        return true;
    emulated_log("%s: %p is no live %s", function, object, kinds[kind].name);
    return false;
}

struct emulated_object *emulated_object_first(void)
{
    return first;
}

void emulated_objects_left(const char *when, enum emulated_left which)
{
    for (const struct emulated_object *at = first; at != NULL; at = at->next) {
        const bool is_meant = which == EMULATED_OF_CONTEXT
                                  ? kinds[at->kind].of_context
                                  : which == EMULATED_ALL || !kinds[at->kind].of_driver;
        if (is_meant && !kinds[at->kind].is_silent)
            emulated_log("%s: %s %u", when, kinds[at->kind].name, at->id);
    }
}
