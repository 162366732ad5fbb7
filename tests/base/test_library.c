/* SPDX-License-Identifier: Apache-2.0 */
/* Where a library is looked for, and what is said of one that is not there or lacks a function. */

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/library.h"

#define FAKE "libvb_fake.so.1"

struct table {
    int (*first)(void);
    int (*second)(void);
    int (*third)(void);
};

static const struct vb_symbol two[] = {
    { "vb_fake_first", offsetof(struct table, first), false },
    { "vb_fake_second", offsetof(struct table, second), false },
};

static const struct vb_symbol three[] = {
    { "vb_fake_first", offsetof(struct table, first), false },
    { "vb_fake_second", offsetof(struct table, second), false },
    { "vb_fake_third", offsetof(struct table, third), false },
};

static const struct vb_symbol third_is_optional[] = {
    { "vb_fake_first", offsetof(struct table, first), false },
    { "vb_fake_third", offsetof(struct table, third), true },
};

static struct vb_library_query query(const char *name, const struct vb_symbol *symbols, size_t n)
{
    return (struct vb_library_query){ .names = { "libvb_none.so.9", name },
                                      .symbols = symbols,
                                      .n_symbols = n };
}

static void look_in(const char *folder)
{
    cr_assert_eq(setenv("VRAMBENCH_CUDA_LIBS", folder, 1), 0);
}

Test(library, fills_the_table_from_the_folder_that_is_named)
{
    struct table table = { 0 };
    struct vb_library library = { 0 };
    struct vb_error err = { "" };
    const struct vb_library_query asked = query(FAKE, two, 2);
    look_in(VB_TEST_LIBRARIES);
    cr_assert_eq(vb_library_open(&asked, &table, &library, &err), VB_OK, "%s", err.text);
    cr_assert_eq(table.first(), 1);
    cr_assert_eq(table.second(), 2);
    cr_assert_not_null(strstr(library.path, FAKE));
    cr_assert_eq(library.path[0], '/');
    vb_library_close(&library);
    cr_assert_null(library.handle);
    vb_library_close(&library);
}

Test(library, an_optional_function_may_be_missing)
{
    struct table table;
    struct vb_library library = { 0 };
    const struct vb_library_query asked = query(FAKE, third_is_optional, 2);
    memset(&table, 0x55, sizeof table);
    look_in(VB_TEST_LIBRARIES);
    cr_assert_eq(vb_library_open(&asked, &table, &library, NULL), VB_OK);
    cr_assert_eq(table.first(), 1);
    cr_assert_null(table.third);
    vb_library_close(&library);
}

Test(library, says_which_function_is_missing_and_sets_nothing)
{
    struct table table = { 0 };
    struct vb_library library = { 0 };
    struct vb_error err = { "" };
    const struct vb_library_query asked = query(FAKE, three, 3);
    look_in(VB_TEST_LIBRARIES);
    cr_assert_eq(vb_library_open(&asked, &table, &library, &err), VB_E_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, FAKE ": has no function vb_fake_third"), "%s", err.text);
    cr_assert_null(table.first);
    cr_assert_null(library.handle);
}

Test(library, a_named_folder_is_the_only_one_looked_in)
{
    struct table table;
    struct vb_library library;
    struct vb_error err = { "" };
    /* The C library is in the loader's path. */
    const struct vb_symbol any[] = { { "malloc", 0, false } };
    const struct vb_library_query asked = query("libc.so.6", any, 1);
    look_in("/nowhere");
    cr_assert_eq(vb_library_open(&asked, &table, &library, &err), VB_E_UNSUPPORTED);
    cr_assert_str_eq(err.text, "libvb_none.so.9, libc.so.6: not found in /nowhere, which "
                               "VRAMBENCH_CUDA_LIBS names");
    look_in("");
    cr_assert_eq(vb_library_open(&asked, &table, &library, &err), VB_OK);
    vb_library_close(&library);
}

Test(library, a_library_that_is_nowhere_is_named)
{
    struct table table;
    struct vb_library library;
    struct vb_error err = { "" };
    const struct vb_library_query asked = query("libvb_none.so", two, 2);
    cr_assert_eq(unsetenv("VRAMBENCH_CUDA_LIBS"), 0);
    cr_assert_eq(vb_library_open(&asked, &table, &library, &err), VB_E_UNSUPPORTED);
    const char *expected = "libvb_none.so.9, libvb_none.so: not found in the loader's path";
    cr_assert_eq(strncmp(err.text, expected, strlen(expected)), 0, "%s", err.text);
}

Test(library, a_file_that_does_not_load_says_why)
{
    char folder[] = "/tmp/vb_library_XXXXXX", path[64];
    struct table table;
    struct vb_library library;
    struct vb_error err = { "" };
    const struct vb_library_query asked = query(FAKE, two, 2);
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/" FAKE, folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert(fputs("no library", file) >= 0);
    cr_assert_eq(fclose(file), 0);
    look_in(folder);
    enum vb_status status = vb_library_open(&asked, &table, &library, &err);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(folder), 0);
    cr_assert_eq(status, VB_E_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    cr_assert_null(strstr(err.text, "not found in"), "%s", err.text);
}
