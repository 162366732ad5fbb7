/* SPDX-License-Identifier: Apache-2.0 */
/* What each setting of PYTORCH_CUDA_ALLOC_CONF becomes, and how a bad one is refused. */

#include <criterion/criterion.h>
#include <string.h>

#include "memory/pool.h"

#define MIB(n) ((uint64_t)(n) << 20)

static struct vb_pool_options parse(const char *text)
{
    struct vb_pool_options options;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_pool_options_parse(text, &options, &err), VB_OK, "%s: %s", text, err.text);
    return options;
}

Test(pool_options, nothing_said_gives_the_defaults)
{
    static const char *const empty[] = { "", "  " };
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct vb_pool_options options = parse(empty[i]);
        cr_expect_eq(options.max_split_bytes, 0);
        cr_expect_eq(options.max_non_split_rounding_bytes, 0);
        cr_expect_eq(options.garbage_threshold, 0);
        cr_expect_eq(options.memory_fraction, 0);
        cr_expect_not(options.expandable_segments || options.native);
        for (size_t k = 0; k < 16; k++)
            cr_expect_eq(options.roundup_divisions[k], 0);
    }
}

Test(pool_options, settings_are_read_together_and_around_blanks)
{
    struct vb_pool_options options =
        parse(" max_split_size_mb : 21 , max_non_split_rounding_mb:32,"
              "garbage_collection_threshold:0.8,expandable_segments:True,"
              "per_process_memory_fraction:0.5");
    cr_expect_eq(options.max_split_bytes, MIB(21));
    cr_expect_eq(options.max_non_split_rounding_bytes, MIB(32));
    cr_expect_eq(options.garbage_threshold, 0.8);
    cr_expect_eq(options.memory_fraction, 0.5);
    cr_expect(options.expandable_segments);
}

Test(pool_options, what_does_not_touch_device_memory_changes_nothing)
{
    static const char *const texts[] = {
        "backend:native",
        "large_segment_size_mb:20",
        "release_lock_on_cudamalloc:True",
        "graph_capture_record_stream_reuse:True",
        "pinned_use_cuda_host_register:True,pinned_num_register_threads:8",
        "pinned_use_background_threads:False",
        "expandable_segments:False",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct vb_pool_options options = parse(texts[i]);
        cr_expect_eq(options.max_split_bytes + options.max_non_split_rounding_bytes, 0);
        cr_expect_not(options.expandable_segments || options.native, "%s", texts[i]);
    }
}

Test(pool_options, divisions_go_to_their_intervals)
{
    /* Interval 8 is 256 MiB to 512 MiB. */
    static const struct {
        const char *label, *text;
        uint32_t expected[16];
    } cases[] = {
        { "one number is for all",
          "roundup_power2_divisions:4",
          { 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 } },
        { "the first value is for all smaller ones",
          "roundup_power2_divisions:[4:2]",
          { 2, 2, 2, 0 } },
        { "what lies between two named ones stays off",
          "roundup_power2_divisions:[1:1,8:4]",
          { 1, 0, 0, 4, 0 } },
        { "the rest begins at the one named last",
          "roundup_power2_divisions:[256:1,512:2,1024:4,>:8]",
          { 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 8, 8, 8, 8, 8, 8 } },
        { "what is larger than 64 GiB is the last",
          "roundup_power2_divisions:[1:0,131072:16]",
          { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_pool_options options = parse(cases[i].text);
        for (size_t k = 0; k < 16; k++)
            cr_expect_eq(options.roundup_divisions[k], cases[i].expected[k], "%s: interval %zu",
                         cases[i].label, k);
    }
}

Test(pool_options, refuse_what_they_cannot_mean)
{
    static const char *const bad[] = {
        "max_split_size_mb:20",
        "max_split_size_mb:30.5",
        "max_split_size_mb:-30",
        "max_split_size_mb:",
        "max_split_size_mb:nan",
        "max_non_split_rounding_mb:20",
        "garbage_collection_threshold:0",
        "garbage_collection_threshold:1",
        "per_process_memory_fraction:0",
        "per_process_memory_fraction:1.1",
        "backend:cudaMallocAsync",
        "large_segment_size_mb:64",
        "release_lock_on_cudamalloc:2",
        "roundup_power2_divisions:[256:1",
        "roundup_power2_divisions:[]",
        "roundup_power2_divisions:[3:2]",
        "roundup_power2_divisions:[256:3]",
        "roundup_power2_divisions:[256]",
        "roundup_power2_divisions:3",
        ":",
        "nothing",
        "expandable_segment:True",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vb_pool_options options;
        struct vb_error err = { 0 };
        cr_expect_eq(vb_pool_options_parse(bad[i], &options, &err), VB_E_INPUT, "%s", bad[i]);
        cr_expect_eq(strncmp(err.text, "alloc_conf: ", 12), 0, "%s: %s", bad[i], err.text);
        cr_expect_eq(strchr(err.text, '\n'), NULL);
    }
}

/* Written as a text they are read as they were. */
Test(pool_options, what_is_written_is_read_again)
{
    static const struct {
        const char *text, *written;
    } cases[] = {
        { "", "" },
        { "max_split_size_mb:512", "max_split_size_mb:512" },
        { "expandable_segments:True,max_non_split_rounding_mb:32",
          "max_non_split_rounding_mb:32,expandable_segments:True" },
        { "roundup_power2_divisions:8", "roundup_power2_divisions:8" },
        { "roundup_power2_divisions:1", "" }, /* off */
        { "roundup_power2_divisions:[256:1,512:2,1024:4,>:8]",
          "roundup_power2_divisions:[1:1,2:1,4:1,8:1,16:1,32:1,64:1,128:1,256:1,512:2,1024:8,"
          "2048:8,4096:8,8192:8,16384:8,32768:8]" },
        { "garbage_collection_threshold:0.8,per_process_memory_fraction:0.123456789",
          "garbage_collection_threshold:0.8,per_process_memory_fraction:0.123456789" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vb_pool_options options = parse(cases[i].text);
        struct vb_text text = { 0 };
        vb_pool_options_append(&options, &text);
        struct vb_pool_options again = parse(vb_text_data(&text));
        cr_expect_str_eq(vb_text_data(&text), cases[i].written);
        cr_expect_eq(again.max_split_bytes, options.max_split_bytes);
        cr_expect_eq(again.max_non_split_rounding_bytes, options.max_non_split_rounding_bytes);
        cr_expect_eq(again.garbage_threshold, options.garbage_threshold);
        cr_expect_eq(again.memory_fraction, options.memory_fraction);
        cr_expect_eq(again.expandable_segments, options.expandable_segments);
        for (size_t k = 0; k < 16 && cases[i].written[0] != '\0'; k++)
            cr_expect_eq(again.roundup_divisions[k], options.roundup_divisions[k]);
        vb_text_clear(&text);
    }
}
