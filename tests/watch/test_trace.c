/* SPDX-License-Identifier: Apache-2.0 */
/* Files of watched processes, which may end anywhere and hold anything. */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/trace.h"

enum { ROOM = 4096 };

struct file {
    char bytes[ROOM];
    size_t n;
};

static void add(struct file *file, uint32_t kind, const void *data, size_t n)
{
    const struct vb_watch_head head = { VB_WATCH_MAGIC, kind, n };
    memcpy(file->bytes + file->n, &head, sizeof head);
    if (n > 0)
        memcpy(file->bytes + file->n + sizeof head, data, n);
    file->n += sizeof head + n;
}

static void add_start(struct file *file, const char *command, size_t n)
{
    char data[256];
    const struct vb_watch_start start = { .version = VB_WATCH_VERSION, .pid = 42, .n_dropped = 3 };
    memcpy(data, &start, sizeof start);
    memcpy(data + sizeof start, command, n);
    add(file, VB_WATCH_START, data, sizeof start + n);
}

static void add_events(struct file *file, size_t n)
{
    struct vb_watch_event events[8] = { 0 };
    for (size_t i = 0; i < n; i++)
        events[i] = (struct vb_watch_event){ .ns = 100 + i, .address = 1 + i, .bytes = 10 };
    add(file, VB_WATCH_EVENTS, events, n * sizeof *events);
}

/* An odd command line, so that nothing after it is aligned. */
static void add_all(struct file *file)
{
    const uint64_t reached = 77, end = 99;
    char module[sizeof(struct vb_watch_module) + 14];
    const struct vb_watch_module at = { 0x1000, 0x2000, 0x30 };
    const struct vb_watch_device device = { 1, "0000:01:00.0" };
    memcpy(module, &at, sizeof at);
    memcpy(module + sizeof at, "/lib/libtake.so", 14);
    add_start(file, "python\0a.py\0", 12);
    add_events(file, 2);
    add(file, VB_WATCH_MODULE, module, sizeof module);
    add(file, VB_WATCH_DEVICE, &device, sizeof device);
    add(file, VB_WATCH_OFF, "one", 3);
    add(file, VB_WATCH_OFF, "two", 3);
    add_events(file, 3);
    add(file, VB_WATCH_REACHED, &reached, sizeof reached);
    add(file, VB_WATCH_END, &end, sizeof end);
}

static bool parse(const char *bytes, size_t n, struct vb_watch_trace *out, struct vb_arena *arena)
{
    bool is_one = false;
    /* Of its very size, so that what is read beyond the end is found. */
    char *exact = malloc(n + (n == 0));
    cr_assert_not_null(exact);
    memcpy(exact, bytes, n);
    cr_assert_eq(vb_watch_trace_parse(exact, n, out, &is_one, arena, NULL), VB_OK);
    free(exact);
    return is_one;
}

Test(trace, a_whole_file_is_read_back)
{
    struct file file = { .n = 0 };
    struct vb_arena arena = { 0 };
    struct vb_watch_trace trace;
    add_all(&file);
    cr_assert(parse(file.bytes, file.n, &trace, &arena));
    cr_expect_eq(trace.start.pid, 42);
    cr_expect_eq(trace.start.n_dropped, 3);
    cr_expect_str_eq(trace.command, "python a.py");
    cr_expect_str_eq(trace.why, "one; two");
    cr_expect_eq(trace.n_events, 5);
    cr_expect_eq(trace.events[4].ns, 102);
    cr_expect_eq(trace.reached_ns, 77);
    cr_expect_eq(trace.end_ns, 99);
    cr_expect_not(trace.is_cut);
    cr_assert_eq(trace.n_devices, 1);
    cr_expect_str_eq(trace.devices[0].bus_id, "0000:01:00.0");
    cr_expect_str_eq(vb_watch_trace_caller(&trace, 0x1000, &arena), "libtake.s+0x30");
    cr_expect_str_eq(vb_watch_trace_caller(&trace, 0x1fff, &arena), "libtake.s+0x102f");
    cr_expect_str_eq(vb_watch_trace_caller(&trace, 0x0fff, &arena), "");
    cr_expect_str_eq(vb_watch_trace_caller(&trace, 0x2000, &arena), "");
    vb_arena_clear(&arena);
}

