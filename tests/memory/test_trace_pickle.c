/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: what is read of them, and what is said of those that are none. Real ones, of all
 * protocols, are read by tests/cli/replay.sh. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_pickle.h"
#include "memory/trace_form.h"
#include "memory/trace_pickle.h"
#include "memory/trace_replay.h"

static enum vb_status read_json(const char *json, long device, struct vb_arena *arena,
                                struct vb_trace_pickle *out, struct vb_error *err)
{
    struct pickle_bytes bytes = pickle_of_json(json);
    FILE *file = fmemopen(bytes.data, bytes.n, "rb");
    enum vb_status status = vb_trace_read_pickle("x", file, device, NULL, arena, out, err);
    (void)fclose(file);
    free(bytes.data);
    return status;
}

#define SETTINGS                                                                                   \
    "'allocator_settings':{'PYTORCH_CUDA_ALLOC_CONF':'','max_split_size':-1,"                      \
    "'garbage_collection_threshold':0.0,'expandable_segments':false,"                              \
    "'roundup_power2_divisions':{'1':0,'2':0,'32768':0}}"
#define BLOCKS                                                                                     \
    "'blocks':[{'address':2097152,'size':512,'requested_size':7,'state':'active_allocated',"       \
    "'frames':[]},{'address':2097664,'size':2096640,'requested_size':0,'state':'inactive',"        \
    "'frames':[]}]"
#define SEGMENTS                                                                                   \
    "'segments':[{'device':0,'address':2097152,'total_size':2097152,'stream':0,"                   \
    "'segment_type':'small','segment_pool_id':{'tuple':[0,0]},'is_expandable':false," BLOCKS "}]"
#define EVENTS                                                                                     \
    "{'action':'segment_alloc','addr':2097152,'size':2097152,'stream':0,'time_us':1},"             \
    "{'action':'alloc','addr':2097152,'size':7,'stream':0,'time_us':2,'frames':[{'name':'f'}]}"
#define SNAPSHOT                                                                                   \
    "{" SEGMENTS ",'device_traces':[[" EVENTS "]]," SETTINGS ",'external_annotations':[]}"

/* The text with `"` for `'`, and the first `what` replaced. */
static void change(const char *text, const char *what, const char *with, char *out, size_t room)
{
    const char *at = what[0] == '\0' ? text : strstr(text, what);
    cr_assert_not_null(at, "%s", what);
    (void)snprintf(out, room, "%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
}

Test(trace_pickle, events_segments_and_settings_are_read)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_trace_pickle p;
    struct vb_replay replay;
    char json[4096];
    change(SNAPSHOT, "", "", json, sizeof json);
    cr_assert_eq(read_json(json, VB_TRACE_ANY_DEVICE, &arena, &p, &err), VB_OK, "%s", err.text);
    cr_assert_eq(p.trace.n, 2);
    cr_expect_eq(p.trace.events[0].action, VB_TRACE_RESERVE);
    cr_expect_eq(p.trace.events[1].action, VB_TRACE_ALLOC);
    cr_expect_eq(p.trace.events[1].address, 2097152);
    cr_expect_eq(p.trace.events[1].bytes, 7);
    cr_expect_eq(p.trace.events[1].line, 2);
    cr_assert_eq(p.end.n, 1);
    cr_expect(p.end.segments[0].is_small);
    cr_assert_eq(p.end.segments[0].n_blocks, 2);
    cr_expect(p.end.segments[0].blocks[0].is_taken);
    cr_expect_not(p.end.segments[0].blocks[1].is_taken);
    cr_expect_eq(p.end.segments[0].blocks[0].requested_bytes, 7);
    cr_expect_eq(p.options.max_split_bytes, 0);
    cr_expect_eq(p.n_private, 0);
    cr_expect_eq(vb_trace_replay("x", &p.trace, &p.end, &p.options, VB_REPLAY_RECORDED, &arena,
                                 &replay, &err),
                 VB_OK, "%s", err.text);
    cr_expect(vb_replay_is_same(&replay, VB_REPLAY_RECORDED));
    cr_expect_eq(replay.n_final_same, 2);
    vb_arena_clear(&arena);
}

