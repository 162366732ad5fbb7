/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/calibrations.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum { MAX_FILE_BYTES = 256 << 20 };
static const char file_name[] = "calibration.json";

static enum vb_status read_file(const char *path, struct vb_arena *arena,
                                struct cli_calibrations *out, struct vb_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    struct vb_calibrations *items =
        vb_arena_grow(arena, out->items, out->n, &out->room, sizeof *items);
    if (items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", path);
    out->items = items;
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, err);
    if (status == VB_OK)
        status = vb_calibrations_parse(path, text, bytes, arena, &items[out->n], err);
    free(text);
    out->n += status == VB_OK;
    return status;
}

static bool is_there(const char *folder, const char *name, char *path, size_t room)
{
    struct stat info;
    int length =
        snprintf(path, room, "%s%s%s/%s", folder, name[0] != '\0' ? "/" : "", name, file_name);
    return length > 0 && (size_t)length < room && stat(path, &info) == 0;
}

/* Of a folder, then of each folder in it by name. `is_asked`: what cannot be read is an error. */
static enum vb_status read_folder(const char *folder, bool is_asked, struct vb_arena *arena,
                                  struct cli_calibrations *out, struct vb_error *err)
{
    struct dirent **entries = NULL;
    char path[PATH_MAX];
    enum vb_status status = VB_OK;
    int n = scandir(folder, &entries, NULL, alphasort);
    for (int i = -1; i < n; i++) {
        const char *name = i < 0 ? "" : entries[i]->d_name;
        struct vb_error why = { 0 };
        if (status != VB_OK || name[0] == '.' || !is_there(folder, name, path, sizeof path))
            continue;
        status = read_file(path, arena, out, &why);
        if (status == VB_E_INPUT && !is_asked) {
            (void)fprintf(stderr, "passed over: %s\n", why.text);
            status = VB_OK;
        }
        if (status != VB_OK)
            status = vb_fail(err, status, "%s", why.text);
    }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return status;
}

enum vb_status cli_find_calibrations(const char *path, struct vb_arena *arena,
                                     struct cli_calibrations *out, struct vb_error *err)
{
    char shipped[PATH_MAX];
    struct stat info;
    *out = (struct cli_calibrations){ 0 };
    if (path == NULL) {
        vb_file_shipped("results", shipped, sizeof shipped);
        return read_folder(shipped, false, arena, out, err);
    }
    if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode))
        return read_file(path, arena, out, err);
    enum vb_status status = read_folder(path, true, arena, out, err);
    if (status == VB_OK && out->n == 0)
        return vb_fail(err, VB_E_INPUT,
                       "%s: no %s there, nor in its folders; 'vrambench fit' writes one", path,
                       file_name);
    return status;
}
