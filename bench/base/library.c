/* SPDX-License-Identifier: Apache-2.0 */
#include "base/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "config.h"

/* A library was there but is of no use: the first such text is worth more than "not found". */
struct search {
    const struct vb_library_query *query;
    char fault[512]; /* "" while nothing was there */
};

enum { MOST_SYMBOLS = 64 };

static void note_fault(struct search *search, const char *path, const char *what, const char *which)
{
    if (search->fault[0] == '\0')
        (void)snprintf(search->fault, sizeof search->fault, "%.300s: %s%s", path, what, which);
}

/* The loader says "NAME: cannot open shared object file" both of a library that is nowhere and of
 * one that it needs; only the first is not a fault. */
static void note_not_loaded(struct search *search, const char *file)
{
    const char *why = dlerror();
    if (why == NULL)
        why = "does not load";
    size_t length = strlen(file);
    if (strncmp(why, file, length) == 0 && strncmp(why + length, ": ", 2) == 0)
        why += length + 2;
    if (strcmp(why, "cannot open shared object file: No such file or directory") == 0)
        return;
    note_fault(search, file, "", why);
}

static void name_file(void *handle, const char *symbol, const char *file, char *path)
{
    Dl_info info;
    void *address = dlsym(handle, symbol);
    char resolved[PATH_MAX];
    if (address != NULL && dladdr(address, &info) != 0 && info.dli_fname != NULL)
        file = info.dli_fname;
    (void)snprintf(path, PATH_MAX, "%s", realpath(file, resolved) != NULL ? resolved : file);
}

/* `file` is a path, or a name that the loader looks for. */
static bool open_file(struct search *search, const char *file, void *table, struct vb_library *out)
{
    const struct vb_library_query *query = search->query;
    if (strchr(file, '/') != NULL && access(file, F_OK) != 0)
        return false;
    (void)dlerror();
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        note_not_loaded(search, file);
        return false;
    }
    void *addresses[MOST_SYMBOLS];
    for (size_t i = 0; i < query->n_symbols; i++) {
        addresses[i] = dlsym(handle, query->symbols[i].name);
        if (addresses[i] == NULL && !query->symbols[i].is_optional) {
            note_fault(search, file, "has no function ", query->symbols[i].name);
            (void)dlclose(handle);
            return false;
        }
    }
    for (size_t i = 0; i < query->n_symbols; i++)
        memcpy((char *)table + query->symbols[i].offset, &addresses[i], sizeof addresses[i]);
    out->handle = handle;
    name_file(handle, query->symbols[0].name, file, out->path);
    return true;
}

/* `folder` NULL: by the loader's path. */
static bool open_in(struct search *search, const char *folder, void *table, struct vb_library *out)
{
    const struct vb_library_query *query = search->query;
    for (size_t i = 0; i < sizeof query->names / sizeof *query->names && query->names[i]; i++) {
        char file[PATH_MAX];
        int length = snprintf(file, sizeof file, "%s%s%s", folder != NULL ? folder : "",
                              folder != NULL ? "/" : "", query->names[i]);
        if (length < (int)sizeof file && open_file(search, file, table, out))
            return true;
    }
    return false;
}

static enum vb_status fail(const struct search *search, const char *only, struct vb_error *err)
{
    if (search->fault[0] != '\0')
        return vb_fail(err, VB_E_UNSUPPORTED, "%s", search->fault);
    const char *const *names = search->query->names;
    struct vb_text list = { 0 };
    for (size_t i = 0; i < sizeof search->query->names / sizeof *names && names[i]; i++)
        vb_text_append(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    enum vb_status status =
        only != NULL ? vb_fail(err, VB_E_UNSUPPORTED,
                               "%s: not found in %.300s, which VRAMBENCH_CUDA_LIBS names",
                               vb_text_data(&list), only)
                     : vb_fail(err, VB_E_UNSUPPORTED, "%s: not found in the loader's path%s%s",
                               vb_text_data(&list), VB_CUDA_LIBRARY_DIR[0] != '\0' ? " or in " : "",
                               VB_CUDA_LIBRARY_DIR);
    vb_text_clear(&list);
    return status;
}

enum vb_status vb_library_open(const struct vb_library_query *query, void *table,
                               struct vb_library *out, struct vb_error *err)
{
    struct search search = { .query = query };
    const char *only = getenv("VRAMBENCH_CUDA_LIBS");
    if (query->n_symbols == 0 || query->n_symbols > MOST_SYMBOLS)
        return vb_fail(err, VB_E_UNSUPPORTED, "%s: %zu functions asked for, 1 to %d can be",
                       query->names[0], query->n_symbols, MOST_SYMBOLS);
    if (only != NULL && only[0] != '\0')
        return open_in(&search, only, table, out) ? VB_OK : fail(&search, only, err);

    if (open_in(&search, NULL, table, out))
        return VB_OK;
    if (VB_CUDA_LIBRARY_DIR[0] != '\0') {
        char folder[PATH_MAX];
        if (open_in(&search, VB_CUDA_LIBRARY_DIR, table, out))
            return VB_OK;
        (void)snprintf(folder, sizeof folder, "%s/%s", VB_CUDA_LIBRARY_DIR,
                       query->toolkit_folder != NULL ? query->toolkit_folder : "");
        if (query->toolkit_folder != NULL && open_in(&search, folder, table, out))
            return VB_OK;
    }
    return fail(&search, NULL, err);
}

void vb_library_close(struct vb_library *library)
{
    if (library->handle != NULL)
        (void)dlclose(library->handle);
    *library = (struct vb_library){ 0 };
}
