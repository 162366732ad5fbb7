/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t vb_proc_start_ticks(int pid)
{
    enum { STATE = 3, START = 22 };
    char path[32], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    if (file >= 0)
        (void)close(file);
    text[n > 0 ? n : 0] = '\0';
    /* The second field is in brackets and may hold anything. */
    const char *at = strrchr(text, ')');
    at = at != NULL ? strchr(at, ' ') : NULL;
    if (at == NULL || at[1] == 'Z' || at[1] == 'X')
        return 0;
    for (int field = STATE; at != NULL && field < START; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}