/* Where the chunks end, told apart from the parser by adding them one by one. */
Test(trace, a_file_cut_anywhere_has_what_is_whole)
{
    struct file file = { .n = 0 };
    add_start(&file, "x", 1);
    const size_t start = file.n;
    add_events(&file, 2);
    const size_t first = file.n;
    add_events(&file, 3);
    const size_t second = file.n;
    for (size_t n = 0; n <= file.n; n++) {
        struct vb_arena arena = { 0 };
        struct vb_watch_trace trace;
        const bool is_one = parse(file.bytes, n, &trace, &arena);
        cr_assert_eq(is_one, n >= start, "cut at %zu", n);
        if (is_one) {
            cr_assert_eq(trace.n_events, n >= second ? 5 : n >= first ? 2 : 0, "cut at %zu", n);
            cr_assert_eq(trace.is_cut, n != start && n != first && n != second, "cut at %zu", n);
        }
        vb_arena_clear(&arena);
    }
}

struct damage {
    char label[64];
    uint64_t bytes; /* that the second chunk says it has */
    uint32_t magic, kind;
    uint32_t n_events; /* that are still read, of the two after it */
    bool is_cut;
};

ParameterizedTestParameters(trace, what_a_chunk_says_is_not_believed)
{
    static struct damage cases[] = {
        { "a kind of a later version is passed over", 8, VB_WATCH_MAGIC, 99, 2, false },
        { "a number that is too short ends it", 7, VB_WATCH_MAGIC, VB_WATCH_END, 0, true },
        { "a device that is too short ends it", 8, VB_WATCH_MAGIC, VB_WATCH_DEVICE, 0, true },
        { "a module that is too short ends it", 8, VB_WATCH_MAGIC, VB_WATCH_MODULE, 0, true },
        { "a start that is too short ends it", 8, VB_WATCH_MAGIC, VB_WATCH_START, 0, true },
        { "more bytes than there are end it", 1 << 20, VB_WATCH_MAGIC, VB_WATCH_OFF, 0, true },
        { "bytes that wrap end it", UINT64_MAX, VB_WATCH_MAGIC, VB_WATCH_OFF, 0, true },
        { "what is no chunk ends it", 8, 1, VB_WATCH_OFF, 0, true },
    };
    return cr_make_param_array(struct damage, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct damage *c, trace, what_a_chunk_says_is_not_believed)
{
    struct file file = { .n = 0 };
    struct vb_arena arena = { 0 };
    struct vb_watch_trace trace;
    const struct vb_watch_head head = { c->magic, c->kind, c->bytes };
    add_start(&file, "x", 1);
    memcpy(file.bytes + file.n, &head, sizeof head);
    file.n += sizeof head + (c->bytes < 64 ? c->bytes : 8);
    add_events(&file, 2);
    cr_assert(parse(file.bytes, file.n, &trace, &arena), "%s", c->label);
    cr_expect_eq(trace.n_events, c->n_events, "%s: %zu events", c->label, trace.n_events);
    cr_expect_eq(trace.is_cut, c->is_cut, "%s", c->label);
    vb_arena_clear(&arena);
}

Test(trace, a_file_that_begins_otherwise_is_none)
{
    struct file file = { .n = 0 };
    struct vb_arena arena = { 0 };
    struct vb_watch_trace trace;
    add_events(&file, 2);
    add_start(&file, "x", 1);
    cr_expect_not(parse(file.bytes, file.n, &trace, &arena));
    cr_expect_not(parse("", 0, &trace, &arena));
    vb_arena_clear(&arena);
}
