/* SPDX-License-Identifier: Apache-2.0 */
#include "device/host.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "base/text.h"

enum { LINE_BYTES = 512 };

/* The first line of a file that begins so, without that; false where there is none. */
static bool find_line(const char *path, const char *start, char *line, size_t room)
{
    FILE *file = fopen(path, "re");
    bool is_found = false;
    while (file != NULL && !is_found && fgets(line, (int)room, file) != NULL)
        is_found = strncmp(line, start, strlen(start)) == 0;
    if (file != NULL)
        (void)fclose(file);
    if (is_found)
        memmove(line, line + strlen(start), strlen(line + strlen(start)) + 1);
    return is_found;
}

/* "Name:   123 kB"; 0 where it is not there. */
static uint64_t read_kib(const char *path, const char *start)
{
    char line[LINE_BYTES];
    uint64_t kib = 0;
    if (!find_line(path, start, line, sizeof line) || sscanf(line, "%" SCNu64, &kib) != 1)
        return 0;
    return kib << 10;
}

/* A file of a number alone; "max" and files that are not there leave `value` as it is. */
static void read_number(const char *path, uint64_t *value)
{
    char line[LINE_BYTES];
    uint64_t number;
    if (find_line(path, "", line, sizeof line) && sscanf(line, "%" SCNu64, &number) == 1)
        *value = number;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of the control group, of version 2 or 1; those above it are not asked. */
static uint64_t group_bytes(void)
{
    char own[LINE_BYTES] = "/", path[LINE_BYTES + 64];
    uint64_t limit = UINT64_MAX, used = 0;
    if (find_line("/proc/self/cgroup", "0::", own, sizeof own))
        own[strcspn(own, "\n")] = '\0';
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", own);
    read_number(path, &limit);
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.current", own);
    read_number(path, &used);
    if (limit == UINT64_MAX) {
        used = 0;
        read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", &limit);
        read_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", &used);
    }
    if (limit == UINT64_MAX)
        return UINT64_MAX;
    return limit > used ? limit - used : 0;
}

static uint64_t own_limit_bytes(void)
{
    struct rlimit limit;
    uint64_t used = read_kib("/proc/self/status", "VmSize:");
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

uint64_t vb_host_available_bytes(void)
{
    uint64_t machine = read_kib("/proc/meminfo", "MemAvailable:");
    return least(machine, least(group_bytes(), own_limit_bytes()));
}

/* Not getrusage(): its peak is inherited from what the process was before it was executed. */
uint64_t vb_host_peak_rss_bytes(void)
{
    return read_kib("/proc/self/status", "VmHWM:");
}

uint32_t vb_host_threads(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (uint32_t)n : 1;
}

void vb_host_product(char *text, size_t room)
{
    char line[LINE_BYTES];
    struct utsname name;
    char *colon = NULL;
    if (find_line("/proc/cpuinfo", "model name", line, sizeof line))
        colon = strchr(line, ':');
    if (colon != NULL)
        (void)snprintf(text, room, "%s", vb_text_trim(colon + 1));
    else
        (void)snprintf(text, room, "%s", uname(&name) == 0 ? name.machine : "");
}
