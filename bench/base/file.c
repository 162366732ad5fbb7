/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

enum vb_status vb_file_read_open(const char *path, FILE *file, size_t limit_bytes, char **data,
                                 size_t *bytes, struct vb_error *err)
{
    char *memory = NULL;
    enum vb_status status = VB_OK;
    size_t room = 0;
    size_t length = 0;
    do {
        room = room == 0 ? 1 << 14 : room * 2;
        char *more = realloc(memory, room + 1);
        if (more == NULL) {
            status = vb_fail(err, VB_E_SYSTEM, "%s: no host memory left to read it", path);
            goto fail;
        }
        memory = more;
        length += fread(memory + length, 1, room - length, file);
        if (length > limit_bytes) {
            status =
                vb_fail(err, VB_E_INPUT, "%s: larger than the %zu bytes that such a file may have",
                        path, limit_bytes);
            goto fail;
        }
    } while (length == room);
    if (ferror(file)) {
        status = vb_fail(err, VB_E_INPUT, "%s: cannot be read: %s", path, strerror(errno));
        goto fail;
    }
    memory[length] = '\0';
    *data = memory;
    *bytes = length;
    return VB_OK;

fail:
    free(memory);
    return status;
}

enum vb_status vb_file_read(const char *path, size_t limit_bytes, char **data, size_t *bytes,
                            struct vb_error *err)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return vb_fail(err, VB_E_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    enum vb_status status = vb_file_read_open(path, file, limit_bytes, data, bytes, err);
    (void)fclose(file);
    return status;
}

static int write_all(int file, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(file, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        bytes -= (size_t)n;
    }
    return fsync(file);
}

enum vb_status vb_file_write(const char *path, const void *data, size_t bytes, struct vb_error *err)
{
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof beside, "%s.%ld.new", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof beside)
        return vb_fail(err, VB_E_SYSTEM, "%s: the path is too long", path);

    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", path, strerror(errno));

    int failed = write_all(file, data, bytes);
    int why = errno;
    if (close(file) != 0 && failed == 0) {
        failed = -1;
        why = errno;
    }
    if (failed == 0 && rename(beside, path) != 0) {
        failed = -1;
        why = errno;
    }
    if (failed == 0)
        return VB_OK;

    (void)unlink(beside);
    return vb_fail(err, VB_E_SYSTEM, "%s: cannot be written: %s", path, strerror(why));
}

enum vb_status vb_file_make_folder(const char *path, struct vb_error *err)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return vb_fail(err, VB_E_SYSTEM, "'%s' cannot be the path of a folder", path);

    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char end = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return vb_fail(err, VB_E_SYSTEM, "%s: the folder cannot be made: %s", part,
                           strerror(errno));
        part[i] = end;
    }

    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return vb_fail(err, VB_E_SYSTEM, "%s: is there, but is no folder", path);
    return VB_OK;
}

void vb_file_shipped(const char *relative, char *path, size_t room)
{
    const char *home = getenv("VRAMBENCH_HOME");
    if (home == NULL || home[0] == '\0')
        home = VB_SOURCE_DIR;
    (void)snprintf(path, room, "%s/%s", home, relative);
}