Test(trace_pickle, settings_are_those_of_the_process)
{
    static const struct {
        const char *what, *with, *text;
    } cases[] = {
        { "'max_split_size':-1", "'max_split_size':134217728", "max_split_size_mb:128" },
        { "'expandable_segments':false", "'expandable_segments':true", "expandable_segments:True" },
        { "'garbage_collection_threshold':0.0", "'garbage_collection_threshold':0.75",
          "garbage_collection_threshold:0.75" },
        { "'1':0,'2':0,'32768':0", "'1':2,'2':4,'32768':8",
          "roundup_power2_divisions:[1:2,2:4,4:0,8:0,16:0,32:0,64:0,128:0,256:0,512:0,1024:0,"
          "2048:0,4096:0,8192:0,16384:0,32768:8]" },
        { SETTINGS, "'allocator_settings':{}", "" },
        { SETTINGS, "'of_2.0':1", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace_pickle p;
        struct vb_text text = { 0 };
        char json[4096];
        change(SNAPSHOT, cases[i].what, cases[i].with, json, sizeof json);
        cr_assert_eq(read_json(json, VB_TRACE_ANY_DEVICE, &arena, &p, &err), VB_OK, "%s", err.text);
        vb_pool_options_append(&p.options, &text);
        cr_expect_str_eq(vb_text_data(&text), cases[i].text, "%s", cases[i].with);
        vb_text_clear(&text);
        vb_arena_clear(&arena);
    }
}

/* Keys that PyTorch 2.0 did not write yet, and others that it may write one day. */
Test(trace_pickle, other_versions_are_read)
{
    static const struct {
        const char *what, *with;
    } cases[] = {
        { "'requested_size':7,", "" },
        { "'address':2097152,'size':512", "'size':512" },
        { "'is_expandable':false,", "" },
        { "'segment_pool_id':{'tuple':[0,0]},", "" },
        { "'device':0,", "" },
        { "'time_us':1", "'time_us':1,'frames':[{'name':'g','line':{'tuple':[]}}],'new':[{}]" },
        { "'external_annotations':[]", "'new':{'newer':[{'address':1},null,0.5]}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace_pickle p;
        char json[4096];
        change(SNAPSHOT, cases[i].what, cases[i].with, json, sizeof json);
        cr_expect_eq(read_json(json, VB_TRACE_ANY_DEVICE, &arena, &p, &err), VB_OK, "%s: %s",
                     cases[i].what, err.text);
        cr_expect_eq(p.trace.n, 2);
        cr_expect_eq(p.end.n, 1);
        vb_arena_clear(&arena);
    }
}

Test(trace_pickle, an_oom_tells_what_the_device_had)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_trace_pickle p;
    char json[4096];
    change(SNAPSHOT, "{'action':'alloc'",
           "{'action':'oom','device_free':4096,'size':1024,'stream':5},{'action':'alloc'", json,
           sizeof json);
    cr_assert_eq(read_json(json, VB_TRACE_ANY_DEVICE, &arena, &p, &err), VB_OK, "%s", err.text);
    cr_expect_eq(p.trace.events[1].action, VB_TRACE_OOM);
    cr_expect_eq(p.trace.events[1].address, 4096);
    cr_expect_eq(p.trace.events[1].stream, 5);
    vb_arena_clear(&arena);
}

Test(trace_pickle, one_gpu_of_several_is_picked)
{
    static const struct {
        const char *label, *traces;
        long device;
        const char *error; /* NULL: GPU `found` is read */
        uint32_t found;
    } cases[] = {
        { "the only one with events", "[],[" EVENTS "],[]", VB_TRACE_ANY_DEVICE, NULL, 1 },
        { "that one by its number", "[],[" EVENTS "],[]", 1, NULL, 1 },
        { "one of two", "[" EVENTS "],[" EVENTS "]", 1, NULL, 1 },
        { "the other", "[" EVENTS "],[" EVENTS "]", 0, NULL, 0 },
        { "two, none named", "[" EVENTS "],[],[" EVENTS "]", VB_TRACE_ANY_DEVICE,
          "x: events of more than one GPU; name one of 0, 2 with --device", 0 },
        { "one without events", "[" EVENTS "],[]", 1,
          "x: no events of GPU 1; there are events of 0", 0 },
        { "one that is not there", "[" EVENTS "]", 7,
          "x: no events of GPU 7; there are events of 0", 0 },
        { "the one event that is kept without history",
          "[{'action':'snapshot','addr':0,'size':0,'stream':0}],[]", VB_TRACE_ANY_DEVICE,
          "x: no history was recorded; call", 0 },
        { "none at all", "[],[]", VB_TRACE_ANY_DEVICE,
          "x: no history was recorded; call torch.cuda.memory._record_memory_history() before", 0 },
        { "no GPUs", "", VB_TRACE_ANY_DEVICE, "x: no history was recorded", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace_pickle p;
        char json[8192];
        change(SNAPSHOT, EVENTS "]", "", json, sizeof json);
        char *at = strstr(json, "\"device_traces\":[[") + strlen("\"device_traces\":[");
        char rest[4096], traces[4096];
        (void)snprintf(rest, sizeof rest, "%s", at + 1);
        change(cases[i].traces, "", "", traces, sizeof traces);
        (void)snprintf(at, sizeof json - (size_t)(at - json), "%s%s", traces, rest);
        enum vb_status status = read_json(json, cases[i].device, &arena, &p, &err);
        cr_expect_eq(status, cases[i].error == NULL ? VB_OK : VB_E_INPUT, "%s: %s", cases[i].label,
                     err.text);
        if (cases[i].error != NULL)
            cr_expect_eq(strncmp(err.text, cases[i].error, strlen(cases[i].error)), 0, "%s: %s",
                         cases[i].label, err.text);
        else
            cr_expect_eq(p.device, cases[i].found, "%s", cases[i].label);
        if (cases[i].error == NULL)
            cr_expect_eq(p.end.n, p.device == 0 ? 1 : 0, "%s", cases[i].label);
        vb_arena_clear(&arena);
    }
}

Test(trace_pickle, private_pools_are_counted)
{
    struct vb_arena arena = { 0 };
    struct vb_error err = { 0 };
    struct vb_trace_pickle p;
    char json[4096];
    change(SNAPSHOT, "[0,0]", "[0,1]", json, sizeof json);
    cr_assert_eq(read_json(json, VB_TRACE_ANY_DEVICE, &arena, &p, &err), VB_OK, "%s", err.text);
    cr_expect_eq(p.n_private, 1);
    vb_arena_clear(&arena);
}

Test(trace_pickle, what_is_wrong_is_told)
{
    static const struct {
        const char *label, *what, *with, *error;
    } cases[] = {
        { "an int", SNAPSHOT, "7", "x: holds an int, expected what torch.cuda.memory._dump" },
        { "a str", SNAPSHOT, "'segments'", "x: holds a str, expected what torch.cuda" },
        { "segments alone", SNAPSHOT, "[{" SEGMENTS "}]", "x: a list, as memory_snapshot() gives" },
        { "another dict", SNAPSHOT, "{'model':[1]}", "x: a dict without segments, expected" },
        { "no traces", "'device_traces'", "'device_traces_'", "x: no history was recorded" },
        { "traces a dict", "'device_traces':[[" EVENTS "]]", "'device_traces':{}",
          "device_traces is a dict, expected a list" },
        { "traces of dicts", "'device_traces':[[" EVENTS "]]", "'device_traces':[" EVENTS "]",
          "element 0 of device_traces is a dict, expected a list" },
        { "traces of ints", "'device_traces':[[", "'device_traces':[5,[",
          "1 of the 2 elements of device_traces have nothing that PyTorch writes there" },
        { "an event a list", "{'action':'alloc'", "[],{'action':'alloc'",
          "element 1 of events is a list, expected a dict" },
        { "an event a str", "{'action':'alloc'", "'alloc',{'action':'alloc'",
          "1 of the 3 elements of events have nothing" },
        { "an action unheard of", "'action':'alloc'", "'action':'leak'",
          "action is a str, expected one of the words that PyTorch writes" },
        { "another word for an action", "'action':'alloc'", "'action':'small'",
          "action is 'small', expected alloc, free_requested, .." },
        { "an action a number", "'action':'alloc'", "'action':3",
          "action is an int, expected one" },
        { "no action", "'action':'alloc',", "", "a dict without action" },
        { "no address", "'addr':2097152,'size':7", "'size':7", "a dict without addr" },
        { "a negative size", "'size':7,'stream'", "'size':-7,'stream'",
          "size is a negative int, expected an int" },
        { "a size that is a float", "'size':7,'stream'", "'size':7.5,'stream'",
          "size is a float, expected an int" },
        { "a size that is NaN", "'size':7,'stream'", "'size':{'float':'nan'},'stream'",
          "size is a float, expected an int" },
        { "a size that is True", "'size':7,'stream'", "'size':true,'stream'",
          "size is a bool, expected an int" },
        { "a size that is None", "'size':7,'stream'", "'size':null,'stream'", "size is None" },
        { "no stream", "'stream':0,'time_us':2", "'time_us':2", "a dict without stream" },
        { "segments a dict", SEGMENTS, "'segments':{}", "segments is a dict, expected a list" },
        { "segments of ints", SEGMENTS, "'segments':[1]",
          "1 of the 1 elements of segments have nothing" },
        { "a segment without blocks", BLOCKS, "'z':1", "a dict without blocks" },
        { "blocks a tuple", BLOCKS, "'blocks':{'tuple':[]}", "blocks is a tuple, expected a list" },
        { "no type", "'segment_type':'small',", "", "a dict without segment_type" },
        { "another type", "'segment_type':'small'", "'segment_type':'inactive'",
          "segment_type is 'inactive', expected small or large" },
        { "a state unheard of", "'state':'inactive'", "'state':'gone'",
          "state is a str, expected" },
        { "another word for a state", "'state':'inactive'", "'state':'large'",
          "state is 'large', expected active or inactive" },
        { "a negative segment", "'total_size':2097152", "'total_size':-1",
          "total_size is a negative int, expected an int" },
        { "a segment of nothing", "'total_size':2097152", "'total_size':0",
          "a segment of 0 bytes at 2097152, expected both above 0" },
        { "a segment beyond 64 bits", "'total_size':2097152", "'total_size':9223372036854775807",
          "a segment of 9223372036854775807 bytes at 2097152, expected both" },
        { "a segment larger than its blocks", "'total_size':2097152", "'total_size':4194304",
          "blocks of 2097152 bytes in a segment of 4194304" },
        { "blocks larger than their segment", "'size':2096640", "'size':2096641",
          "a block of 2096641 bytes where 2096640 of its segment are left" },
        { "a block of nothing", "'size':512", "'size':0", "a block of 0 bytes where 2097152" },
        { "a block elsewhere", "'address':2097664", "'address':2097665",
          "a block at 2097665, expected 2097664, where the one before ends" },
        { "a device below 0", "'device':0", "'device':-1", "device is a negative int" },
        { "expandable a str", "'is_expandable':false", "'is_expandable':'no'",
          "is_expandable is a str, expected a bool" },
        { "settings a list", SETTINGS, "'allocator_settings':[]",
          "allocator_settings is a list, expected a dict" },
        { "a threshold that is NaN", "'garbage_collection_threshold':0.0",
          "'garbage_collection_threshold':{'float':'nan'}",
          "garbage_collection_threshold is another float, expected a float from 0 to below 1" },
        { "a threshold of 1", "'garbage_collection_threshold':0.0",
          "'garbage_collection_threshold':1.0", "expected a float from 0 to below 1" },
        { "a threshold an int", "'garbage_collection_threshold':0.0",
          "'garbage_collection_threshold':0", "garbage_collection_threshold is an int, expected" },
        { "a split of -2", "'max_split_size':-1", "'max_split_size':-2",
          "max_split_size is a negative int, expected an int" },
        { "divisions of 3", "'2':0", "'2':3", "roundup_power2_divisions is another number" },
        { "divisions below 0", "'2':0", "'2':-1", "2 is a negative int, expected an int" },
        { "divisions a list", "'roundup_power2_divisions':{'1':0,'2':0,'32768':0}",
          "'roundup_power2_divisions':[]", "roundup_power2_divisions is a list, expected a dict" },
        { "code", "'time_us':1", "'time_us':{'raw':'cos'}", "opcode GLOBAL asks for" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace_pickle p;
        char json[4096];
        change(SNAPSHOT, cases[i].what, cases[i].with, json, sizeof json);
        cr_expect_eq(read_json(json, VB_TRACE_ANY_DEVICE, &arena, &p, &err), VB_E_INPUT, "%s",
                     cases[i].label);
        cr_expect_not_null(strstr(err.text, cases[i].error), "%s: %s", cases[i].label, err.text);
        cr_expect_eq(strncmp(err.text, "x: ", 3), 0, "%s", err.text);
        vb_arena_clear(&arena);
    }
}

Test(trace_pickle, cut_off_at_any_byte_it_is_refused)
{
    char json[4096];
    change(SNAPSHOT, "", "", json, sizeof json);
    struct pickle_bytes bytes = pickle_of_json(json);
    for (size_t n = 1; n < bytes.n; n++) {
        struct vb_arena arena = { 0 };
        struct vb_error err = { 0 };
        struct vb_trace_pickle p;
        FILE *file = fmemopen(bytes.data, n, "rb");
        cr_expect_eq(vb_trace_read_pickle("x", file, VB_TRACE_ANY_DEVICE, NULL, &arena, &p, &err),
                     VB_E_INPUT, "%zu", n);
        cr_expect_not_null(strstr(err.text, "cut off"), "%s", err.text);
        (void)fclose(file);
        vb_arena_clear(&arena);
    }
    free(bytes.data);
}

Test(trace_form, is_told_by_how_it_begins)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum vb_status status;
        enum vb_trace_form form;
        const char *text;
    } cases[] = {
        { "\x80\x04N.", 4, VB_OK, VB_TRACE_FORM_PICKLE, "" },
        { "seq,time_us", 11, VB_OK, VB_TRACE_FORM_TEXT, "" },
        { "xyz", 3, VB_OK, VB_TRACE_FORM_TEXT, "" },
        { "PK\x03\x04", 4, VB_E_INPUT, VB_TRACE_FORM_TEXT,
          "x: a zip file, as torch.save() writes" },
        { "\x1f\x8b\x08", 3, VB_E_INPUT, VB_TRACE_FORM_TEXT, "x: compressed by gzip" },
        { "(dp0\n", 5, VB_E_INPUT, VB_TRACE_FORM_TEXT, "x: a pickle of protocol 0 or 1" },
        { "{\"a\":1}", 7, VB_E_INPUT, VB_TRACE_FORM_TEXT, "x: JSON, expected a CSV or a pickle" },
        { "[1]", 3, VB_E_INPUT, VB_TRACE_FORM_TEXT, "x: JSON, expected a CSV or a pickle" },
        { "<html>", 6, VB_E_INPUT, VB_TRACE_FORM_TEXT, "x: HTML" },
        { NULL, 0, VB_E_INPUT, VB_TRACE_FORM_TEXT, "x: empty, expected a recording" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_error err = { 0 };
        enum vb_trace_form form = VB_TRACE_FORM_TEXT;
        FILE *file = cases[i].n > 0 ? fmemopen((void *)(uintptr_t)cases[i].bytes, cases[i].n, "rb")
                                    : fopen("/dev/null", "rb");
        cr_expect_eq(vb_trace_form_of("x", file, &form, &err), cases[i].status, "%zu", i);
        cr_expect_eq(form, cases[i].form, "%zu", i);
        cr_expect_eq(strncmp(err.text, cases[i].text, strlen(cases[i].text)), 0, "%s", err.text);
        if (cases[i].status == VB_OK)
            cr_expect_eq(getc(file), (unsigned char)cases[i].bytes[0],
                         "what was looked at is there");
        (void)fclose(file);
    }
}
